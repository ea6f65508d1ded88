"""Proration: the preview is the charge, and what is billed adds up over any sequence of changes."""

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe as library
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.sandbox.amounts import rounded, totals, unused
from billing.sandbox.server import Sandbox
from tests.billing.sandbox.conftest import DAY, DESK, DESK_YEAR, PRO, PRO_YEAR, Shop, client_of

START = int(datetime(2027, 4, 1, tzinfo=UTC).timestamp())
MONTH = 30 * DAY
CENTS = {PRO: 2900, DESK: 9900}


def fresh(sandbox: Sandbox) -> tuple[Shop, str, str, library.Subscription]:
    shop = Shop(sandbox, client_of(sandbox))
    clock = shop.clock(START)
    customer = shop.customer(test_clock=clock)
    return shop, clock, customer, shop.subscribe(customer)


def wish(subscription: library.Subscription, price: str, at: int, how: str = "always_invoice", **more: Any) -> Any:  # noqa: ANN401  # the library's typed dictionaries differ between its calls
    items = [{"id": subscription.items.data[0].id, "price": price, **more}]
    return {"items": items, "proration_behavior": how, "proration_date": at}


def preview(shop: Shop, subscription: library.Subscription, details: Any) -> library.Invoice:  # noqa: ANN401  # see wish
    return shop.stripe.v1.invoices.create_preview({"subscription": subscription.id, "subscription_details": details})


def lines(invoice: library.Invoice) -> list[tuple[int, str | None]]:
    return [(line.amount, line.description) for line in invoice.lines.data]


def test_half_a_month_of_each(sandbox: Sandbox) -> None:
    shop, clock, customer, made = fresh(sandbox)
    shop.advance(clock, START + MONTH // 2)
    details = wish(made, DESK, START + MONTH // 2)
    shown = preview(shop, made, details)
    assert [amount for amount, _ in lines(shown)] == [-1450, 4950]
    detail = shown.lines.data[0].parent
    assert detail is not None
    assert detail.subscription_item_details is not None
    assert detail.subscription_item_details.proration
    shop.advance(clock, START + MONTH // 2 + 900)  # the customer thinks for a quarter of an hour
    details["payment_behavior"] = "error_if_incomplete"
    shop.stripe.v1.subscriptions.update(made.id, details)
    charged = shop.invoices(customer)[-1]
    assert lines(charged) == lines(shown)
    assert (charged.total, charged.amount_due, charged.status) == (3500, 3500, "paid")
    assert shop.invoices(customer)[-1].billing_reason == "subscription_update"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seconds=st.integers(1, MONTH - 1),
    price=st.sampled_from([DESK, PRO_YEAR, DESK_YEAR]),
    how=st.sampled_from(["always_invoice", "create_prorations", "none"]),
    quantity=st.integers(1, 9),
)
def test_the_preview_is_what_is_charged(sandbox: Sandbox, seconds: int, price: str, how: str, quantity: int) -> None:
    shop, clock, customer, made = fresh(sandbox)
    shop.advance(clock, START + seconds)
    details = wish(made, price, START + seconds, how, quantity=quantity)
    shown = preview(shop, made, details)
    before = len(shop.invoices(customer))
    assert shop.subscription(made).items.data[0].price.id == PRO  # looking changes nothing
    shop.stripe.v1.subscriptions.update(made.id, details)
    if len(shop.invoices(customer)) == before:
        shop.advance(clock, shop.subscription(made).items.data[0].current_period_end)
    charged = shop.invoices(customer)[-1]
    assert (charged.total, charged.amount_due, charged.ending_balance) == (
        shown.total,
        shown.amount_due,
        shown.ending_balance,
    )
    assert sorted(lines(charged)) == sorted(lines(shown))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(
        st.tuples(st.integers(0, MONTH - 1), st.sampled_from([PRO, DESK]), st.integers(1, 5)), min_size=1, max_size=8
    )
)
def test_what_is_billed_is_what_was_had(sandbox: Sandbox, changes: list[tuple[int, str, int]]) -> None:
    """Over any changes within a period, money moved equals price times time to within half a cent a line."""
    shop, clock, customer, made = fresh(sandbox)
    moments = sorted(changes)
    held, since, owed = 2900, 0, 0  # amount per period, second it began, amount times seconds
    for second, price, quantity in moments:
        if second > 0 and shop.stripe.v1.test_helpers.test_clocks.retrieve(clock).frozen_time < START + second:
            shop.advance(clock, START + second)
        shop.stripe.v1.subscriptions.update(made.id, wish(made, price, START + second, quantity=quantity))
        owed += held * (second - since)
        held, since = CENTS[price] * quantity, second
    owed += held * (MONTH - since)
    invoices = shop.invoices(customer)
    billed = sum(invoice.total for invoice in invoices)
    rounding = sum(len(invoice.lines.data) for invoice in invoices[1:]) / 2
    assert abs(billed - owed / MONTH) <= rounding
    moved = sum(invoice.amount_paid for invoice in invoices)
    assert moved + (shop.stripe.v1.customers.retrieve(customer).balance or 0) == billed


def test_there_and_back_in_one_second_costs_nothing(sandbox: Sandbox) -> None:
    shop, clock, customer, made = fresh(sandbox)
    at = START + 1_234_567
    shop.advance(clock, at)
    for price in (DESK, PRO):
        shop.stripe.v1.subscriptions.update(made.id, wish(made, price, at))
    assert sum(invoice.total for invoice in shop.invoices(customer)[1:]) == 0


def test_a_discount_is_credited_as_it_was_given(sandbox: Sandbox) -> None:
    shop = Shop(sandbox, client_of(sandbox))
    clock = shop.clock(START)
    customer = shop.customer(test_clock=clock)
    code = shop.stripe.v1.promotion_codes.list({"code": "WELCOME20"}).data[0].id
    made = shop.subscribe(customer, discounts=[{"promotion_code": code}])
    shop.advance(clock, START + MONTH // 2)
    shown = preview(shop, made, wish(made, DESK, START + MONTH // 2))
    assert [amount for amount, _ in lines(shown)] == [-1160, 3960]
    assert shown.total == 2800


def test_a_declined_upgrade_changes_nothing(sandbox: Sandbox) -> None:
    shop, clock, customer, made = fresh(sandbox)
    shop.stripe.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    bad = shop.stripe.v1.payment_methods.list({"customer": customer}).data[0].id
    shop.stripe.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": bad}})
    shop.advance(clock, START + DAY)
    events = len(shop.types())
    details = wish(made, DESK, START + DAY)
    details["payment_behavior"] = "error_if_incomplete"
    with pytest.raises(library.CardError):
        shop.stripe.v1.subscriptions.update(made.id, details)
    assert shop.subscription(made).items.data[0].price.id == PRO
    assert (len(shop.invoices(customer)), len(shop.types())) == (1, events)


def test_another_interval_starts_its_own_period(sandbox: Sandbox) -> None:
    shop, clock, customer, made = fresh(sandbox)
    shop.advance(clock, START + MONTH // 2)
    shop.stripe.v1.subscriptions.update(made.id, wish(made, PRO_YEAR, START + MONTH // 2, "create_prorations"))
    now = shop.subscription(made)
    assert now.billing_cycle_anchor == START + MONTH // 2
    assert shop.invoices(customer)[-1].total == 29000 - 1450
    end = datetime.fromtimestamp(now.items.data[0].current_period_end, UTC)
    assert (end.year, end.month, end.day) == (2028, 4, 16)


def test_no_proration_during_a_trial(sandbox: Sandbox) -> None:
    shop = Shop(sandbox, client_of(sandbox))
    clock = shop.clock(START)
    customer = shop.customer(test_clock=clock)
    made = shop.subscribe(customer, trial_period_days=10)
    shop.advance(clock, START + DAY)
    shop.stripe.v1.subscriptions.update(made.id, wish(made, DESK, START + DAY))
    assert len(shop.invoices(customer)) == 1
    shop.advance(clock, START + 10 * DAY)
    assert shop.invoices(customer)[-1].total == 9900


def test_a_date_outside_the_period_is_refused(sandbox: Sandbox) -> None:
    shop, _clock, _customer, made = fresh(sandbox)
    with pytest.raises(library.InvalidRequestError) as refused:
        preview(shop, made, wish(made, DESK, START - 1))
    assert refused.value.param == "proration_date"
    with pytest.raises(library.InvalidRequestError):
        shop.stripe.v1.subscriptions.update(made.id, wish(made, DESK, START + MONTH + 1))


def test_the_next_invoice_can_be_seen(sandbox: Sandbox) -> None:
    shop, clock, customer, made = fresh(sandbox)
    shown = shop.stripe.v1.invoices.create_preview({"subscription": made.id})
    assert (shown.total, shown.billing_reason, shown.status) == (2900, "upcoming", "draft")
    assert shown.id.startswith("upcoming_in_")
    shop.stripe.v1.subscriptions.update(made.id, {"cancel_at_period_end": True})
    with pytest.raises(library.InvalidRequestError) as nothing:
        shop.stripe.v1.invoices.create_preview({"subscription": made.id})
    assert nothing.value.code == "invoice_upcoming_none"
    new = shop.stripe.v1.invoices.create_preview(
        {"customer": customer, "subscription_details": {"items": [{"price": DESK, "quantity": 2}]}}
    )
    assert new.total == 19800
    assert len(shop.stripe.v1.subscriptions.list({"customer": customer}).data) == 1
    assert shop.stripe.v1.test_helpers.test_clocks.retrieve(clock).frozen_time == START


def test_pure_amounts() -> None:
    assert [rounded(5, 10), rounded(-5, 10), rounded(4, 10), rounded(15, 10)] == [1, -1, 0, 2]
    assert unused(2900, 0, 30, 15) == 1450
    assert (unused(2900, 0, 30, 0), unused(2900, 0, 30, 30)) == (2900, 0)
    with pytest.raises(ValueError, match="outside"):
        unused(2900, 0, 30, 31)
    sums = totals([(1000, True), (-300, False)], 1000, 50, -100)
    assert (sums.subtotal, sums.discount, sums.total, sums.amount_due, sums.ending_balance) == (700, 150, 550, 450, 0)
    assert totals([(100, True)], 0, 500, 0).total == 0
