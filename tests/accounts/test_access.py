"""Who is looking: pages, sockets, and what a viewer follows from."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory

from accounts.access import (
    SESSION_ORGANIZATION,
    VISITOR,
    Viewer,
    acceptance_required,
    access_invitations,
    access_membership,
    access_memberships,
    access_organization,
    memberships_of,
    require_managing,
    viewer_of,
    viewer_of_scope,
    viewer_of_user,
)
from accounts.models import Membership, Role, User
from accounts.planning import change_plan
from accounts.plans import DESK, FREE, PLANS, PRO, Plan
from accounts.scoping import acting_as, scope_to
from tests.factories import join
from tests.people import Person


@pytest.mark.parametrize(
    ("role", "writes", "manages"), [("owner", 1, 1), ("admin", 1, 1), ("member", 1, 0), ("readonly", 0, 0)]
)
def test_roles(role: str, writes: int, manages: int) -> None:
    viewer = Viewer(1, 1, Role(role), PRO, accepted=True)
    assert (viewer.may_write, viewer.may_manage) == (bool(writes), bool(manages))


@pytest.mark.parametrize("plan", PLANS.values())
def test_the_delay_is_the_plans_once_accepted(plan: Plan) -> None:
    assert Viewer(1, 1, Role.OWNER, plan, accepted=True).delay_s == plan.delay_s
    assert Viewer(1, 1, Role.OWNER, plan, accepted=False).delay_s == FREE.delay_s
    assert Viewer(1, None, None, plan, accepted=True).delay_s == FREE.delay_s
    assert VISITOR.delay_s == FREE.delay_s == 900


def test_a_visitor_may_nothing() -> None:
    facts = (VISITOR.is_visitor, VISITOR.may_write, VISITOR.may_manage, VISITOR.must_accept, VISITOR.is_live)
    assert facts == (True, False, False, False, False)
    assert viewer_of(HttpRequest()) == viewer_of_user(AnonymousUser()) == VISITOR


def test_viewers_of_people(owner: Person, teammate: Person, newcomer: Person, operator: Person) -> None:
    assert owner.viewer == Viewer(owner.user.pk, owner.organization.pk, Role.OWNER, DESK, accepted=True)
    assert teammate.viewer.role == Role.MEMBER
    assert (newcomer.viewer.must_accept, newcomer.viewer.is_live) == (True, False)
    assert (operator.viewer.operator, operator.viewer.organization_id) == (True, None)


def test_a_disabled_user_is_a_visitor(owner: Person) -> None:
    owner.user.is_active = False
    assert viewer_of_user(owner.user) == VISITOR


def test_ones_memberships_are_not_the_colleagues(owner: Person, teammate: Person) -> None:
    with scope_to(owner.organization.pk), acting_as(teammate.user.pk):
        assert [membership.user_id for membership in memberships_of(teammate.user)] == [teammate.user.pk]
        assert viewer_of_user(teammate.user).role == Role.MEMBER


def test_a_change_of_plan_counts_at_once(owner: Person) -> None:
    with scope_to(owner.organization.pk):
        change_plan(owner.organization, "free", by=None)
    assert owner.viewer.delay_s == 900


# ---- sockets


def scope_of(person: Person, **session: object) -> dict[str, Any]:
    """What Channels' session middleware hands to a consumer."""
    key = person.client.session.session_key
    store = SessionStore(key)
    store.update(session)
    store.save()
    return {"type": "websocket", "session": SessionStore(key)}


def test_a_socket_has_its_sessions_viewer(owner: Person, stranger: Person) -> None:
    assert viewer_of_scope(scope_of(owner)) == owner.viewer
    join(stranger.organization, owner.user, Role.READONLY)
    elsewhere = viewer_of_scope(scope_of(owner, **{SESSION_ORGANIZATION: stranger.organization.pk}))
    assert (elsewhere.organization_id, elsewhere.role) == (stranger.organization.pk, Role.READONLY)


@pytest.mark.parametrize(
    "scope", [{}, {"session": None}, {"session": SessionStore()}, {"session": SessionStore("x" * 32)}]
)
def test_a_socket_without_session_is_a_visitors(db: None, scope: dict[str, Any]) -> None:
    assert viewer_of_scope(scope) == VISITOR


def test_a_socket_is_a_visitors_once_its_session_ends(owner: Person, teammate: Person, manager: Person) -> None:
    scopes = [scope_of(person) for person in (owner, teammate, manager)]
    owner.client.post("/accounts/logout/")
    User.objects.filter(pk=teammate.user.pk).update(is_active=False)
    manager.user.set_password("another long password")
    manager.user.save()
    assert [viewer_of_scope(scope) for scope in scopes] == [VISITOR] * 3


def test_a_socket_follows_its_membership(owner: Person, teammate: Person) -> None:
    scope = scope_of(teammate)
    with scope_to(owner.organization.pk):
        Membership.objects.filter(user=teammate.user).delete()
    viewer = viewer_of_scope(scope)
    assert (viewer.organization_id, viewer.is_live) == (None, False)


# ---- fetches


def test_what_is_foreign_does_not_exist(owner: Person, stranger: Person) -> None:
    with scope_to(owner.organization.pk):
        pk = Membership.objects.get().pk
        assert access_membership(owner.viewer, pk).user == owner.user
    with scope_to(stranger.organization.pk), pytest.raises(Http404):
        access_membership(stranger.viewer, pk)


@pytest.mark.parametrize("fetch", [access_organization, access_memberships, access_invitations])
def test_who_belongs_nowhere_finds_nothing(fetch: Callable[[Viewer], object]) -> None:
    with pytest.raises(Http404):
        fetch(VISITOR)


def test_a_viewer_of_another_scope_finds_nothing(owner: Person, stranger: Person) -> None:
    """A mix-up of viewer and scope shows no rows rather than the wrong ones."""
    with scope_to(stranger.organization.pk), pytest.raises(Http404):
        access_memberships(owner.viewer)


def test_managing_is_for_owners_and_admins(readonly: Person, teammate: Person, manager: Person, owner: Person) -> None:
    for person in (readonly, teammate):
        with pytest.raises(PermissionDenied):
            require_managing(person.viewer)
    for person in (manager, owner):
        require_managing(person.viewer)


# ---- the acceptance page stands before


@acceptance_required
def board(request: HttpRequest) -> HttpResponse:
    return HttpResponse("board")


def seen_by(viewer: Viewer) -> HttpResponse:
    request = RequestFactory().get("/history?page=2")
    request.viewer = viewer  # type: ignore[attr-defined]  # as the middleware does
    return board(request)


def test_a_member_accepts_first() -> None:
    member = Viewer(1, 1, Role.OWNER, DESK, accepted=False)
    assert seen_by(member)["Location"] == "/accept/?next=%2Fhistory%3Fpage%3D2"
    assert seen_by(Viewer(1, 1, Role.OWNER, DESK, accepted=True)).content == b"board"
    assert seen_by(VISITOR).content == b"board"
