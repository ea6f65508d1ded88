"""An organization may ask its members for a second factor; until they have one it is closed to them (S7)."""

import pytest
from django.test import Client

from accounts.access import viewer_of_user
from accounts.audit import operator_work
from accounts.errors import MembershipError
from accounts.identity.requiring import require_mfa
from accounts.models import AuditEntry, Organization
from accounts.scoping import scope_to
from tests.accounts.identity.doing import signed_in
from tests.factories import PASSWORD, give_totp, join
from tests.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/organization/security/"


def asking(person: Person, required: str = "on") -> Client:
    """Press the button, after saying once more who it is."""
    assert person.client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    person.client.post(PAGE, {"required": required})
    return person.client


def is_required(person: Person) -> bool:
    with scope_to(person.organization.pk):
        return Organization.objects.get().requires_mfa


@pytest.mark.parametrize("name", ["owner", "manager"])
def test_managers_with_a_factor_ask_for_it(name: str, request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(name)
    give_totp(person.user)
    asking(person)
    assert is_required(person)
    with operator_work("test", "read the log"):
        entry = AuditEntry.objects.get(action="organization.mfa")
    assert (entry.user_id, entry.details["before"], entry.details["after"]) == (person.user.pk, False, True)
    asking(person, "off")
    assert not is_required(person)


def test_who_has_none_cannot_ask_for_it(owner: Person) -> None:
    asking(owner)
    assert not is_required(owner)
    with scope_to(owner.organization.pk), pytest.raises(MembershipError, match="lock yourself out"):
        require_mfa(owner.organization, True, owner.user)


def test_nothing_changes_without_saying_again_who_it_is(owner: Person) -> None:
    give_totp(owner.user)
    assert owner.client.post(PAGE, {"required": "on"})["Location"].startswith("/accounts/reauthenticate/")
    assert not is_required(owner)
    answer = owner.client.post(f"/accounts/reauthenticate/?next={PAGE}", {"password": PASSWORD})
    assert answer["Location"] == PAGE
    assert not is_required(owner)  # the button is pressed anew, by who has seen what it does


def test_asking_twice_is_asking_once(owner: Person) -> None:
    give_totp(owner.user)
    asking(owner)
    asking(owner)
    with operator_work("test", "read the log"):
        assert AuditEntry.objects.filter(action="organization.mfa").count() == 1


@pytest.mark.parametrize(
    ("name", "status"),
    [("owner", 200), ("manager", 200), ("teammate", 403), ("readonly", 403), ("visitor", 302), ("operator", 404)],
)
def test_the_page_is_for_managers(name: str, status: int, request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(name)
    assert person.client.get(PAGE).status_code == status
    assert person.client.post(PAGE, {"required": "on"}).status_code == (302 if status == 200 else status)


def test_a_stranger_sees_their_own_page_only(owner: Person, teammate: Person, stranger: Person) -> None:
    page = stranger.client.get(PAGE).content.decode()
    assert stranger.user.email in page
    assert not any(person.user.email in page for person in (owner, teammate))


@pytest.fixture
def strict(owner: Person, teammate: Person) -> Person:
    """A member without a second factor of an organization that asks for one."""
    give_totp(owner.user)
    asking(owner)
    return teammate


def test_a_member_without_one_is_led_to_the_set_up(strict: Person, owner: Person) -> None:
    for page in ("/", "/organization/", "/history"):
        answer = strict.client.get(page)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/2fa/"), page
    assert b"asks every member" in strict.client.get("/accounts/2fa/").content
    assert owner.client.get("/organization/").status_code == 200
    give_totp(strict.user)
    assert strict.client.get("/organization/").status_code == 200


def test_the_api_says_what_is_missing(strict: Person) -> None:
    answer = strict.client.get("/api/v1/rounds/")
    assert (answer.status_code, answer.json()["code"]) == (403, "mfa_required")
    assert answer.json()["request_id"]
    assert strict.client.get("/api/v1/auth/me").status_code == 200


def test_what_such_a_member_may_see_is_what_a_visitor_sees(strict: Person) -> None:
    viewer = viewer_of_user(strict.user)
    assert viewer.mfa_missing
    assert not viewer.is_live
    assert viewer.delay_s == 900


def test_another_organization_stays_open(strict: Person, stranger: Person) -> None:
    join(stranger.organization, strict.user)
    assert strict.client.get("/organization/").status_code == 302
    strict.client.post("/organization/switch/", {"organization": stranger.organization.slug})
    assert strict.client.get("/organization/").status_code == 200


def test_recovery_codes_alone_are_no_factor(strict: Person) -> None:
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes

    RecoveryCodes.activate(strict.user)
    assert strict.client.get("/organization/").status_code == 302


def test_a_new_sign_in_changes_nothing(strict: Person) -> None:
    assert signed_in(strict.user).client.get("/organization/")["Location"] == "/accounts/2fa/"
