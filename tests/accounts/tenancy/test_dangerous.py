"""What operators do in the console (fault 50, S31): previewed, confirmed by a typed name, on record, and reversible."""

import pytest
from django.contrib.sessions.models import Session
from pytest_django import Settings

from accounts.admin import OrganizationAdmin, UserAdmin
from accounts.models import User
from tests.accounts.tenancy.acts import entries
from tests.people import Person

pytestmark = pytest.mark.django_db
ACTS = {
    "switch-off": ("user.switched_off", "is_active=True", "is_active=False"),
    "switch-on": ("user.switched_on", "is_active=False", "is_active=True"),
    "make-operator": ("user.made_operator", "is_staff=False, is_superuser=False", "is_staff=True, is_superuser=True"),
    "end-operator": ("user.no_operator", "is_staff=True, is_superuser=True", "is_staff=False, is_superuser=False"),
}
UNDO = {"switch-off": "switch-on", "make-operator": "end-operator"}


def page(person: Person, act: str) -> str:
    return f"/console/accounts/user/{person.user.pk}/{act}/"


def plan_page(person: Person) -> str:
    return f"/console/accounts/organization/{person.organization.pk}/plan/"


def test_every_act_of_these_pages_is_tried() -> None:
    paths = {getattr(UserAdmin, name).url_path for name in UserAdmin.actions_detail}
    assert paths == set(ACTS) | {"see-as"}
    assert OrganizationAdmin.actions_detail == ("change_the_plan",)


@pytest.mark.parametrize("act", [*ACTS, "see-as"])
def test_without_the_typed_name_nothing_happens(act: str, operator: Person, owner: Person) -> None:
    address = page(owner, act)
    assert operator.client.get(address).status_code == 200
    before = User.objects.values().get(pk=owner.user.pk)
    for typed in ("", "someone@else.example", owner.user.email.upper()):
        assert operator.client.post(address, {"name": typed, "reason": "x"}).status_code == 422
    assert User.objects.values().get(pk=owner.user.pk) == before
    assert "impersonation" not in operator.client.session


@pytest.mark.parametrize("act", UNDO)
def test_each_act_has_its_way_back_and_leaves_rows(act: str, operator: Person, owner: Person) -> None:
    before = User.objects.values("is_active", "is_staff", "is_superuser").get(pk=owner.user.pk)
    for one in (act, UNDO[act]):
        assert operator.client.post(page(owner, one), {"name": owner.user.email}).status_code == 302
        action, was, becomes = ACTS[one]
        (entry,) = entries(action=action)
        assert (entry.user_id, entry.details) == (
            operator.user.pk,
            {"of": owner.user.pk, "before": was, "after": becomes},
        )
    assert User.objects.values("is_active", "is_staff", "is_superuser").get(pk=owner.user.pk) == before


def test_a_switched_off_person_is_out(operator: Person, owner: Person) -> None:
    sessions = Session.objects.count()
    operator.client.post(page(owner, "switch-off"), {"name": owner.user.email})
    assert owner.client.get("/organization/").status_code == 302
    assert Session.objects.count() == sessions - 1


@pytest.mark.parametrize("act", ["switch-off", "end-operator"])
def test_nobody_locks_themselves_out(act: str, operator: Person) -> None:
    response = operator.client.post(page(operator, act), {"name": operator.user.email})
    assert response.status_code == 422
    assert operator.client.get("/console/").status_code == 200


def test_an_erased_account_stays_erased(operator: Person, owner: Person) -> None:
    User.objects.filter(pk=owner.user.pk).update(erased_at=owner.user.date_joined, is_active=False)
    for act in ("switch-on", "make-operator"):
        assert operator.client.post(page(owner, act), {"name": owner.user.email}).status_code == 422
    assert not User.objects.get(pk=owner.user.pk).is_active


def test_the_plan_is_changed_after_a_preview(operator: Person, owner: Person) -> None:
    address = plan_page(owner)
    assert "15 minutes late" in operator.client.get(address).content.decode()
    assert operator.client.post(address, {"plan": "pro", "name": ""}).status_code == 422
    assert operator.client.post(address, {"plan": "gold", "name": "Desk"}).status_code == 422
    assert owner.viewer.plan.key == "desk"
    assert operator.client.post(address, {"plan": "pro", "name": "Desk"}).status_code == 302
    assert owner.viewer.plan.key == "pro"
    (entry,) = entries(action="plan.changed")
    assert (entry.user_id, entry.organization_id) == (operator.user.pk, owner.organization.pk)
    assert entry.details == {"before": "desk", "after": "pro"}


def test_the_preview_says_who_would_have_no_seat(
    operator: Person, owner: Person, manager: Person, teammate: Person
) -> None:
    assert "It has 3 members" in operator.client.get(plan_page(owner)).content.decode()


@pytest.mark.parametrize("name", ["owner", "stranger", "visitor"])
def test_nobody_else_finds_these_pages(name: str, owner: Person, request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(name)
    for address in (page(owner, "switch-off"), page(owner, "see-as"), plan_page(owner)):
        assert person.client.get(address).status_code == 404
        assert person.client.post(address, {"name": owner.user.email}).status_code == 404


@pytest.mark.parametrize(("peer", "status"), [("10.1.2.3", 200), ("192.0.2.1", 404)])
def test_the_console_can_be_for_some_networks_only(
    operator: Person, settings: Settings, peer: str, status: int
) -> None:
    settings.CONSOLE_NETWORKS = ["10.0.0.0/8"]
    response = operator.client.get("/console/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": "10.9.9.9"})
    assert response.status_code == status


def test_rows_cannot_be_changed_past_these_pages(operator: Person, owner: Person) -> None:
    for model, pk in (("user", owner.user.pk), ("organization", owner.organization.pk)):
        response = operator.client.post(f"/console/accounts/{model}/{pk}/change/", {"name": "x", "plan": "pro"})
        assert response.status_code == 403
        assert operator.client.post(f"/console/accounts/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403
        assert operator.client.get(f"/console/accounts/{model}/{pk}/change/").status_code == 200
