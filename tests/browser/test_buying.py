"""Buying a plan with a real browser, through the policy that says where forms may lead."""

import pytest
from playwright.sync_api import expect

from tests.billing.shop import Shop, plan_of
from tests.browser.conftest import OpenPage, Watched
from tests.browser.test_pages import NARROW, SMALL_TARGETS, TAGS, axe
from tests.people import Person


def test_from_the_table_of_plans_to_the_payment_page_and_back(
    shop: Shop, open_page: OpenPage, watched: Watched, freebie: Person
) -> None:
    watched.allow("404 (Not Found)")  # the payment page has no icon
    page = open_page("/billing/plans/", user=freebie.client)
    page.get_by_role("button", name="Try Pro").click()
    page.get_by_role("button", name="Go to the payment page").click()
    page.wait_for_url(f"{shop.sandbox.url}/**")
    (session,) = shop.sandbox.call(lambda: list(shop.sandbox.world.table("checkout.session")))
    page = open_page("/billing/return/", user=freebie.client)
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for the payment provider")
    shop.pay(session)
    shop.deliver()
    assert plan_of(freebie) == "pro"
    expect(page.get_by_role("heading", level=1)).to_have_text("You are on Pro")


@pytest.mark.parametrize("path", ["/billing/", "/billing/plans/", "/billing/invoices/", "/billing/cancel/"])
@pytest.mark.parametrize("width", [320, 1280])
def test_pages_are_sound(shop: Shop, open_page: OpenPage, freebie: Person, path: str, width: int) -> None:
    shop.buy(freebie)
    shop.deliver()
    page = open_page(path, user=freebie.client, width=width)
    assert axe(page, TAGS) == []
    assert page.evaluate(SMALL_TARGETS) == []
    assert page.evaluate(NARROW) == []
