"""The principals of every test about who may see what: an organization's people, a stranger, an operator, a visitor."""

import re
from dataclasses import dataclass

import pytest
from django.test import Client

from accounts.accepting import accept_terms
from accounts.access import Viewer, viewer_of_user
from accounts.models import Organization, Role, User
from accounts.plans import DESK, FREE, PRO
from tests.factories import give_totp, join, make_organization, make_user


@dataclass(frozen=True)
class Person:
    """Somebody with a browser; a visitor has neither account nor organization."""

    client: Client
    account: User | None = None
    tenant: Organization | None = None

    @property
    def user(self) -> User:
        """The account; a visitor has none."""
        assert self.account is not None
        return self.account

    @property
    def organization(self) -> Organization:
        """The organization the person's session is in."""
        assert self.tenant is not None
        return self.tenant

    @property
    def viewer(self) -> Viewer:
        """What the person's requests carry."""
        return viewer_of_user(self.user) if self.account else Viewer()


def person(user: User, organization: Organization | None = None, *, accepted: bool = True) -> Person:
    """The user, signed in; with the terms accepted, unless that is what the test is about."""
    if accepted:
        accept_terms(user, "192.0.2.1")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return Person(client, user, organization)


def lasting(page: bytes) -> str:
    """A page without what is new each time by design: the nonce of its scripts and the form token."""
    return re.sub(r'(nonce="|csrfmiddlewaretoken" value=")[^"]*', r"\1", page.decode())


@pytest.fixture
def owner(db: None) -> Person:
    """Owns an organization on the Desk plan."""
    user = make_user("owner@desk.example")
    return person(user, make_organization(user, "Desk", DESK))


@pytest.fixture
def manager(owner: Person) -> Person:
    """Admin of the owner's organization."""
    return _joined(owner, "manager@desk.example", Role.ADMIN)


@pytest.fixture
def teammate(owner: Person) -> Person:
    """Member of the owner's organization."""
    return _joined(owner, "teammate@desk.example", Role.MEMBER)


@pytest.fixture
def readonly(owner: Person) -> Person:
    """Read-only member of the owner's organization."""
    return _joined(owner, "readonly@desk.example", Role.READONLY)


@pytest.fixture
def stranger(db: None) -> Person:
    """Owns another organization, on the Pro plan."""
    user = make_user("stranger@elsewhere.example")
    return person(user, make_organization(user, "Elsewhere", PRO))


@pytest.fixture
def freebie(db: None) -> Person:
    """Owns an organization on the Free plan."""
    user = make_user("free@small.example")
    return person(user, make_organization(user, "Small", FREE))


@pytest.fixture
def newcomer(db: None) -> Person:
    """Owns an organization on the Desk plan and has not accepted the terms yet."""
    user = make_user("newcomer@desk.example")
    return person(user, make_organization(user, "New desk", DESK), accepted=False)


@pytest.fixture
def operator(db: None) -> Person:
    """Runs the installation with a second factor, as the console asks; belongs to no organization."""
    user = User.objects.create_superuser("operator@candor.example", "an operator's password")
    give_totp(user)
    return person(user)


@pytest.fixture
def visitor(db: None) -> Person:
    """Is not signed in."""
    return Person(Client())


def _joined(owner: Person, email: str, role: Role) -> Person:
    user = make_user(email)
    join(owner.organization, user, role)
    return person(user, owner.organization)
