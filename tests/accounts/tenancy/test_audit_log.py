"""The audit log (security row S25): every act leaves a row with who, what and from where; and its page."""

import csv
import io
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import URLPattern
from pytest_django import Settings

from accounts import urls
from accounts.audit import one_line, record
from accounts.audit_reading import plain_cell
from accounts.inviting import invite
from accounts.models import Role
from accounts.scoping import scope_to
from tests.accounts.tenancy.acts import entries, place_of, prove
from tests.factories import join, make_user
from tests.people import Person, person

pytestmark = pytest.mark.django_db
Act = tuple[str, dict[str, str]]


def _invitation(owner: Person) -> str:
    with scope_to(owner.organization.pk):
        found = invite(owner.organization, owner.user, "new@desk.example", Role.MEMBER, "http://testserver/{token}")
    return str(found.pk)


def _guest(owner: Person) -> str:
    return str(join(owner.organization, make_user("guest@desk.example")).pk)


def _closing(owner: Person) -> Act:
    prove(owner).post("/organization/close/", {"name": "Desk"})
    return "/organization/keep/", {}


ACTS: dict[str, tuple[Callable[[Person], Act], str]] = {
    "rename": (lambda _: ("/organization/rename/", {"name": "New"}), "organization.renamed"),
    "switch": (
        lambda owner: ("/organization/switch/", {"organization": owner.organization.slug}),
        "session.switched",
    ),
    "invite": (lambda _: ("/organization/invite/", {"email": "x@desk.example", "role": "member"}), "member.invited"),
    "withdraw": (
        lambda owner: (f"/organization/invitations/{_invitation(owner)}/withdraw/", {}),
        "member.uninvited",
    ),
    "role": (lambda owner: (f"/organization/members/{_guest(owner)}/role/", {"role": "admin"}), "member.role_changed"),
    "remove": (lambda owner: (f"/organization/members/{_guest(owner)}/remove/", {}), "member.removed"),
    "found": (lambda _: ("/organization/new/", {"name": "Second"}), "organization.founded"),
    "transfer": (
        lambda owner: ("/organization/transfer/", {"heir": _guest(owner), "name": "Desk"}),
        "ownership.transferred",
    ),
    "close-organization": (lambda _: ("/organization/close/", {"name": "Desk"}), "organization.closing"),
    "keep-organization": (_closing, "organization.kept"),
    "export": (lambda _: ("/privacy/export/", {"of": "person"}), "export.asked"),
    "close-account": (lambda owner: ("/privacy/close/", {"name": owner.user.email}), "account.closing"),
    "keep-account": (
        lambda owner: (
            prove(owner).post("/privacy/close/", {"name": owner.user.email}),
            ("/privacy/keep/", {}),
        )[1],
        "account.kept",
    ),
}
TOLD_ELSEWHERE = {"accept", "invitation", "end-impersonation"}
"""Tried by test_acceptance below, tests/accounts/test_invitations.py and test_impersonation.py."""
LOOKING = {"organization", "audit", "audit-csv", "privacy", "download"}


def test_every_route_that_changes_something_is_walked() -> None:
    """A new route of `accounts` is either here or a page that changes nothing."""
    names = {str(pattern.name) for pattern in urls.urlpatterns if isinstance(pattern, URLPattern)}
    assert names == set(ACTS) | TOLD_ELSEWHERE | LOOKING


@pytest.mark.parametrize("route", ACTS)
def test_every_act_leaves_one_row_with_who_what_and_where(route: str, owner: Person) -> None:
    prove(owner)
    make, action = ACTS[route]
    path, data = make(owner)
    response = owner.client.post(path, data, headers={"X-Request-ID": "walk-12345678"}, REMOTE_ADDR="198.51.100.7")
    assert response.status_code == 302, response.content
    (entry,) = entries(request_id="walk-12345678", action=action)
    assert (entry.user_id, entry.actor) == (owner.user.pk, f"user:{owner.user.pk}")
    assert entry.ip == "198.51.100.7"
    assert "@" not in f"{entry.actor}{entry.details}"


def test_acceptance_leaves_a_row(newcomer: Person) -> None:
    newcomer.client.post("/accept/", {"terms": "on", "risk": "on"}, headers={"X-Request-ID": "accept-1234"})
    assert [entry.action for entry in entries(request_id="accept-1234")] == ["terms.accepted"]


@pytest.mark.parametrize(("proxies", "found"), [([], "10.0.0.1"), (["10.0.0.0/8"], "203.0.113.77")])
def test_a_spoofed_address_is_ignored(owner: Person, settings: Settings, proxies: list[str], found: str) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": "6.6.6.6, 203.0.113.77"}
    owner.client.post("/organization/rename/", {"name": "New"}, headers=headers, REMOTE_ADDR="10.0.0.1")
    assert entries(action="organization.renamed")[-1].ip == found


def test_a_task_has_no_address(owner: Person) -> None:
    with scope_to(owner.organization.pk):
        record("test.act", organization_id=owner.organization.pk, actor="task:test")
    (entry,) = entries(action="test.act")
    assert (entry.ip, entry.request_id, entry.actor) == (None, "", "task:test")


@pytest.mark.parametrize("sign", ["\r", "\n", "\x00", "\x1b", "\x85", "\u2028", "\u2029"])
def test_a_name_stays_on_one_line(owner: Person, sign: str) -> None:
    if sign != "\x00":  # Django's forms refuse it
        owner.client.post("/organization/rename/", {"name": f"Nice{sign}2026-01-01 admin did it"})
        for entry in entries():
            assert sign not in f"{entry.actor}{entry.facts}"
    assert one_line(f"a{sign}b") == "a b"


# ---- the page


def test_before_and_after_are_shown(owner: Person) -> None:
    owner.client.post("/organization/rename/", {"name": "Fresh <b>name</b>"})
    page = owner.client.get("/organization/audit/").content.decode()
    assert "organization.renamed" in page
    assert "Fresh &lt;b&gt;name&lt;/b&gt;" in page
    assert owner.user.email in page


def test_filters(owner: Person, manager: Person) -> None:
    owner.client.post("/organization/rename/", {"name": "One"})
    manager.client.post("/organization/rename/", {"name": "Two"})

    def shown(**query: str) -> list[str]:
        lines = owner.client.get("/organization/audit.csv", query).content.decode()
        return [row["details"] for row in csv.DictReader(io.StringIO(lines))]

    assert len(shown(action="organization.renamed")) == 2
    assert len(shown(action="organization.renamed", who=str(manager.user.pk))) == 1
    assert shown(since="2000-01-01", until="2000-01-31") == []
    day = entries(action="organization.renamed")[0].at.date().isoformat()
    assert len(shown(action="organization.renamed", since=day, until=day)) == 2


@pytest.mark.parametrize("query", [{"who": "999999"}, {"who": "x"}, {"action": "no.such"}, {"since": "yesterday"}])
@pytest.mark.parametrize("path", ["/organization/audit/", "/organization/audit.csv"])
def test_a_filter_that_cannot_be_is_refused(owner: Person, query: dict[str, str], path: str) -> None:
    response = owner.client.get(path, query)
    assert response.status_code == 422
    assert b"form-errors" in response.content


def test_long_logs_come_in_pages(owner: Person) -> None:
    with scope_to(owner.organization.pk):
        for number in range(120):
            record("test.act", user=owner.user, organization_id=owner.organization.pk, n=number)
    first = owner.client.get("/organization/audit/?action=test.act").content.decode()
    last = owner.client.get("/organization/audit/?action=test.act&page=3").content.decode()
    assert "Page 1 of 3" in first
    assert "action=test.act&amp;page=2" in first
    assert 'rel="next"' not in last


def test_the_other_tenants_rows_are_not_there(owner: Person, stranger: Person) -> None:
    stranger.client.post("/organization/rename/", {"name": "Their secret plan"})
    for path in ("/organization/audit/", "/organization/audit.csv"):
        page = owner.client.get(path).content.decode()
        assert "secret plan" not in page
        assert stranger.user.email not in page
        foreign = owner.client.get(path, {"who": str(stranger.user.pk)}).content.decode()
        absent = owner.client.get(path, {"who": "999999"}).content.decode()
        assert foreign.count("form-errors") == absent.count("form-errors") == 1


def test_cells_are_no_formulas(owner: Person) -> None:
    bad = ["=1+1", "+1", "-1", "@x", "\tx", "\rx"]
    for text in bad:
        assert plain_cell(text) == f"'{text}"
    assert plain_cell("plain") == "plain"
    writer = person(make_user("=cmd|' /C calc'!a0@desk.example"), owner.organization)
    join(owner.organization, writer.user, Role.ADMIN)
    writer.client.post("/organization/rename/", {"name": "=HYPERLINK()"})
    rows = list(csv.reader(io.StringIO(owner.client.get("/organization/audit.csv").content.decode())))
    assert any(cell.startswith("'=cmd") for row in rows for cell in row)
    assert not any(cell[:1] in {"=", "+", "-", "@"} for row in rows for cell in row)


def test_a_member_who_left_is_still_named(owner: Person, teammate: Person) -> None:
    client: Client = teammate.client
    client.post(f"/organization/members/{place_of(teammate).pk}/remove/")
    assert teammate.user.email in owner.client.get("/organization/audit/").content.decode()


def test_details_never_name_anybody(owner: Person) -> None:
    """All that the suite's acts have written so far: what is for ever holds numbers."""
    _invitation(owner)
    _guest(owner)
    for entry in entries():
        assert "@" not in str(entry.details)
