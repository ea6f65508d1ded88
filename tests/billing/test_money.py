"""Amounts as people write them, notices, and what is told of the provider's errors."""

import pytest
from django.core.cache import cache
from django.test import RequestFactory
from pytest_django import Settings

from accounts.access import VISITOR
from accounts.scoping import scope_to
from billing.catalogue import LOOKUP_KEYS, decimals, is_upgrade, money, read_catalogue
from billing.errors import BillingError
from billing.gateway import PAGES, client, page_origins, speaking
from billing.models import CheckoutAttempt, Customer, Subscription
from billing.notices import banner_notice, notice_of
from lib.clock import wall_now
from tests.billing.shop import Shop, age, row_of
from tests.people import Person


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (2900, "usd", "$29.00"),
        (-450, "eur", "−€4.50"),
        (123456789, "gbp", "£1,234,567.89"),
        (3200, "jpy", "JPY 3,200"),
        (1, "kwd", "KWD 0.001"),
        (0, "chf", "CHF 0.00"),
    ],
)
def test_money(amount: int, currency: str, text: str) -> None:
    assert money(amount, currency) == text


def test_decimals_and_order_of_plans() -> None:
    assert [decimals(word) for word in ("usd", "jpy", "kwd")] == [2, 0, 3]
    assert is_upgrade("pro", "desk")
    assert not is_upgrade("desk", "pro")
    assert not is_upgrade("pro", "pro")
    assert is_upgrade("", "pro")


def test_the_catalogue_is_stripes_and_kept_for_a_while(shop: Shop) -> None:
    catalogue = read_catalogue()
    assert [price.lookup_key for price in catalogue.prices] == list(LOOKUP_KEYS)
    assert catalogue.currencies == ("usd", "eur", "gbp")
    assert catalogue.prices[0].product
    shop.sandbox.fault("down", times=-1)
    assert read_catalogue() == catalogue
    cache.clear()
    with pytest.raises(BillingError, match="does not answer") as away:
        read_catalogue()
    assert not away.value.permanent


def test_refusals_are_permanent_and_in_words(shop: Shop) -> None:
    with pytest.raises(BillingError, match="refused this request") as refused, speaking("customer"):
        client().v1.customers.retrieve("cus_nobody")
    assert refused.value.permanent


def test_forms_lead_to_stripe_or_to_the_sandbox_only(shop: Shop, settings: Settings) -> None:
    assert page_origins() == [shop.sandbox.url]
    settings.STRIPE_API_BASE = "https://api.stripe.com"
    assert page_origins() == list(PAGES)


STATES = {
    "past_due": ("warn", "A payment failed. Pro stays until"),
    "unpaid": ("bad", "Pay the open invoice"),
    "incomplete": ("warn", "is not finished yet"),
    "paused": ("warn", "is paused"),
}


@pytest.mark.parametrize("status", STATES)
def test_notices(shop: Shop, freebie: Person, status: str) -> None:
    shop.buy(freebie)
    shop.deliver()
    assert notice_of(row_of(freebie)) is None
    age(freebie, status=status, past_due_since=wall_now())
    with scope_to(freebie.organization.pk):
        found = banner_notice(freebie.viewer)
    assert found is not None
    tone, words = STATES[status]
    assert (found.tone, words in found.text) == (tone, True)
    assert "%" not in found.text


def test_no_banner_for_who_has_none(shop: Shop, freebie: Person, settings: Settings) -> None:
    shop.buy(freebie)
    shop.deliver()
    age(freebie, cancel_at_period_end=True)
    with scope_to(freebie.organization.pk):
        assert notice_of(row_of(freebie)) is not None
        assert banner_notice(freebie.viewer) is None, "it was wanted so"
        assert banner_notice(None) is banner_notice(VISITOR) is None
        settings.STRIPE_SECRET_KEY = ""
        assert banner_notice(freebie.viewer) is None


def test_rows_name_themselves(shop: Shop, freebie: Person, rf: RequestFactory) -> None:
    shop.buy(freebie)
    shop.deliver()
    with scope_to(freebie.organization.pk):
        texts = [str(model.objects.get()) for model in (Customer, Subscription, CheckoutAttempt)]
    assert [text.split("_")[0].split(" ")[0] for text in texts] == ["cus", "sub", "candor"]
