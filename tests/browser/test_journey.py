"""A customer's whole way, in a real browser: from signing up to being forgotten."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from accounts.audit import operator_work
from accounts.erasing import erase_due
from accounts.models import DataExport, Organization, User
from accounts.scoping import acting_as
from accounts.tasks import make_person_export
from lib.clock import wall_now
from tests.accounts.identity.doing import code_of, link_in
from tests.billing.shop import Shop
from tests.browser.conftest import OpenPage, Watched
from tests.smtp_sink import SmtpSink

GRACE, HOPPER, PASSWORD = "grace@hopper.example", "howard@hopper.example", "analytical engine"
CARD = {"#name": "Grace Hopper", "#number": "4242 4242 4242 4242", "#expiry": "12 / 40", "#cvc": "123"}


@pytest.fixture(autouse=True)
def as_on_a_server(settings: Settings, sink: SmtpSink, tmp_path: Path) -> None:
    """Mail leaves over SMTP, and an address is confirmed before the first sign-in."""
    settings.VAR_DIR, settings.ACCOUNT_EMAIL_VERIFICATION = tmp_path, "mandatory"


def sign_up(page: Page, email: str, sink: SmtpSink) -> None:
    page.goto("/accounts/signup/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile("/accounts/confirm-email/"))
    page.goto(link_in(sink, r"/accounts/confirm-email/\S+"))
    page.get_by_role("button", name="Confirm").click()


def accept(page: Page) -> None:
    page.goto("/accept/")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Go on").click()


def test_from_signing_up_to_being_forgotten(
    sink: SmtpSink, shop: Shop, open_page: OpenPage, watched: Watched, tmp_path: Path
) -> None:
    watched.allow("404 (Not Found)")  # the payment page has no icon
    page = open_page("/")
    sign_up(page, GRACE, sink)
    accept(page)
    enable_totp(page)
    invite(page, open_page, sink)
    expect(page.get_by_text("Free plan, 2 of 2 seats")).to_be_visible()
    buy(page, shop)
    page.goto("/organization/")
    expect(page.get_by_text("Pro plan, 2 of 5 seats")).to_be_visible()
    assert delay_of(page) == 0
    cancel(page)
    end_period(page, shop)
    page.goto("/organization/")
    expect(page.get_by_text("Free plan, 2 of 2 seats")).to_be_visible()
    assert delay_of(page) == 900
    export(page, tmp_path)
    be_forgotten(page)


def enable_totp(page: Page) -> None:
    page.goto("/accounts/2fa/totp/activate/")
    prove(page)
    secret = page.locator(".secret").inner_text()
    page.get_by_label("code", exact=False).fill(code_of(secret))
    page.get_by_role("main").get_by_role("button").first.click()
    page.goto("/accounts/2fa/")
    expect(page.get_by_text("Authenticator app").first).to_be_visible()


def prove(page: Page) -> None:
    """Type the password again where it is asked for."""
    if "/reauthenticate/" in page.url:
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("main").get_by_role("button").first.click()


def invite(page: Page, open_page: OpenPage, sink: SmtpSink) -> None:
    page.goto("/organization/")
    page.get_by_label("Email address").fill(HOPPER)
    page.get_by_role("button", name="Send the invitation").click()
    link = link_in(sink, r"/invitation/\S+")
    mate = open_page("/")
    sign_up(mate, HOPPER, sink)
    mate.goto(link)
    mate.get_by_role("main").get_by_role("button").first.click()
    expect(mate.get_by_role("heading", level=1)).to_contain_text("grace")


def buy(page: Page, shop: Shop) -> None:
    page.goto("/billing/plans/")
    page.get_by_role("button", name="Try Pro").click()
    page.get_by_role("button", name="Go to the payment page").click()
    page.wait_for_url(f"{shop.sandbox.url}/**")
    for field, text in CARD.items():
        page.locator(field).fill(text)
    page.locator('button[value="pay"]').click()
    page.wait_for_url("**/billing/return/**")
    shop.deliver()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are on Pro")


def delay_of(page: Page) -> int:
    return int(page.request.get("/api/v1/me").json()["delay_s"])


def cancel(page: Page) -> None:
    """In three clicks from the organization's page, with the end date said before the last."""
    page.goto("/organization/")
    page.get_by_role("link", name="Billing").click()
    page.get_by_role("link", name="Cancel the plan").click()
    expect(page.get_by_text("stays until")).to_be_visible()
    page.get_by_role("button", name="Cancel at the end").click()
    expect(page.get_by_role("button", name="Keep the plan")).to_be_visible()


def end_period(page: Page, shop: Shop) -> None:
    shop.deliver()
    shop.sandbox.advance(15 * 86_400)
    shop.deliver()
    page.goto("/billing/")
    expect(page.get_by_role("heading", name="Free plan")).to_be_visible()


def export(page: Page, folder: Path) -> None:
    page.goto("/privacy/")
    page.get_by_role("button", name="Make a copy").first.click()
    if "/reauthenticate/" in page.url:
        prove(page)
        page.get_by_role("button", name="Make a copy").first.click()
    make_copies()
    page.goto("/privacy/")
    with page.expect_download() as download:
        page.get_by_role("link", name="Fetch").first.click()
    download.value.save_as(folder / "copy.zip")
    assert (folder / "copy.zip").stat().st_size > 500


def make_copies() -> None:
    """What the worker does with a copy that was asked for."""
    user = User.objects.get(email=GRACE)
    with acting_as(user.pk):
        wanted = DataExport.objects.get(user=user)
    assert make_person_export(str(wanted.pk))


def let_days_pass() -> None:
    """The days of grace are over."""
    with operator_work("test", "let the days of grace pass"):
        Organization.objects.filter(erase_at__isnull=False).update(erase_at=wall_now())
    User.objects.filter(erase_at__isnull=False).update(erase_at=wall_now())


def be_forgotten(page: Page) -> None:
    page.goto("/privacy/close/")
    prove(page)
    expect(page.get_by_text("Hand them over or close them first")).to_be_visible()
    page.goto("/organization/")
    page.get_by_role("button", name="Remove").click()
    page.goto("/privacy/close/")
    page.get_by_role("textbox").fill(GRACE)
    page.get_by_role("button", name="Close my account").click()
    expect(page.get_by_text("will be erased").first).to_be_visible()
    let_days_pass()
    assert erase_due() > 0
    assert not User.objects.filter(email=GRACE).exists()
    page.goto("/organization/")
    expect(page).to_have_url(re.compile("/accounts/login/"))
