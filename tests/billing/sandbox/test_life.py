"""The life of subscriptions under a clock that is moved."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
import stripe as library

from billing.sandbox.periods import boundary, next_boundary
from billing.sandbox.server import Sandbox
from tests.billing.sandbox.conftest import DAY, PRO, PRO_YEAR, Shop


def at(year: int, month: int, day: int, hour: int = 12) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())


def ends(shop: Shop, subscription: library.Subscription) -> datetime:
    return datetime.fromtimestamp(shop.subscription(subscription).items.data[0].current_period_end, UTC)


def test_a_renewal_bills_the_next_period(shop: Shop) -> None:
    clock = shop.clock(at(2027, 3, 10))
    customer = shop.customer(test_clock=clock)
    made = shop.subscribe(customer)
    assert made.status == "active"
    shop.advance(clock, at(2027, 4, 10))
    first, second = shop.invoices(customer)
    assert (first.billing_reason, second.billing_reason) == ("subscription_create", "subscription_cycle")
    assert (second.status, second.amount_paid, second.total) == ("paid", 2900, 2900)
    assert second.parent is not None
    assert second.parent.subscription_details is not None
    assert second.parent.subscription_details.subscription == made.id
    assert ends(shop, made) == datetime(2027, 5, 10, 12, tzinfo=UTC)
    after = shop.types()[shop.types().index("invoice.upcoming") :]
    assert [kind for kind in after if kind.startswith(("invoice", "customer.subscription"))] == [
        "invoice.upcoming",
        "customer.subscription.updated",
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ((2027, 1, 31), [(2, 28), (3, 31), (4, 30), (5, 31)]),
        ((2028, 1, 31), [(2, 29), (3, 31), (4, 30)]),  # a leap year
        ((2027, 1, 30), [(2, 28), (3, 30)]),
        ((2027, 12, 31), [(1, 31), (2, 29), (3, 31)]),
    ],
)
def test_an_anchor_at_the_end_of_a_month_comes_back(
    shop: Shop, start: tuple[int, int, int], expected: list[tuple[int, int]]
) -> None:
    clock = shop.clock(at(*start))
    made = shop.subscribe(shop.customer(test_clock=clock))
    found = []
    for _ in expected:
        end = ends(shop, made)
        found.append((end.month, end.day))
        shop.advance(clock, int(end.timestamp()))
    assert found == expected


def test_a_year_that_began_on_a_leap_day(shop: Shop) -> None:
    clock = shop.clock(at(2028, 2, 29))
    made = shop.subscribe(shop.customer(test_clock=clock), PRO_YEAR)
    assert ends(shop, made) == datetime(2029, 2, 28, 12, tzinfo=UTC)
    shop.advance(clock, at(2029, 3, 1))
    assert ends(shop, made) == datetime(2030, 2, 28, 12, tzinfo=UTC)
    assert boundary(at(2028, 2, 29), "year", 1, 4) == at(2032, 2, 29)


def test_boundaries_never_repeat_or_skip() -> None:
    anchor = at(2027, 1, 31)
    for interval in ("day", "week", "month", "year"):
        for count in (1, 2, 3):
            moments = [boundary(anchor, interval, count, number) for number in range(30)]
            assert moments == sorted(set(moments))
            for now, following in pairwise(moments):
                assert next_boundary(anchor, interval, count, now) == following
                assert next_boundary(anchor, interval, count, following - 1) == following


def test_a_trial_bills_when_it_ends(shop: Shop) -> None:
    clock = shop.clock(at(2027, 3, 1))
    customer = shop.customer(test_clock=clock)
    made = shop.subscribe(customer, trial_period_days=14)
    assert made.status == "trialing"
    assert [invoice.total for invoice in shop.invoices(customer)] == [0]
    shop.advance(clock, at(2027, 3, 12, 13))
    assert shop.types().count("customer.subscription.trial_will_end") == 1
    shop.advance(clock, at(2027, 3, 15))
    now = shop.subscription(made)
    assert (now.status, now.billing_cycle_anchor) == ("active", at(2027, 3, 15))
    assert [invoice.total for invoice in shop.invoices(customer)] == [0, 2900]
    assert ends(shop, made) == datetime(2027, 4, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wish", "status"), [("create_invoice", "past_due"), ("cancel", "canceled"), ("pause", "paused")]
)
def test_a_trial_without_a_card(shop: Shop, wish: str, status: str) -> None:
    clock = shop.clock(at(2027, 3, 1))
    customer = shop.customer(None, test_clock=clock)
    settings = {"end_behavior": {"missing_payment_method": wish}}
    made = shop.subscribe(customer, trial_period_days=7, trial_settings=settings)
    shop.advance(clock, at(2027, 3, 8))
    assert shop.subscription(made).status == status
    if status == "paused":
        shop.stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
        card = shop.stripe.v1.payment_methods.list({"customer": customer}).data[0].id
        shop.stripe.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": card}})
        assert shop.stripe.v1.subscriptions.resume(made.id).status == "active"
        assert shop.invoices(customer)[-1].status == "paid"


def test_cancel_at_period_end_and_change_of_mind(shop: Shop) -> None:
    clock = shop.clock(at(2027, 3, 1))
    made = shop.subscribe(shop.customer(test_clock=clock))
    ending = shop.stripe.v1.subscriptions.update(made.id, {"cancel_at_period_end": True})
    assert (ending.status, ending.cancel_at, ending.canceled_at) == ("active", at(2027, 4, 1), at(2027, 3, 1))
    assert ending.cancellation_details is not None
    assert ending.cancellation_details.reason == "cancellation_requested"
    back = shop.stripe.v1.subscriptions.update(made.id, {"cancel_at_period_end": False})
    assert (back.cancel_at, back.canceled_at) == (None, None)
    shop.stripe.v1.subscriptions.update(made.id, {"cancel_at_period_end": True})
    shop.advance(clock, at(2027, 4, 2))
    gone = shop.subscription(made)
    assert (gone.status, gone.ended_at) == ("canceled", at(2027, 4, 1))
    assert shop.types()[-2] == "customer.subscription.deleted"
    with pytest.raises(library.InvalidRequestError):
        shop.stripe.v1.subscriptions.cancel(made.id)


def lose_the_card(shop: Shop, customer: str) -> None:
    shop.stripe.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    card = shop.stripe.v1.payment_methods.list({"customer": customer}).data[0].id
    shop.stripe.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": card}})


@pytest.mark.parametrize("after", ["canceled", "unpaid", "past_due"])
def test_dunning_runs_its_schedule(sandbox: Sandbox, shop: Shop, after: str) -> None:
    sandbox.world.rules.after_dunning = after
    clock = shop.clock(at(2027, 3, 1))
    customer = shop.customer(test_clock=clock)
    made = shop.subscribe(customer)
    lose_the_card(shop, customer)
    shop.advance(clock, at(2027, 4, 1))
    assert shop.subscription(made).status == "past_due"
    invoice = shop.invoices(customer)[-1]
    assert (invoice.status, invoice.attempt_count) == ("open", 1)
    assert invoice.next_payment_attempt == at(2027, 4, 4)
    assert shop.stripe.v1.customers.retrieve(customer).delinquent
    shop.advance(clock, at(2027, 4, 9))
    assert shop.invoices(customer)[-1].next_payment_attempt == at(2027, 4, 16)
    assert shop.subscription(made).status == "past_due"
    shop.advance(clock, at(2027, 4, 16))
    assert shop.types().count("invoice.payment_failed") == 4
    assert shop.subscription(made).status == after


def test_a_new_card_ends_the_dunning(shop: Shop) -> None:
    clock = shop.clock(at(2027, 3, 1))
    customer = shop.customer(test_clock=clock)
    made = shop.subscribe(customer)
    lose_the_card(shop, customer)
    shop.advance(clock, at(2027, 4, 2))
    shop.stripe.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
    card = shop.stripe.v1.payment_methods.list({"customer": customer}).data[0].id
    shop.stripe.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": card}})
    shop.advance(clock, at(2027, 4, 5))
    assert shop.subscription(made).status == "active"
    assert not shop.stripe.v1.customers.retrieve(customer).delinquent


def test_an_open_invoice_is_paid_by_hand(shop: Shop) -> None:
    clock = shop.clock(at(2027, 3, 1))
    customer = shop.customer(test_clock=clock)
    made = shop.subscribe(customer)
    lose_the_card(shop, customer)
    shop.advance(clock, at(2027, 4, 2))
    invoice = shop.invoices(customer)[-1]
    with pytest.raises(library.CardError):
        shop.stripe.v1.invoices.pay(invoice.id)
    paid = shop.stripe.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
    assert (paid.status, shop.subscription(made).status) == ("paid", "active")
    with pytest.raises(library.InvalidRequestError):
        shop.stripe.v1.invoices.pay(invoice.id)


def test_a_first_payment_that_fails_expires_after_a_day(shop: Shop) -> None:
    clock = shop.clock(at(2027, 3, 1))
    customer = shop.customer("pm_card_chargeCustomerFail", test_clock=clock)
    made = shop.subscribe(customer)
    assert made.status == "incomplete"
    shop.advance(clock, at(2027, 3, 2))
    assert shop.subscription(made).status == "incomplete_expired"
    assert shop.invoices(customer)[0].status == "void"


def test_a_card_that_asks_waits_for_its_owner(shop: Shop) -> None:
    customer = shop.customer("pm_card_authenticationRequired")
    made = shop.subscribe(customer)
    assert made.status == "incomplete"
    assert "invoice.payment_action_required" in shop.types()


def test_a_cancelled_period_is_given_back(shop: Shop) -> None:
    clock = shop.clock(at(2027, 4, 1))
    customer = shop.customer(test_clock=clock)
    made = shop.subscribe(customer)
    shop.advance(clock, at(2027, 4, 16))  # half of April
    shop.stripe.v1.subscriptions.cancel(made.id, {"prorate": True, "invoice_now": True})
    assert shop.stripe.v1.customers.retrieve(customer).balance == -1450
    assert shop.invoices(customer)[-1].total == -1450
    again = shop.subscribe(customer)
    first = shop.invoices(customer)[-1]
    assert (first.total, first.starting_balance, first.amount_due, first.ending_balance) == (2900, -1450, 1450, 0)
    assert again.status == "active"


def test_a_deleted_customer_ends_everything(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer)
    shop.stripe.v1.customers.delete(customer)
    assert shop.subscription(made).status == "canceled"
    assert shop.stripe.v1.customers.retrieve(customer).to_dict() == {
        "id": customer,
        "object": "customer",
        "deleted": True,
    }
    with pytest.raises(library.InvalidRequestError):
        shop.subscribe(customer)


def test_clocks_only_go_forward(shop: Shop) -> None:
    clock = shop.clock(at(2027, 3, 1))
    with pytest.raises(library.InvalidRequestError):
        shop.advance(clock, at(2027, 2, 1))
    shop.stripe.v1.test_helpers.test_clocks.delete(clock)


def test_the_global_clock_moves_those_without_one(sandbox: Sandbox, shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer)
    frozen = shop.clock(at(2027, 3, 1))
    still = shop.subscribe(shop.customer(test_clock=frozen))
    before = sandbox.now()
    sandbox.advance(32 * DAY)
    assert sandbox.now() - before in range(32 * DAY, 32 * DAY + 30)
    assert [invoice.billing_reason for invoice in shop.invoices(customer)] == [
        "subscription_create",
        "subscription_cycle",
    ]
    assert shop.subscription(made).status == "active"
    assert ends(shop, still) == datetime(2027, 4, 1, 12, tzinfo=UTC)


def test_a_customer_has_one_currency(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer, currency="eur")
    assert (made.currency, shop.invoices(customer)[0].total) == ("eur", 2700)
    with pytest.raises(library.InvalidRequestError):
        shop.subscribe(customer, currency="usd")
    with pytest.raises(library.InvalidRequestError):
        shop.subscribe(shop.customer(), currency="jpy")


def test_a_coupon_takes_its_months_and_no_more(shop: Shop) -> None:
    clock = shop.clock(at(2027, 1, 1))
    customer = shop.customer(test_clock=clock)
    code = shop.stripe.v1.promotion_codes.list({"code": "welcome20", "active": True}).data[0]
    made = shop.subscribe(customer, discounts=[{"promotion_code": code.id}])
    shop.advance(clock, at(2027, 5, 2))
    assert [invoice.total for invoice in shop.invoices(customer)] == [2320, 2320, 2320, 2900, 2900]
    assert shop.subscription(made).discounts == []
    once = shop.stripe.v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "once"})
    other = shop.customer(test_clock=clock)
    shop.subscribe(other, PRO, discounts=[{"coupon": once.id}])
    shop.advance(clock, at(2027, 6, 3))
    assert [invoice.total for invoice in shop.invoices(other)] == [2400, 2900]
