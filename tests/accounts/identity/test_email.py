"""The address: confirmed before the first sign-in, and confirmed before another takes its place; over real SMTP."""

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from tests.accounts.identity.doing import Browser, audited, entry, link_in, set_up_totp, signed_in
from tests.factories import make_user
from tests.people import lasting
from tests.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db(transaction=True)
SIGN_UP = {"email": "grace@hopper.example", "password1": "analytical engine", "password2": "analytical engine"}
LINK = r"/accounts/confirm-email/\S+"


@pytest.fixture(autouse=True)
def in_life(settings: Settings) -> None:
    """Addresses are confirmed before the first sign-in, as on a server."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


@pytest.fixture
def settled(ada: User) -> Browser:
    """Ada's browser; her address is confirmed."""
    EmailAddress.objects.create(user=ada, email=ada.email, verified=True, primary=True)
    return signed_in(ada)


def ask_for(browser: Browser, email: str = "countess@lovelace.example") -> None:
    browser.reauthenticate()
    browser.client.post("/accounts/email/", {"action_add": "", "email": email})


def test_a_servers_settings_ask_for_confirmation() -> None:
    from config.settings import base

    assert base.ACCOUNT_EMAIL_VERIFICATION == "mandatory"


def test_sign_up_opens_with_the_link_that_was_mailed(db: None, sink: SmtpSink) -> None:
    browser = Browser("grace@hopper.example")
    assert browser.client.post("/accounts/signup/", SIGN_UP)["Location"] == "/accounts/confirm-email/"
    assert not browser.is_in
    assert browser.sign_in("analytical engine")["Location"] == "/accounts/confirm-email/"
    assert not browser.is_in
    link = link_in(sink, LINK)
    browser.client.get(link)
    assert not browser.is_in  # looking confirms nothing
    browser.client.post(link)
    assert browser.is_in


def test_the_link_opens_nothing_in_another_browser(db: None, sink: SmtpSink) -> None:
    Client().post("/accounts/signup/", SIGN_UP)
    other = Browser("grace@hopper.example")
    other.client.post(link_in(sink, LINK))
    assert not other.is_in
    assert EmailAddress.objects.get().verified
    assert other.sign_in("analytical engine")["Location"] == "/"


def test_a_known_address_signs_up_like_a_new_one(ada: User, sink: SmtpSink) -> None:
    answers = [
        Client().post("/accounts/signup/", SIGN_UP | {"email": email}, follow=True)
        for email in ("grace@hopper.example", ada.email)
    ]
    assert answers[0].redirect_chain == answers[1].redirect_chain
    pages = [lasting(answer.content) for answer in answers]
    assert pages[0].replace("grace@hopper.example", "X") == pages[1].replace(ada.email, "X")
    assert sorted(str(message["To"]) for message in sink.messages) == [ada.email, "grace@hopper.example"]
    assert User.objects.count() == 2


def test_a_new_address_takes_over_once_it_is_confirmed(ada: User, settled: Browser, sink: SmtpSink) -> None:
    before = ada.email
    ask_for(settled)
    ada.refresh_from_db()
    assert ada.email == before
    assert b"waits to be confirmed" in settled.client.get("/accounts/email/").content
    assert sink.messages[-1]["To"] == "countess@lovelace.example"
    settled.client.post(link_in(sink, LINK))
    ada.refresh_from_db()
    assert ada.email == "countess@lovelace.example"
    assert [row.email for row in EmailAddress.objects.filter(user=ada)] == [ada.email]
    assert {key: entry(ada, "email.changed").personal[key] for key in ("before", "after")} == {
        "before": before,
        "after": ada.email,
    }
    assert sink.messages[-1]["To"] == before  # the old one is told
    assert Browser(before).sign_in().status_code == 200
    assert Browser(ada.email).sign_in().status_code == 302


def test_the_first_confirmation_is_no_change(ada: User, sink: SmtpSink) -> None:
    Browser(ada.email).sign_in()
    Client().post(link_in(sink, LINK))
    assert "email.changed" not in audited(ada)


def test_a_change_is_taken_back(ada: User, settled: Browser, sink: SmtpSink) -> None:
    ask_for(settled)
    link = link_in(sink, LINK)
    settled.client.post("/accounts/email/", {"action_remove": "", "email": "countess@lovelace.example"})
    settled.client.post(link)
    ada.refresh_from_db()
    assert ada.email == "ada@lovelace.example"


def test_an_address_of_somebody_else_is_not_given_away(ada: User, settled: Browser, sink: SmtpSink) -> None:
    other = make_user("grace@hopper.example")
    EmailAddress.objects.create(user=other, email=other.email, verified=True, primary=True)
    ask_for(settled, other.email)
    assert sink.messages[-1]["To"] == other.email  # as if it were free: who asks learns nothing
    Client().post(link_in(sink, LINK))
    other.refresh_from_db()
    assert other.email == "grace@hopper.example"
    ada.refresh_from_db()
    assert ada.email == "ada@lovelace.example"


def test_nothing_changes_without_saying_again_who_it_is(ada: User, settled: Browser, sink: SmtpSink) -> None:
    answer = settled.client.post("/accounts/email/", {"action_add": "", "email": "thief@elsewhere.example"})
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert not sink.messages


def test_a_second_factor_does_not_nail_the_address_down(ada: User, settled: Browser, sink: SmtpSink) -> None:
    set_up_totp(settled)
    ask_for(settled)
    settled.client.post(link_in(sink, LINK))
    ada.refresh_from_db()
    assert ada.email == "countess@lovelace.example"
