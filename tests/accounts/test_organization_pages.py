"""Every page of `accounts`, as everybody (security row S1): strangers find nothing, lower roles are refused."""

import re
from uuid import uuid4

import psycopg
import pytest
from django.apps import apps
from django.http import HttpResponse
from django.urls import URLPattern
from psycopg import sql
from pytest_django import Settings

from accounts import urls
from accounts.access import SESSION_ORGANIZATION
from accounts.audit import operator_work
from accounts.inviting import invite
from accounts.models import AuditEntry, Invitation, Membership, Organization, Role
from accounts.scoping import scope_to
from tests.factories import PASSWORD, join, make_user
from tests.people import Person

WRITES = (
    "rename",
    "switch",
    "invite",
    "withdraw",
    "role",
    "remove",
    "keep-organization",
    "export",
    "keep-account",
    "end-impersonation",
)
PRINCIPALS = ("owner", "manager", "teammate", "readonly", "stranger", "operator", "visitor")


@pytest.fixture
def everybody(request: pytest.FixtureRequest) -> dict[str, Person]:
    return {name: request.getfixturevalue(name) for name in PRINCIPALS}


@pytest.fixture
def guest(owner: Person) -> Membership:
    """One more member of the owner's organization, whom nobody is signed in as."""
    return join(owner.organization, make_user("guest@desk.example"))


@pytest.fixture
def open_invitation(owner: Person) -> Invitation:
    with scope_to(owner.organization.pk):
        return invite(owner.organization, owner.user, "new@desk.example", Role.MEMBER, "http://testserver/{token}")


def send(person: Person, route: str, guest: Membership, invitation: Invitation) -> HttpResponse:
    """The valid request of each route, aimed at the owner's organization."""
    targets: dict[str, tuple[str, dict[str, str] | None]] = {
        "accept": ("/accept/", {"terms": "on", "risk": "on"}),
        "organization": ("/organization/", None),
        "rename": ("/organization/rename/", {"name": "Renamed"}),
        "switch": ("/organization/switch/", {"organization": guest.organization.slug}),
        "invite": ("/organization/invite/", {"email": "x@desk.example", "role": "member"}),
        "withdraw": (f"/organization/invitations/{invitation.pk}/withdraw/", {}),
        "role": (f"/organization/members/{guest.pk}/role/", {"role": "readonly"}),
        "remove": (f"/organization/members/{guest.pk}/remove/", {}),
        "invitation": ("/invitation/no-such-token/", {}),
        "audit": ("/organization/audit/", None),
        "audit-csv": ("/organization/audit.csv", None),
        "found": ("/organization/new/", {"name": "Second"}),
        "transfer": ("/organization/transfer/", {"heir": str(guest.pk), "name": guest.organization.name}),
        "close-organization": ("/organization/close/", {"name": guest.organization.name}),
        "keep-organization": ("/organization/keep/", {}),
        "privacy": ("/privacy/", None),
        "export": ("/privacy/export/", {"of": "person"}),
        "download": (f"/privacy/export/{uuid4()}/", None),
        "close-account": ("/privacy/close/", {"name": person.account.email if person.account else ""}),
        "keep-account": ("/privacy/keep/", {}),
        "end-impersonation": ("/impersonation/end/", {}),
    }
    path, data = targets[route]
    if person.account is not None and route in REAUTHENTICATED:
        person.client.post("/accounts/reauthenticate/", {"password": password_of(person)})
    return person.client.get(path) if data is None else person.client.post(path, data)  # type: ignore[return-value]  # the test client's subclass


REAUTHENTICATED = {"close-organization", "export", "download", "close-account"}
FORBIDDEN_BELOW_ADMIN = {"rename", "invite", "withdraw", "role", "remove", "audit", "audit-csv"}
FORBIDDEN_BELOW_OWNER = {"transfer", "close-organization", "keep-organization"}
OWN_TENANT = {"rename", "invite", "organization", "audit", "audit-csv", "keep-organization"}
"""A stranger acts on their own organization there."""
OWN_SELF = {"accept", "found", "privacy", "export", "close-account", "keep-account"}
NOBODYS = {"invitation", "download", "end-impersonation"}
REFUSED = {("owner", "close-account"), ("operator", "close-account"), ("stranger", "transfer")}
REFUSED |= {("stranger", "close-organization")}
SHOWN = {"organization", "audit", "audit-csv", "privacy"}


def password_of(person: Person) -> str:
    return "an operator's password" if person.user.is_staff else PASSWORD


def expected(route: str, name: str) -> int:
    """The status of a valid request."""
    if name == "visitor":
        return 302  # to the sign-in page
    if route in NOBODYS:
        return 404
    if (name, route) in REFUSED:
        return 422
    if route in OWN_SELF:
        return expected_of_oneself(route)
    if name == "operator" or (name == "stranger" and route not in OWN_TENANT):
        return 404
    if name in {"teammate", "readonly"} and route in FORBIDDEN_BELOW_ADMIN:
        return 403
    if name in {"manager", "teammate", "readonly"} and route in FORBIDDEN_BELOW_OWNER:
        return 403
    return expected_of_oneself(route)


def expected_of_oneself(route: str) -> int:
    return 200 if route in SHOWN else 302


@pytest.mark.parametrize("name", PRINCIPALS)
@pytest.mark.parametrize("route", [pattern.name for pattern in urls.urlpatterns])
def test_every_route_as_everybody(
    route: str, name: str, everybody: dict[str, Person], guest: Membership, open_invitation: Invitation
) -> None:
    response = send(everybody[name], route, guest, open_invitation)
    assert response.status_code == expected(route, name)
    if name == "visitor":
        assert response["Location"].startswith("/accounts/login/")
    assert b"guest@desk.example" not in response.content or name not in {"stranger", "operator", "visitor"}


def test_every_route_is_tried(owner: Person, guest: Membership, open_invitation: Invitation) -> None:
    for pattern in urls.urlpatterns:
        assert isinstance(pattern, URLPattern)
        assert send(owner, str(pattern.name), guest, open_invitation).status_code in {200, 302, 404, 422}


@pytest.mark.parametrize("route", WRITES)
def test_a_write_is_no_get(route: str, owner: Person, guest: Membership, open_invitation: Invitation) -> None:
    patterns = {str(pattern.name): str(pattern.pattern) for pattern in urls.urlpatterns}
    path = "/" + re.sub(r"<int:pk>", str(guest.pk), patterns[route])
    assert owner.client.get(path).status_code == 405


def test_a_refused_stranger_changes_nothing(
    owner: Person, stranger: Person, guest: Membership, open_invitation: Invitation
) -> None:
    for route in ("withdraw", "role", "remove", "switch"):
        send(stranger, route, guest, open_invitation)
    with scope_to(owner.organization.pk):
        assert Membership.objects.get(pk=guest.pk).role == Role.MEMBER
        assert Invitation.objects.filter(pk=open_invitation.pk).exists()
    assert SESSION_ORGANIZATION not in stranger.client.session


def test_foreign_and_absent_look_the_same(stranger: Person, guest: Membership) -> None:
    answers = [stranger.client.post(f"/organization/members/{pk}/remove/") for pk in (guest.pk, 10**9)]
    assert [answer.status_code for answer in answers] == [404, 404]


# ---- what the writes do


def roles_of(organization: Organization) -> dict[str, str]:
    with scope_to(organization.pk):
        return {row.user.email: row.role for row in Membership.objects.select_related("user")}


def actions_of(organization: Organization) -> list[str]:
    with scope_to(organization.pk):
        return list(AuditEntry.objects.order_by("at").values_list("action", flat=True))


def test_the_owner_changes_a_role(owner: Person, guest: Membership) -> None:
    owner.client.post(f"/organization/members/{guest.pk}/role/", {"role": "admin"})
    assert roles_of(owner.organization)["guest@desk.example"] == "admin"
    assert actions_of(owner.organization)[-1] == "member.role_changed"


@pytest.mark.parametrize("data", [{}, {"role": "king"}])
def test_an_unknown_role_is_refused(owner: Person, guest: Membership, data: dict[str, str]) -> None:
    response = owner.client.post(f"/organization/members/{guest.pk}/role/", data)
    assert (response.status_code, roles_of(owner.organization)["guest@desk.example"]) == (422, "member")


def test_an_admin_neither_makes_nor_touches_owners(owner: Person, manager: Person, guest: Membership) -> None:
    with scope_to(owner.organization.pk):
        own = Membership.objects.get(user=owner.user)
    for pk, role in ((guest.pk, "owner"), (own.pk, "member")):
        response = manager.client.post(f"/organization/members/{pk}/role/", {"role": role})
        assert response.status_code == 422
        assert b"Only an owner" in response.content
    assert manager.client.post(f"/organization/members/{own.pk}/remove/").status_code == 422
    assert roles_of(owner.organization)["owner@desk.example"] == "owner"


def test_the_last_owner_stays(owner: Person, manager: Person, guest: Membership) -> None:
    with scope_to(owner.organization.pk):
        own = Membership.objects.get(user=owner.user)
    assert owner.client.post(f"/organization/members/{own.pk}/role/", {"role": "member"}).status_code == 422
    assert owner.client.post(f"/organization/members/{own.pk}/remove/").status_code == 422
    owner.client.post(f"/organization/members/{guest.pk}/role/", {"role": "owner"})
    assert owner.client.post(f"/organization/members/{own.pk}/remove/").status_code == 302
    assert "owner@desk.example" not in roles_of(owner.organization)


def test_a_removed_member_sees_nothing_more(owner: Person, teammate: Person) -> None:
    with scope_to(owner.organization.pk):
        membership = Membership.objects.get(user=teammate.user)
    owner.client.post(f"/organization/members/{membership.pk}/remove/")
    assert teammate.client.get("/organization/").status_code == 404


@pytest.mark.parametrize("name", ["teammate", "readonly"])
def test_everyone_may_leave(name: str, owner: Person, request: pytest.FixtureRequest) -> None:
    leaver: Person = request.getfixturevalue(name)
    with scope_to(owner.organization.pk):
        membership = Membership.objects.get(user=leaver.user)
    assert leaver.client.post(f"/organization/members/{membership.pk}/remove/")["Location"] == "/"
    assert leaver.user.email not in roles_of(owner.organization)


def test_rename(owner: Person) -> None:
    assert owner.client.post("/organization/rename/", {"name": " "}).status_code == 422
    assert owner.client.post("/organization/rename/", {"name": "Alpha <b>"}).status_code == 302
    page = owner.client.get("/organization/").content.decode()
    assert "Alpha &lt;b&gt;" in page
    assert "Alpha <b>" not in page
    assert actions_of(owner.organization)[-1] == "organization.renamed"


def test_the_plan_is_not_a_form_field(owner: Person) -> None:
    owner.client.post("/organization/rename/", {"name": "Desk", "plan": "pro"})
    assert owner.viewer.plan.key == "desk"


def test_switching_between_two_organizations(owner: Person, stranger: Person) -> None:
    join(stranger.organization, owner.user, Role.READONLY)
    page = owner.client.get("/organization/").content.decode()
    assert stranger.organization.slug in page
    response = owner.client.post("/organization/switch/", {"organization": stranger.organization.slug, "next": "/x"})
    assert response["Location"] == "/x"
    assert b"stranger@elsewhere.example" in owner.client.get("/organization/").content
    assert owner.client.post("/organization/rename/", {"name": "Mine now"}).status_code == 403


@pytest.mark.parametrize("next_page", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_no_redirect_to_elsewhere(owner: Person, next_page: str) -> None:
    data = {"organization": owner.organization.slug, "next": next_page}
    assert owner.client.post("/organization/switch/", data)["Location"] == "/"


# ---- terms and risk disclaimer


def test_nothing_is_accepted_by_looking(newcomer: Person) -> None:
    page = newcomer.client.get("/accept/?next=/history").content.decode()
    assert "checked" not in page
    assert 'value="/history"' in page
    assert not newcomer.viewer.accepted


@pytest.mark.parametrize("data", [{}, {"terms": "on"}, {"risk": "on"}])
def test_both_boxes_are_needed(newcomer: Person, data: dict[str, str]) -> None:
    response = newcomer.client.post("/accept/", data)
    assert b"form-errors" in response.content
    assert not newcomer.viewer.accepted


def test_acceptance_is_stored_once_with_version_time_and_address(newcomer: Person, settings: Settings) -> None:
    for _ in range(2):
        response = newcomer.client.post("/accept/", {"terms": "on", "risk": "on", "next": "/history"})
        assert response["Location"] == "/history"
        with operator_work("test", "read the log"):
            assert AuditEntry.objects.filter(action="terms.accepted", user=newcomer.user).count() == 1
    acceptance = newcomer.user.acceptances.get()
    assert (acceptance.version, acceptance.ip) == (settings.TERMS_VERSION, "127.0.0.1")
    assert newcomer.viewer.is_live
    settings.TERMS_VERSION = "2031-01"
    assert newcomer.viewer.must_accept


# ---- cross-site requests


@pytest.mark.parametrize("route", [*WRITES, "accept", "invitation"])
def test_a_post_without_token_is_refused(
    route: str, owner: Person, guest: Membership, open_invitation: Invitation
) -> None:
    owner.client.handler.enforce_csrf_checks = True
    assert send(owner, route, guest, open_invitation).status_code == 403


# ---- looking changes nothing


def state(raw: psycopg.Connection[tuple[object, ...]]) -> dict[str, object]:
    """A hash of every table of `accounts`, seen by an operator."""
    found: dict[str, object] = {}
    with raw.transaction(force_rollback=True):
        raw.execute("SELECT set_config('app.operator', 'on', true)")
        for model in apps.get_app_config("accounts").get_models():
            table = sql.Identifier(model._meta.db_table)
            rows = raw.execute(sql.SQL("SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {} t").format(table))
            found[model.__name__] = rows.fetchone()
    return found


@pytest.mark.parametrize("name", ["owner", "readonly", "visitor"])
def test_no_get_changes_a_row(
    name: str,
    app_connection: psycopg.Connection[tuple[object, ...]],
    everybody: dict[str, Person],
    guest: Membership,
    open_invitation: Invitation,
) -> None:
    before = state(app_connection)
    for pattern in urls.urlpatterns:
        path = re.sub(r"<int:pk>", str(guest.pk), str(pattern.pattern))
        path = path.replace("<str:token>", "some-token").replace("<uuid:pk>", str(uuid4()))
        everybody[name].client.get(f"/{path}")
        everybody[name].client.head(f"/{path}")
    assert state(app_connection) == before
