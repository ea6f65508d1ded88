"""From an invitation by mail to a membership."""

import re
from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import transaction

from accounts.errors import MembershipError
from accounts.inviting import LASTS, accept_invitation, find_invitation, invite
from accounts.models import AuditEntry, Invitation, Membership, Role
from accounts.plans import DESK, FREE
from accounts.scoping import scope_to
from lib.clock import wall_now
from tests.factories import make_organization, make_user
from tests.people import Person, lasting, person

pytestmark = pytest.mark.django_db(transaction=True)


def invited(owner: Person, email: str = "new@desk.example", role: str = "member") -> str:
    """Invite over the page; returns the token that went out by mail."""
    mail.outbox.clear()
    response = owner.client.post("/organization/invite/", {"email": email, "role": role})
    assert response.status_code == 302
    (message,) = mail.outbox
    found = re.search(r"http://testserver/invitation/([\w-]+)/", str(message.body))
    assert found is not None
    assert message.to == [email.lower()]
    return found[1]


def test_the_whole_way(owner: Person) -> None:
    token = invited(owner, "New@Desk.example", "readonly")
    newcomer = person(make_user("new@desk.example"))
    EmailAddress.objects.create(user=newcomer.user, email="new@desk.example", verified=False, primary=True)
    page = newcomer.client.get(f"/invitation/{token}/")
    assert b"Join Desk" in page.content
    assert newcomer.client.post(f"/invitation/{token}/")["Location"] == "/organization/"
    viewer = newcomer.viewer
    assert (viewer.organization_id, viewer.role, viewer.plan) == (owner.organization.pk, Role.READONLY, DESK)
    assert EmailAddress.objects.get(user=newcomer.user).verified  # the token came by mail
    assert newcomer.client.get("/organization/").status_code == 200
    assert newcomer.client.post(f"/invitation/{token}/").status_code == 404  # works once
    assert b"Open invitations" not in owner.client.get("/organization/").content
    with scope_to(owner.organization.pk):
        assert AuditEntry.objects.filter(action="member.joined", user=newcomer.user).exists()


def test_the_token_is_not_stored(owner: Person) -> None:
    token = invited(owner)
    with scope_to(owner.organization.pk):
        stored = Invitation.objects.get()
        entry = AuditEntry.objects.get(action="member.invited")
    assert token not in repr(vars(stored))
    assert token not in repr(entry.details)


def test_an_invitation_is_for_its_address_only(owner: Person, stranger: Person) -> None:
    token = invited(owner)
    answers = [stranger.client.get(f"/invitation/{t}/") for t in (token, "no-such-token")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert lasting(answers[0].content).replace(token, "") == lasting(answers[1].content).replace("no-such-token", "")
    assert stranger.client.post(f"/invitation/{token}/").status_code == 404
    assert accept_invitation(stranger.user, token) is None
    assert owner.client.post(f"/invitation/{token}/").status_code == 404  # though it is their organization's


def test_the_last_instant_is_over() -> None:
    now = wall_now()
    invitation = Invitation(expires_at=now)
    assert invitation.is_open(now - timedelta(microseconds=1))
    assert not invitation.is_open(now)


def test_a_visitor_is_sent_to_the_sign_in_page_and_back(owner: Person, visitor: Person) -> None:
    response = visitor.client.get("/invitation/some-token/")
    assert response["Location"] == "/accounts/login/?next=/invitation/some-token/"


def test_it_ends_after_a_week(owner: Person) -> None:
    token = invited(owner)
    user = make_user("new@desk.example")
    with time_machine.travel(wall_now() + LASTS - timedelta(seconds=5), tick=False):
        assert find_invitation(user, token) is not None
    with time_machine.travel(wall_now() + LASTS, tick=False):
        assert find_invitation(user, token) is None
        assert accept_invitation(user, token) is None


def test_a_withdrawn_one_is_worthless(owner: Person) -> None:
    token = invited(owner)
    with scope_to(owner.organization.pk):
        pk = Invitation.objects.get().pk
    assert owner.client.post(f"/organization/invitations/{pk}/withdraw/").status_code == 302
    assert accept_invitation(make_user("new@desk.example"), token) is None


def test_inviting_again_replaces(owner: Person) -> None:
    first = invited(owner)
    second = invited(owner, role="admin")
    user = make_user("new@desk.example")
    assert accept_invitation(user, first) is None
    membership = accept_invitation(user, second)
    assert membership is not None
    assert membership.role == Role.ADMIN


def test_a_member_is_not_invited(owner: Person, teammate: Person) -> None:
    mail.outbox.clear()
    response = owner.client.post("/organization/invite/", {"email": "TEAMMATE@desk.example", "role": "member"})
    assert response.status_code == 422
    assert b"is a member already" in response.content
    assert mail.outbox == []


@pytest.mark.parametrize("data", [{"email": "nonsense", "role": "member"}, {"email": "a@b.example", "role": "owner"}])
def test_bad_input_is_kept_and_explained(owner: Person, data: dict[str, str]) -> None:
    response = owner.client.post("/organization/invite/", data)
    assert response.status_code == 422
    assert data["email"] in response.content.decode()
    assert b"form-errors" in response.content


def test_seats_are_counted(freebie: Person) -> None:
    invited(freebie)
    response = freebie.client.post("/organization/invite/", {"email": "second@small.example", "role": "member"})
    assert response.status_code == 422
    assert f"All {FREE.seats} seats of the Free plan".encode() in response.content
    invited(freebie)  # in place of the open one


def test_a_refused_invitation_leaves_the_open_one(owner: Person) -> None:
    """The deletion of what it would replace is undone with it."""
    user = make_user("solo@small.example")
    organization = make_organization(user)
    link = "http://testserver/{token}"
    with scope_to(organization.pk):
        invite(organization, user, "a@small.example", Role.MEMBER, link)
        with pytest.raises(MembershipError):
            invite(organization, user, "b@small.example", Role.MEMBER, link)
        assert [row.email for row in Invitation.objects.all()] == ["a@small.example"]


def test_mail_leaves_only_after_commit(owner: Person) -> None:
    mail.outbox.clear()
    with transaction.atomic():
        with scope_to(owner.organization.pk):
            invite(owner.organization, owner.user, "x@desk.example", Role.MEMBER, "http://testserver/{token}")
        transaction.set_rollback(True)
    assert mail.outbox == []


def test_a_second_acceptance_does_not_change_the_role(owner: Person) -> None:
    token = invited(owner, role="readonly")
    user = make_user("new@desk.example")
    with scope_to(owner.organization.pk):
        Membership.objects.create(organization=owner.organization, user=user, role=Role.ADMIN)
    membership = accept_invitation(user, token)
    assert membership is not None
    assert membership.role == Role.ADMIN
