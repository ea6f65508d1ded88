"""Erasure with days of grace (security row S34): asked for twice over, undone easily, and then complete."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.core import mail
from django.dispatch import receiver
from psycopg import sql
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.access import Viewer
from accounts.audit import operator_work
from accounts.audit_reading import verify_chains
from accounts.erasing import erase_due
from accounts.errors import PrivacyError
from accounts.events import membership_changed, organization_erasing, person_erasing, sessions_ended
from accounts.inviting import invite
from accounts.models import ApiKey, Invitation, Membership, Organization, Role, User
from accounts.scoping import scope_to
from accounts.sealed import put_secret
from lib.clock import wall_now
from tests.accounts.tenancy.acts import entries, prove
from tests.people import Person

Raw = psycopg.Connection[tuple[Any, ...]]


def close(person: Person) -> None:
    response = prove(person).post("/privacy/close/", {"name": person.user.email})
    assert response.status_code == 302, response.content


def let_time_pass() -> None:
    """Fourteen days at once."""
    with operator_work("test", "let time pass"):
        Organization.objects.filter(erase_at__isnull=False).update(erase_at=wall_now())
    User.objects.filter(erase_at__isnull=False).update(erase_at=wall_now())


def found(person: Person) -> User:
    return User.objects.get(pk=person.user.pk)


@pytest.mark.django_db
def test_closing_says_when_and_how_to_undo_it(
    freebie: Person, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        close(freebie)
    at = found(freebie).erase_at
    assert at is not None
    assert timedelta(days=13, hours=23) < at - wall_now() <= timedelta(days=14)
    (message,) = mail.outbox
    assert (message.to, "http://testserver/privacy/" in message.body) == ([freebie.user.email], True)
    assert str(at.year) in message.body
    page = freebie.client.get("/").content.decode()
    assert "Your account will be erased" in page
    assert freebie.client.post("/privacy/keep/").status_code == 302
    assert found(freebie).erase_at is None
    let_time_pass()
    erase_due()
    assert found(freebie).email == freebie.user.email


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["", "x@y.example", "FREE@small.example "])
def test_the_address_has_to_be_typed(freebie: Person, typed: str) -> None:
    assert prove(freebie).post("/privacy/close/", {"name": typed}).status_code == 422
    assert found(freebie).erase_at is None


@pytest.mark.django_db
def test_the_password_has_to_be_given_again(freebie: Person, owner: Person) -> None:
    for path in ("/privacy/close/", "/organization/close/"):
        for response in (freebie.client.get(path), freebie.client.post(path, {"name": freebie.user.email})):
            assert response["Location"].startswith("/accounts/reauthenticate/")
    assert found(freebie).erase_at is None


@pytest.mark.django_db
def test_an_only_owner_hands_over_first(owner: Person, teammate: Person) -> None:
    page = prove(owner).get("/privacy/close/").content.decode()
    assert "Desk" in page
    response = owner.client.post("/privacy/close/", {"name": owner.user.email})
    assert response.status_code == 422
    page = response.content.decode()
    assert "You are the only owner" in page
    assert found(owner).erase_at is None


@pytest.mark.django_db
def test_who_became_the_only_owner_meanwhile_is_not_erased(owner: Person, teammate: Person) -> None:
    with scope_to(owner.organization.pk):
        Membership.objects.filter(user=teammate.user).update(role=Role.OWNER)
    close(owner)
    with scope_to(owner.organization.pk):
        Membership.objects.filter(user=teammate.user).update(role=Role.MEMBER)
    let_time_pass()
    assert erase_due() == 0
    assert (found(owner).email, found(owner).erase_at) == (owner.user.email, None)
    assert entries(action="account.kept")[-1].details["reason"].startswith("only owner")


@pytest.mark.django_db
def test_an_operator_is_not_closed_by_themselves(operator: Person) -> None:
    response = prove(operator, "an operator's password").post("/privacy/close/", {"name": operator.user.email})
    assert response.status_code == 422


@pytest.mark.django_db
def test_an_owner_closes_an_organization_and_takes_it_back(
    owner: Person, manager: Person, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert prove(owner).post("/organization/close/", {"name": "Desk"}).status_code == 302
    assert sorted(message.to[0] for message in mail.outbox) == [manager.user.email, owner.user.email]
    assert "will be erased" in manager.client.get("/organization/").content.decode()
    assert manager.client.post("/organization/keep/").status_code == 403
    assert owner.client.post("/organization/keep/").status_code == 302
    let_time_pass()
    assert erase_due() == 0


# ---- when the days are over


def dump(raw: Raw, operator: bool = True) -> str:
    """All that the database holds, as text."""
    with raw.transaction(force_rollback=True):
        raw.execute("SELECT set_config('app.operator', 'on', true)")
        names = raw.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND has_table_privilege(oid, 'SELECT') AND NOT relispartition"
        ).fetchall()
        texts = []
        for (name,) in names:
            found = raw.execute(sql.SQL("SELECT string_agg(t::text, E'\\n') FROM {} t").format(sql.Identifier(name)))
            row = found.fetchone()
            texts.append(f"{name}: {row[0] if row else ''}")
        return "\n".join(texts)


@pytest.mark.django_db(transaction=True)
def test_nothing_names_an_erased_person(
    owner: Person, teammate: Person, stranger: Person, app_connection: Raw, operator: Person
) -> None:
    User.objects.filter(pk=teammate.user.pk).update(name="Tea M. Mate")
    EmailAddress.objects.create(user=teammate.user, email=teammate.user.email, verified=True, primary=True)
    with scope_to(owner.organization.pk):
        ApiKey.objects.create(
            organization=owner.organization, name="x", prefix="ck_1", secret_sha256="a" * 64, created_by=teammate.user
        )
    with scope_to(stranger.organization.pk):
        invite(stranger.organization, stranger.user, teammate.user.email, Role.MEMBER, "http://testserver/{token}")
    teammate.client.post("/accounts/logout/", REMOTE_ADDR="198.51.100.44")
    teammate.client.force_login(teammate.user, backend="django.contrib.auth.backends.ModelBackend")
    operator.client.post(f"/console/accounts/user/{teammate.user.pk}/change/", {"name": "Tea M. Mate"})
    close(teammate)
    let_time_pass()
    assert "teammate" in dump(app_connection)
    changed: list[int] = []

    @receiver(membership_changed)
    def note(sender: object, user_id: int, **facts: object) -> None:
        changed.append(user_id)

    assert erase_due() == 1
    left = dump(app_connection)
    for trace in ("teammate", "Tea M. Mate", "198.51.100.44"):
        assert trace not in left, [line for line in left.splitlines() if trace in line]
    user = found(teammate)
    assert (user.email, user.name, user.is_active) == (f"erased-{user.pk}@invalid", "", False)
    assert not user.has_usable_password()
    assert user.label == f"erased person {user.pk}"
    assert changed == [user.pk]
    with operator_work("test", "check"):
        assert verify_chains()[1] == []
        assert not Membership.objects.filter(user=user).exists()
        assert not Invitation.objects.filter(email=teammate.user.email).exists()
        assert not ApiKey.objects.filter(prefix="ck_1").exists()
    assert owner.client.get("/organization/audit/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_sessions_die_with_the_account(freebie: Person, stranger: Person) -> None:
    close(freebie)
    let_time_pass()
    before, told = Session.objects.count(), list[int]()

    @receiver(sessions_ended)
    def note(sender: object, user_id: int, **facts: object) -> None:
        told.append(user_id)

    assert erase_due() == 1
    assert Session.objects.count() == before - 1
    assert set(told) == {freebie.user.pk}
    assert freebie.client.get("/privacy/").status_code == 302
    assert freebie.viewer == Viewer() or freebie.viewer.organization_id is None
    assert stranger.client.get("/privacy/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_an_organization_of_one_goes_with_its_person(freebie: Person) -> None:
    close(freebie)
    let_time_pass()
    erase_due()
    with operator_work("test", "look"):
        organization = Organization.objects.get(pk=freebie.organization.pk)
    assert (organization.name, organization.plan) == (f"erased-{organization.pk}", "free")
    assert organization.erased_at is not None


@pytest.mark.django_db(transaction=True)
def test_an_erased_organization_leaves_its_chain(owner: Person, teammate: Person, app_connection: Raw) -> None:
    with scope_to(owner.organization.pk):
        put_secret(owner.organization, "exchange", "kraken-of-desk", "plain", owner.user)
        invite(owner.organization, owner.user, "invited@desk.example", Role.MEMBER, "http://testserver/{token}")
    owner.client.post("/organization/rename/", {"name": "Distinctive name"})
    prove(owner).post("/organization/close/", {"name": "Distinctive name"})
    let_time_pass()
    assert erase_due() == 1
    left = dump(app_connection)
    for trace in ("Distinctive name", "invited@desk.example"):
        assert trace not in left, [line for line in left.splitlines() if trace in line]
    assert owner.client.get("/organization/").status_code == 404
    assert User.objects.get(pk=owner.user.pk).email == owner.user.email
    with operator_work("test", "check"):
        assert verify_chains()[1] == []


@pytest.mark.django_db(transaction=True)
def test_receivers_hear_of_it_inside_the_transaction(freebie: Person, stranger: Person) -> None:
    heard: list[tuple[str, int]] = []

    @receiver(person_erasing)
    def person(sender: object, user_id: int, **facts: object) -> None:
        assert User.objects.get(pk=user_id).email == freebie.user.email
        heard.append(("person", user_id))

    @receiver(organization_erasing)
    def organization(sender: object, organization_id: int, **facts: object) -> None:
        assert Membership.objects.filter(organization_id=organization_id).exists()
        heard.append(("organization", organization_id))

    close(freebie)
    let_time_pass()
    erase_due()
    assert heard == [("organization", freebie.organization.pk), ("person", freebie.user.pk)]


@pytest.mark.django_db(transaction=True)
def test_an_erasure_that_fails_is_whole_again_and_stops_no_other(freebie: Person, stranger: Person) -> None:
    @receiver(person_erasing)
    def refuse(sender: object, user_id: int, **facts: object) -> None:
        if user_id == freebie.user.pk:
            raise PrivacyError("invoices cannot be anonymised now")

    close(freebie)
    close(stranger)
    let_time_pass()
    assert erase_due() == 1
    assert found(freebie).email == freebie.user.email
    with operator_work("test", "look"):
        assert Membership.objects.filter(user=freebie.user).exists()
    assert found(stranger).erased_at is not None
    person_erasing.disconnect(refuse)
    assert erase_due() == 1


@pytest.mark.django_db
def test_nothing_happens_before_its_day(freebie: Person) -> None:
    close(freebie)
    assert erase_due() == 0
