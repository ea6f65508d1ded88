"""The pages about signing in, under the same eye as all others."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from accounts.models import User
from tests.browser.conftest import OpenPage, Watched
from tests.browser.test_pages import looked_at
from tests.factories import PASSWORD, make_organization, make_user

EMAIL = "ada@lovelace.example"
LISTED = ("/accounts/2fa/", "/accounts/email/", "/accounts/password/change/", "/accounts/sessions/",
          "/organization/security/", "/accounts/2fa/webauthn/")  # fmt: skip


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


def test_pages_about_signing_in(ada: User, open_page: OpenPage, watched: Watched) -> None:
    watched.allow("404")
    page = open_page("/accounts/login/")
    wrong = looked_at(page, "login")
    page.locator("#id_login").fill(EMAIL)
    page.locator("#id_password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    for path in LISTED:
        page.goto(path)
        wrong += looked_at(page, path)
    page.goto("/accounts/2fa/totp/activate/")
    wrong += looked_at(page, "asked again")
    page.locator("#id_password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".qr")).to_be_visible()
    wrong += looked_at(page, "set-up")
    page.locator("#id_code").fill("000000")
    page.get_by_role("button", name="Switch it on").click()
    expect(page.locator(".form-errors")).to_be_focused()
    wrong += looked_at(page, "wrong code")
    assert wrong == []
