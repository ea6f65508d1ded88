"""One request, one transaction, one tenant."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.test import AsyncClient, RequestFactory
from pytest_django import DjangoAssertNumQueries

from accounts.access import SESSION_ORGANIZATION, Viewer, viewer_of
from accounts.audit import operator_work
from accounts.middleware import TenantMiddleware
from accounts.models import AuditEntry, Membership, Role, User
from accounts.scoping import acting_as
from lib.transactions import on_commit
from tests.factories import join
from tests.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
View = Callable[[HttpRequest], HttpResponse]


def setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting(%s, true), '')", [f"app.{name}"])
        return str(cursor.fetchall()[0][0])


def ask(
    person: Person, view: View, *, method: str = "get", path: str = "/", session: dict[str, Any] | None = None
) -> HttpResponse:
    """One request through the middleware alone."""
    request: HttpRequest = getattr(RequestFactory(), method)(path)
    request.user = person.account or AnonymousUser()
    request.session = SessionStore()
    request.session.update(session or {})
    return TenantMiddleware(view)(request)


def test_a_member_is_inside_their_organization(owner: Person) -> None:
    seen: list[Viewer] = []

    def view(request: HttpRequest) -> HttpResponse:
        assert connection.in_atomic_block
        assert setting("organization") == str(owner.organization.pk)
        assert setting("user") == str(owner.user.pk)
        assert [row.user_id for row in Membership.objects.all()] == [owner.user.pk]
        seen.append(viewer_of(request))
        return HttpResponse()

    ask(owner, view)
    assert seen == [owner.viewer]
    assert (seen[0].role, seen[0].plan.key, seen[0].may_write) == (Role.OWNER, "desk", True)
    assert setting("organization") == setting("user") == ""


@pytest.mark.parametrize(("method", "in_transaction"), [("get", False), ("head", False), ("post", True)])
def test_a_visitor_holds_a_transaction_only_to_write(visitor: Person, method: str, in_transaction: bool) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        assert connection.in_atomic_block is in_transaction
        assert viewer_of(request).is_visitor
        return HttpResponse()

    assert ask(visitor, view, method=method).status_code == 200


def test_the_session_chooses_among_own_organizations_only(owner: Person, stranger: Person) -> None:
    join(stranger.organization, owner.user, Role.READONLY)

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(f"{viewer_of(request).organization_id} {setting('organization')}")

    mine, theirs = owner.organization.pk, stranger.organization.pk
    for wanted, given in ((None, mine), (mine, mine), (theirs, theirs), (10**9, mine), ("x'; --", mine)):
        assert ask(owner, view, session={SESSION_ORGANIZATION: wanted}).content.decode() == f"{given} {given}"
    assert ask(stranger, view, session={SESSION_ORGANIZATION: mine}).content.decode() == f"{theirs} {theirs}"


@pytest.mark.parametrize(("status", "kept"), [(200, True), (302, True), (400, False), (404, False), (500, False)])
@pytest.mark.parametrize("name", ["owner", "visitor"])
def test_a_refused_request_changes_nothing(name: str, status: int, kept: bool, request: pytest.FixtureRequest) -> None:
    news: list[str] = []

    def view(_: HttpRequest) -> HttpResponse:
        User.objects.create_user("made@desk.example")
        on_commit(lambda: news.append("made"))
        return HttpResponse(status=status)

    ask(request.getfixturevalue(name), view, method="post")
    assert User.objects.filter(email="made@desk.example").exists() is kept
    assert news == ["made"] * kept


def test_an_error_that_gets_through_undoes_everything(owner: Person) -> None:
    def view(_: HttpRequest) -> HttpResponse:
        User.objects.create_user("made@desk.example")
        raise Http404

    with pytest.raises(Http404):
        ask(owner, view)
    assert not User.objects.filter(email="made@desk.example").exists()
    assert setting("organization") == ""


def test_a_broken_transaction_is_left_behind(owner: Person) -> None:
    """A view that turns a database error into an answer leaves nothing broken for the next request."""

    def view(_: HttpRequest) -> HttpResponse:
        with connection.cursor() as cursor:
            try:
                cursor.execute("SELECT 1/0")
            except Exception as error:  # noqa: BLE001  # what Django's own handler does
                return HttpResponse(type(error).__name__, status=500)
        return HttpResponse()

    assert ask(owner, view).status_code == 500
    assert not connection.in_atomic_block
    assert ask(owner, lambda _: HttpResponse()).status_code == 200


def test_a_user_without_organization_sees_no_tenant(operator: Person, owner: Person) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        assert viewer_of(request).organization_id is None
        assert setting("organization") == ""
        return HttpResponse()

    ask(operator, view)


def test_only_an_operators_console_requests_open_the_walls(operator: Person, owner: Person) -> None:
    def view(_: HttpRequest) -> HttpResponse:
        return HttpResponse(setting("operator"))

    assert ask(operator, view, path="/console/accounts/").content == b"on"
    assert ask(operator, view, path="/organization/").content == b""
    with pytest.raises(Http404):
        ask(owner, view, path="/console/accounts/")
    with operator_work("test", "read the log"):
        entries = AuditEntry.objects.filter(action="operator.work", user=operator.user)
        reasons = [entry.details["reason"] for entry in entries]
    assert reasons == ["admin GET /console/accounts/"]


def test_the_operators_trace_outlives_a_refusal(operator: Person) -> None:
    ask(operator, lambda _: HttpResponse(status=500), path="/console/")
    with operator_work("test", "read the log"):
        assert AuditEntry.objects.filter(action="operator.work", user=operator.user).count() == 1


def test_walls_are_back_after_an_inner_savepoint(owner: Person) -> None:
    def view(_: HttpRequest) -> HttpResponse:
        with acting_as(owner.user.pk), transaction.atomic():
            transaction.set_rollback(True)
        return HttpResponse(setting("user"))

    assert ask(owner, view).content.decode() == str(owner.user.pk)


def test_the_number_of_statements_stays_small(
    owner: Person, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(11):
        ask(owner, lambda _: HttpResponse())


async def test_the_walls_hold_under_asgi(owner: Person, stranger: Person) -> None:
    """The middleware is synchronous: Django runs it, and all it encloses, in one thread with one connection."""
    for person in (owner, stranger):
        client = AsyncClient()
        client.cookies["sessionid"] = person.client.cookies["sessionid"].value
        page = (await client.get("/organization/")).content.decode()
        for other in (owner, stranger):
            assert (other.user.email in page) is (other is person)
