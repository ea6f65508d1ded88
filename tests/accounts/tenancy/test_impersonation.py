"""An operator looks as somebody else (security row S32): to read, for half an hour, marked, and on the record."""

from datetime import datetime, timedelta

import pytest
from django.urls import URLPattern, get_resolver

from accounts import urls
from accounts.impersonating import SESSION_IMPERSONATION
from accounts.models import User
from lib.clock import wall_now
from tests.accounts.tenancy.acts import entries
from tests.people import Person

pytestmark = pytest.mark.django_db


def start(operator: Person, target: Person, reason: str = "ticket 12") -> int:
    address = f"/console/accounts/user/{target.user.pk}/see-as/"
    return operator.client.post(address, {"reason": reason, "name": target.user.email}).status_code


def test_it_shows_what_the_person_sees(operator: Person, owner: Person, teammate: Person) -> None:
    assert start(operator, owner) == 302
    page = operator.client.get("/organization/").content.decode()
    assert teammate.user.email in page
    for address in ("/", "/organization/", "/organization/audit/", "/history", "/no-such-page/"):
        page = operator.client.get(address).content.decode()
        assert f"You see Candor as {owner.user.email}" in page, address
        assert operator.user.email in page
    assert "You see Candor as" not in owner.client.get("/organization/").content.decode()


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_reason_is_needed(operator: Person, owner: Person, reason: str) -> None:
    assert start(operator, owner, reason) == 422
    assert SESSION_IMPERSONATION not in operator.client.session


def test_never_an_operator_nor_a_switched_off_account(operator: Person, owner: Person, teammate: Person) -> None:
    User.objects.filter(pk=owner.user.pk).update(is_staff=True)
    User.objects.filter(pk=teammate.user.pk).update(is_active=False)
    for target in (owner, teammate, operator):
        assert start(operator, target) == 422


def test_nothing_can_be_changed(operator: Person, owner: Person) -> None:
    start(operator, owner)
    rows = len(entries(user=owner.user))
    for pattern in urls.urlpatterns:
        assert isinstance(pattern, URLPattern)
        if pattern.name == "end-impersonation":
            continue
        path = "/" + str(pattern.pattern).replace("<int:pk>", "1").replace("<str:token>", "t")
        for method in ("post", "put", "patch", "delete"):
            response = getattr(operator.client, method)(path)
            assert response.status_code == 403, (method, path)
            assert b"can only read" in response.content
    assert len(entries(user=owner.user)) == rows


def test_pages_about_the_persons_own_secrets_stay_closed(operator: Person, owner: Person) -> None:
    start(operator, owner)
    for path in ("/accounts/email/", "/accounts/password/change/", "/accounts/reauthenticate/", "/privacy/"):
        assert operator.client.get(path).status_code == 403, path
    names = {str(pattern.pattern) for pattern in get_resolver().url_patterns}
    assert "accounts/" in names


def test_there_is_no_console_inside(operator: Person, owner: Person) -> None:
    start(operator, owner)
    for path in ("/console/", f"/console/accounts/user/{owner.user.pk}/see-as/"):
        assert operator.client.get(path).status_code == 404


def test_the_button_ends_it(operator: Person, owner: Person) -> None:
    start(operator, owner)
    assert operator.client.post("/impersonation/end/")["Location"] == "/console/"
    assert operator.client.get("/console/").status_code == 200
    assert operator.client.get("/organization/").status_code == 404
    assert operator.client.post("/impersonation/end/").status_code == 404


def test_both_ends_are_in_both_logs(operator: Person, owner: Person) -> None:
    start(operator, owner)
    operator.client.post("/impersonation/end/")
    for organization in (None, owner.organization.pk):
        began, ended = entries(action__startswith="impersonation.", organization_id=organization)
        assert (began.action, ended.action) == ("impersonation.started", "impersonation.ended")
        assert (began.user_id, began.details["of"], began.details["reason"]) == (
            operator.user.pk,
            owner.user.pk,
            "ticket 12",
        )
    log = owner.client.get("/organization/audit/").content.decode()
    assert "impersonation.started" in log
    assert "ticket 12" in log


def test_it_is_over_after_half_an_hour(operator: Person, owner: Person) -> None:
    start(operator, owner)
    session = operator.client.session
    until = datetime.fromisoformat(session[SESSION_IMPERSONATION]["until"])
    assert timedelta(minutes=29) < until - wall_now() <= timedelta(minutes=30)
    session[SESSION_IMPERSONATION] = {**session[SESSION_IMPERSONATION], "until": wall_now().isoformat()}
    session.save()
    assert operator.client.get("/console/").status_code == 200
    assert entries(action="impersonation.ended")[0].details["how"] == "its time was over"


def test_signing_out_ends_it_on_the_record(operator: Person, owner: Person) -> None:
    start(operator, owner)
    operator.client.post("/accounts/logout/")
    assert entries(action="impersonation.ended")[0].details["how"] == "signed out"
    assert operator.client.get("/organization/").status_code == 302


def test_it_ends_with_the_account(operator: Person, owner: Person) -> None:
    start(operator, owner)
    User.objects.filter(pk=owner.user.pk).update(is_active=False)
    assert operator.client.get("/organization/").status_code == 404
    assert operator.client.get("/console/").status_code == 200


def test_a_session_that_is_no_operators_cannot_have_it(owner: Person, stranger: Person) -> None:
    session = owner.client.session
    until = (wall_now() + timedelta(minutes=5)).isoformat()
    session[SESSION_IMPERSONATION] = {"user_id": stranger.user.pk, "organization_id": None, "until": until}
    session.save()
    assert stranger.user.email not in owner.client.get("/organization/").content.decode()
