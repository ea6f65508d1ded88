"""Who owns an organization: hand-over, founding another, leaving, seats."""

import pytest
from django.core import mail
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.models import Membership, Role
from accounts.scoping import scope_to
from tests.accounts.tenancy.acts import entries, place_of
from tests.factories import join, make_organization
from tests.people import Person

pytestmark = pytest.mark.django_db


def roles(owner: Person) -> dict[str, str]:
    with scope_to(owner.organization.pk):
        return dict(Membership.objects.values_list("user__email", "role"))


def test_a_hand_over(
    owner: Person, teammate: Person, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = owner.client.post("/organization/transfer/", {"heir": place_of(teammate).pk, "name": "Desk"})
    assert response.status_code == 302
    assert roles(owner) == {owner.user.email: "admin", teammate.user.email: "owner"}
    (entry,) = entries(action="ownership.transferred")
    assert entry.details == {"before": owner.user.pk, "after": teammate.user.pk}
    assert sorted(message.to[0] for message in mail.outbox) == [owner.user.email, teammate.user.email]
    assert all("Desk" in message.body for message in mail.outbox)
    assert owner.client.get("/organization/transfer/").status_code == 403
    assert teammate.client.get("/organization/transfer/").status_code == 200


@pytest.mark.parametrize("typed", ["", "desk", "Desk 2", "DESK"])
def test_the_name_has_to_be_typed(owner: Person, teammate: Person, typed: str) -> None:
    response = owner.client.post("/organization/transfer/", {"heir": place_of(teammate).pk, "name": typed})
    assert response.status_code == 422
    assert roles(owner)[owner.user.email] == "owner"


def test_nobody_from_elsewhere_can_be_made_owner(owner: Person, stranger: Person) -> None:
    for heir in (place_of(stranger).pk, place_of(owner).pk, 10**9, "x"):
        response = owner.client.post("/organization/transfer/", {"heir": heir, "name": "Desk"})
        assert response.status_code == 422
    assert roles(owner) == {owner.user.email: "owner"}


def test_one_more_organization(owner: Person) -> None:
    assert owner.client.post("/organization/new/", {"name": "Second desk"}).status_code == 302
    page = owner.client.get("/organization/").content.decode()
    assert "Second desk" in page
    assert owner.viewer.role == Role.OWNER


def test_there_is_an_end_to_founding(owner: Person, settings: Settings) -> None:
    settings.ORGANIZATIONS_PER_PERSON = 2
    make_organization(owner.user, "Second")
    response = owner.client.post("/organization/new/", {"name": "Third"})
    assert response.status_code == 422
    assert "can own 2 organizations" in response.content.decode()


def test_organizations_of_others_do_not_count(owner: Person, stranger: Person, settings: Settings) -> None:
    settings.ORGANIZATIONS_PER_PERSON = 1
    join(stranger.organization, owner.user, Role.ADMIN)
    assert owner.client.post("/organization/new/", {"name": "Third"}).status_code == 422
    with scope_to(owner.organization.pk):
        Membership.objects.filter(user=owner.user).update(role=Role.ADMIN)
    assert owner.client.post("/organization/new/", {"name": "Third"}).status_code == 302


def test_seats_are_shown_before_they_bite(freebie: Person) -> None:
    assert "1 of 2 seats" in freebie.client.get("/organization/").content.decode()
    freebie.client.post("/organization/invite/", {"email": "a@small.example", "role": "member"})
    assert "2 of 2 seats" in freebie.client.get("/organization/").content.decode()
    response = freebie.client.post("/organization/invite/", {"email": "b@small.example", "role": "member"})
    assert response.status_code == 422


def test_two_hand_overs_at_once_leave_one_owner(owner: Person, teammate: Person, manager: Person) -> None:
    """The second one comes from who is no owner any more."""
    data = {"heir": place_of(teammate).pk, "name": "Desk"}
    owner.client.post("/organization/transfer/", data)
    assert owner.client.post("/organization/transfer/", {**data, "heir": place_of(manager).pk}).status_code == 403
    assert list(roles(owner).values()).count("owner") == 1
