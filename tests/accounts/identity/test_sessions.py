"""Sessions: how long they last, how they are ended, and what ends with them (S8)."""

from datetime import timedelta

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.test import Client
from pytest_django import Settings

from accounts.access import viewer_of_scope
from accounts.identity.sessions import end_sessions
from accounts.models import User
from lib.clock import wall_now
from tests.accounts.identity.doing import Browser, audited, entry, signed_in
from tests.factories import PASSWORD
from tests.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
IDLE_H, ABSOLUTE_H = 72, 30 * 24
PAGE = "/accounts/sessions/"


def own_id(browser: Browser) -> int:
    return int(UserSession.objects.get(session_key=browser.client.session.session_key).pk)


def test_a_session_gets_a_new_key_at_sign_in(ada: User) -> None:
    browser = Browser(ada.email)
    browser.client.get("/accounts/login/")
    session = browser.client.session
    session["planted"] = "by somebody else"
    session.save()
    planted = str(session.session_key)
    browser.client.cookies["sessionid"] = planted
    browser.sign_in()
    assert browser.client.session.session_key != planted
    assert Client(headers={"cookie": f"sessionid={planted}"}).get(PAGE).status_code == 302


@pytest.mark.parametrize(("hours", "open_"), [(IDLE_H - 1, True), (IDLE_H, False)])
def test_a_session_left_alone_ends(ada: User, hours: int, open_: bool) -> None:
    start = wall_now()
    with time_machine.travel(start, tick=False) as clock:
        browser = signed_in(ada)
        clock.shift(timedelta(hours=hours))
        assert browser.is_in is open_


def test_use_keeps_a_session_until_it_is_too_old(ada: User) -> None:
    with time_machine.travel(wall_now(), tick=False) as clock:
        browser = signed_in(ada)
        for _ in range(0, ABSOLUTE_H - 48, 48):
            clock.shift(timedelta(hours=48))
            assert browser.is_in
        clock.shift(timedelta(hours=47))
        assert browser.is_in
        clock.shift(timedelta(hours=1))
        assert not browser.is_in


def test_the_limits_are_settings(ada: User, settings: Settings) -> None:
    settings.SESSION_IDLE = timedelta(hours=1)
    with time_machine.travel(wall_now(), tick=False) as clock:
        browser = signed_in(ada)
        clock.shift(timedelta(minutes=61))
        assert not browser.is_in


def test_a_socket_may_stay_no_longer_than_its_session(ada: User) -> None:
    with time_machine.travel(wall_now(), tick=False) as clock:
        browser = signed_in(ada)
        assert viewer_of_scope({"session": browser.client.session}).user_id == ada.pk
        clock.shift(timedelta(hours=IDLE_H))
        assert viewer_of_scope({"session": browser.client.session}).is_visitor


def test_use_is_written_down_now_and_then(ada: User) -> None:
    with time_machine.travel(wall_now(), tick=False) as clock:
        browser = signed_in(ada)
        row = UserSession.objects.get()
        seen = [row.last_seen_at]
        for _ in range(4):
            clock.shift(timedelta(seconds=100))
            assert browser.is_in
            row.refresh_from_db()
            seen.append(row.last_seen_at)
    assert len(set(seen)) == 2


def test_a_session_from_before_the_limits_gets_them(ada: User) -> None:
    browser = signed_in(ada)
    session = browser.client.session
    del session["began_at"], session["seen_at"]
    session.save()
    assert browser.is_in
    assert browser.client.session["began_at"]


# ---- the list


def test_sessions_are_listed_and_ended_one_by_one(ada: User, browser: Browser) -> None:
    telephone, laptop = signed_in(ada), signed_in(ada)
    page = browser.client.get(PAGE).content.decode()
    assert page.count("/end/") == 3
    assert "this one" in page
    assert browser.client.post(f"{PAGE}{own_id(telephone)}/end/").status_code == 302
    assert (browser.is_in, telephone.is_in, laptop.is_in) == (True, False, True)
    assert entry(ada, "sessions.ended").details["sessions"] == 1


def test_all_others_are_ended_at_once(ada: User, browser: Browser) -> None:
    others = [signed_in(ada) for _ in range(2)]
    assert browser.client.post(PAGE).status_code == 302
    assert browser.is_in
    assert not any(other.is_in for other in others)


def test_ones_own_session_is_ended_like_signing_out(browser: Browser) -> None:
    assert browser.client.post(f"{PAGE}{own_id(browser)}/end/").status_code == 302
    assert not browser.is_in


def test_nobody_ends_a_session_of_another(browser: Browser, owner: Person, visitor: Person) -> None:
    pk = own_id(browser)
    assert owner.client.post(f"{PAGE}{pk}/end/").status_code == 404
    assert visitor.client.post(f"{PAGE}{pk}/end/").status_code == 302
    assert browser.client.get(f"{PAGE}{pk}/end/").status_code == 405
    assert browser.is_in
    assert b"Ada" not in owner.client.get(PAGE).content


def test_ending_none_writes_nothing(ada: User) -> None:
    assert end_sessions(ada, reason="test") == 0
    assert "sessions.ended" not in audited(ada)


# ---- what ends them


def test_a_new_password_ends_the_others(ada: User, browser: Browser) -> None:
    elsewhere = signed_in(ada)
    new = {"oldpassword": PASSWORD, "password1": "difference engine", "password2": "difference engine"}
    assert browser.client.post("/accounts/password/change/", new).status_code == 302
    assert (browser.is_in, elsewhere.is_in) == (True, False)
    assert UserSession.objects.filter(user=ada).count() == 1


def test_a_disabled_user_is_out_of_all(ada: User, browser: Browser) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert not browser.is_in
    assert Browser(ada.email).sign_in()["Location"] == "/accounts/inactive/"


def test_switching_an_account_on_again_opens_no_old_session(ada: User, browser: Browser) -> None:
    for is_active in (False, True):
        ada.is_active = is_active
        ada.save()
    assert not browser.is_in
    assert "sessions.ended" in audited(ada)
    assert signed_in(ada).is_in


# ---- before what cannot be taken back


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/accounts/email/", {"action_add": "", "email": "new@lovelace.example"}),
        ("/accounts/2fa/totp/activate/", {"code": "123456"}),
        ("/accounts/2fa/webauthn/add/", {"credential": "{}"}),
        ("/accounts/2fa/recovery-codes/generate/", {}),
    ],
)
def test_who_it_is_is_asked_again(browser: Browser, path: str, data: dict[str, str]) -> None:
    assert browser.client.post(path, data)["Location"].startswith("/accounts/reauthenticate/?next=")


def test_a_new_password_asks_for_the_old(browser: Browser) -> None:
    new = {"oldpassword": "a guess", "password1": "difference engine", "password2": "difference engine"}
    assert b"form-errors" in browser.client.post("/accounts/password/change/", new).content


def test_having_said_so_holds_for_five_minutes(ada: User) -> None:
    with time_machine.travel(wall_now(), tick=False) as clock:
        browser = signed_in(ada)
        browser.reauthenticate()
        clock.shift(299)
        assert browser.client.get("/accounts/2fa/totp/activate/").status_code == 200
        clock.shift(2)
        assert browser.client.get("/accounts/2fa/totp/activate/").status_code == 302
