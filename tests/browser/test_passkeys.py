"""Passkeys with a real browser, a virtual authenticator and our Content-Security-Policy (S7)."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect

from accounts.identity.factors import has_mfa
from accounts.models import User
from tests.browser.conftest import OpenPage, Watched
from tests.factories import PASSWORD, make_organization, make_user

EMAIL = "ada@lovelace.example"


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """Rate limits live in the cache, which outlives a test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ada(transactional_db: None) -> User:
    """Owns an organization."""
    user = make_user(EMAIL)
    make_organization(user)
    return user


@pytest.fixture
def page(ada: User, open_page: OpenPage, site: str, watched: Watched) -> Page:
    """The sign-in page under a name: a browser makes no passkeys for a bare address."""
    named = site.replace("127.0.0.1", "localhost")
    watched.allow("off the machine: http://localhost")
    return open_page(f"{named}/accounts/login/")


def plug_in(page: Page) -> Any:  # noqa: ANN401  # playwright's session and the device's id
    """A device that holds passkeys and knows its owner."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    device = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]
    return session, device


def origin(page: Page) -> str:
    """Scheme, name and port of the site."""
    return page.url[: page.url.index("/", len("http://"))]


def sign_in(page: Page) -> None:
    page.get_by_label("Email").fill(EMAIL)
    page.locator("#id_password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def add_key(page: Page, *, passwordless: bool) -> None:
    page.goto(origin(page) + "/accounts/2fa/webauthn/add/")
    page.locator("#id_password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name").fill("Laptop")
    if passwordless:
        page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")


def test_a_passkey_is_added_and_signs_in_alone(page: Page, ada: User) -> None:
    plug_in(page)
    sign_in(page)
    add_key(page, passwordless=True)
    assert has_mfa(ada)
    page.get_by_role("button", name="Sign out").click()
    page.goto(origin(page) + "/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_security_key_is_asked_for_after_the_password(page: Page) -> None:
    plug_in(page)
    sign_in(page)
    add_key(page, passwordless=False)
    page.get_by_role("button", name="Sign out").click()
    page.goto(origin(page) + "/accounts/login/")
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    page.get_by_role("button", name="Use a passkey or security key").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_device_that_refuses_is_explained(page: Page) -> None:
    session, device = plug_in(page)
    session.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("The passkey was not used")
