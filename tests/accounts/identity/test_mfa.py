"""Second factors: set up, asked for, used once, sealed, and never gone around (S7)."""

import json

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from accounts.identity.factors import has_mfa
from accounts.models import User
from lib.sealing import unseal
from tests.accounts.identity.doing import Browser, audited, code_of, link_in, set_up_totp, signed_in
from tests.factories import PASSWORD, give_totp
from tests.people import Person
from tests.smtp_sink import SmtpSink

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("steady")]
STEP = "/accounts/2fa/authenticate/"


def second_step(browser: Browser, code: str) -> bool:
    """Sign in with the password, then with a code; whether that let the browser in."""
    assert browser.sign_in()["Location"] == STEP
    assert not browser.is_in
    browser.client.post(STEP, {"code": code})
    return browser.is_in


def test_an_app_is_set_up_and_asked_for(ada: User, browser: Browser) -> None:
    assert not has_mfa(ada)
    secret, codes = set_up_totp(browser)
    assert has_mfa(ada)
    assert len(set(codes)) == 10
    assert second_step(Browser(ada.email), code_of(secret))
    assert [act for act in audited(ada) if act.startswith("mfa.")] == ["mfa.totp_added", "mfa.recovery_codes_added"]


def test_a_wrong_code_sets_nothing_up(ada: User, browser: Browser) -> None:
    browser.reauthenticate()
    browser.client.get("/accounts/2fa/totp/activate/")
    answer = browser.client.post("/accounts/2fa/totp/activate/", {"code": "000000"})
    assert b"form-errors" in answer.content
    assert not has_mfa(ada)


def test_a_code_works_once(ada: User) -> None:
    secret = give_totp(ada)
    code = code_of(secret)
    assert second_step(Browser(ada.email), code)
    assert not second_step(Browser(ada.email), code)


def test_a_code_of_the_period_before_is_none(ada: User, steady: time_machine.Traveller) -> None:
    code = code_of(give_totp(ada))
    steady.shift(30)
    assert not second_step(Browser(ada.email), code)


def test_a_recovery_code_works_once(ada: User, browser: Browser) -> None:
    _, codes = set_up_totp(browser)
    assert second_step(Browser(ada.email), codes[3])
    assert not second_step(Browser(ada.email), codes[3])
    assert second_step(Browser(ada.email), codes[4])
    assert audited(ada).count("mfa.recovery_code_used") == 2


def test_recovery_codes_are_shown_once(ada: User, browser: Browser) -> None:
    _, codes = set_up_totp(browser)
    again = browser.client.get("/accounts/2fa/recovery-codes/").content.decode()
    assert not any(code in again for code in codes)
    assert browser.client.get("/accounts/2fa/recovery-codes/download/").status_code == 403


def test_new_recovery_codes_end_the_old(ada: User, browser: Browser) -> None:
    _, codes = set_up_totp(browser)
    answer = browser.client.post("/accounts/2fa/recovery-codes/generate/", follow=True)
    assert answer.content.count(b"<li><code>") == 10
    assert not second_step(Browser(ada.email), codes[0])
    assert "mfa.recovery_codes_made" in audited(ada)


def test_what_is_kept_opens_nothing(ada: User, browser: Browser) -> None:
    secret, codes = set_up_totp(browser)
    rows = {row.type: row.data for row in Authenticator.objects.filter(user=ada)}
    text = json.dumps(rows)
    assert secret not in text
    assert not any(code in text for code in codes)
    assert unseal(rows["totp"]["secret"], context="mfa") == secret


def test_guessing_codes_is_limited(ada: User) -> None:
    secret = give_totp(ada)
    browser = Browser(ada.email)
    browser.sign_in()
    for guess in range(5):
        browser.client.post(STEP, {"code": f"00000{guess}"})
    browser.client.post(STEP, {"code": code_of(secret)})
    assert not browser.is_in


def test_a_new_password_is_no_second_factor(ada: User, sink: SmtpSink) -> None:
    secret = give_totp(ada)
    client = Client()
    client.post("/accounts/password/reset/", {"email": ada.email})
    form = client.get(link_in(sink, r"/accounts/password/reset/key/\S+"), follow=True)
    new = {"password1": "difference engine", "password2": "difference engine"}
    assert client.post(form.redirect_chain[-1][0], new).status_code == 302
    thief = Browser(ada.email, client)
    assert not thief.is_in
    assert thief.sign_in("difference engine")["Location"] == STEP
    assert not thief.is_in
    client.post(STEP, {"code": code_of(secret)})
    assert thief.is_in


def test_switching_it_off_asks_who_it_is_first(ada: User) -> None:
    secret = give_totp(ada)
    browser = Browser(ada.email)
    second_step(browser, code_of(secret))
    asked = browser.client.post("/accounts/2fa/totp/deactivate/")
    assert asked["Location"].startswith("/accounts/reauthenticate/")
    assert has_mfa(ada)
    cache.clear()
    browser.reauthenticate()
    assert browser.client.post("/accounts/2fa/totp/deactivate/").status_code == 302
    assert not has_mfa(ada)
    assert not Authenticator.objects.filter(user=ada).exists()
    assert "mfa.totp_removed" in audited(ada)


def test_a_code_serves_to_say_again_who_it_is(ada: User) -> None:
    secret = give_totp(ada)
    browser = Browser(ada.email)
    second_step(browser, code_of(secret))
    cache.clear()
    assert browser.client.post("/accounts/2fa/reauthenticate/", {"code": "000000"}).status_code == 200
    assert browser.client.post("/accounts/2fa/reauthenticate/", {"code": code_of(secret)}).status_code == 302


def test_a_new_factor_ends_other_sessions(ada: User, browser: Browser) -> None:
    elsewhere = signed_in(ada)
    set_up_totp(browser)
    assert browser.is_in
    assert not elsewhere.is_in
    assert "sessions.ended" in audited(ada)


def test_every_page_is_ours(ada: User, browser: Browser) -> None:
    set_up_totp(browser)
    pages = ("", "totp/deactivate/", "recovery-codes/", "recovery-codes/generate/", "reauthenticate/", "webauthn/",
             "webauthn/add/")  # fmt: skip
    for page in pages:
        answer = browser.client.get(f"/accounts/2fa/{page}")
        assert answer.status_code == 200, page
        assert b'class="title"' in answer.content, page
        assert b"style=" not in answer.content, page
    waiting = Browser(ada.email)
    waiting.sign_in()
    assert b'class="title"' in waiting.client.get(STEP).content


def test_mail_tells_of_a_new_factor(browser: Browser, sink: SmtpSink) -> None:
    set_up_totp(browser)
    text = sink.messages[-1].get_payload(decode=True)
    assert isinstance(text, bytes)
    assert b"Authenticator app activated." in text
    assert b"If that was not you" in text


# ---- the console


def plain_operator() -> Browser:
    """An operator with nothing but a password."""
    return signed_in(User.objects.create_superuser("root@candor.example", PASSWORD))


def test_the_console_asks_operators_for_one(db: None, operator: Person) -> None:
    browser = plain_operator()
    for page in ("/console/", "/console/accounts/user/"):
        assert browser.client.get(page)["Location"] == "/accounts/2fa/"
    assert b"The console asks" in browser.client.get("/accounts/2fa/").content
    set_up_totp(browser)
    assert browser.client.get("/console/").status_code == 200
    assert operator.client.get("/console/").status_code == 200


def test_the_console_of_one_machine_may_do_without(db: None, settings: Settings) -> None:
    settings.CONSOLE_MFA = False
    assert plain_operator().client.get("/console/").status_code == 200


def test_an_operator_removes_a_lost_factor(ada: User, operator: Person) -> None:
    secret = give_totp(ada)
    browser = Browser(ada.email)
    assert second_step(browser, code_of(secret))
    pk = Authenticator.objects.get(user=ada).pk
    path = f"/console/mfa/authenticator/{pk}/"
    assert secret.encode() not in operator.client.get(path + "change/").content
    assert operator.client.post(path + "delete/", {"post": "yes"}).status_code == 302
    assert not has_mfa(ada)
    assert not browser.is_in
    assert "mfa.removed_by_operator" in audited(operator.user)


def test_an_operator_removes_several(ada: User, operator: Person) -> None:
    give_totp(ada)
    browser = Browser(ada.email)
    pk = Authenticator.objects.get(user=ada).pk
    facts = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    assert operator.client.post("/console/mfa/authenticator/", facts).status_code == 302
    assert browser.sign_in()["Location"] == "/"
    assert audited(operator.user).count("mfa.removed_by_operator") == 1


@pytest.mark.parametrize("page", ["mfa/authenticator/", "usersessions/usersession/", "account/emailaddress/"])
def test_the_consoles_pages_open_and_search(page: str, operator: Person, browser: Browser) -> None:
    answer = operator.client.get(f"/console/{page}", {"q": "ada"})
    assert answer.status_code == 200
    assert str(browser.client.session.session_key).encode() not in answer.content
