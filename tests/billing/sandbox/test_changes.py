"""Updates of subscriptions beside proration, and what may be done to invoices."""

from typing import Any

import pytest
import stripe as library

from tests.billing.sandbox.conftest import DAY, DESK, PRO, PRO_YEAR, Shop

START = 1_806_494_400  # 1 April 2027, noon UTC


def begin(shop: Shop, **more: Any) -> tuple[str, str, library.Subscription]:
    clock = shop.clock(START)
    customer = shop.customer(test_clock=clock)
    return clock, customer, shop.subscribe(customer, **more)


def update(shop: Shop, subscription: library.Subscription, **params: Any) -> library.Subscription:
    return shop.stripe.v1.subscriptions.update(subscription.id, params)  # type: ignore[arg-type]  # built by the caller


def test_a_trial_is_shortened_lengthened_and_ended(shop: Shop) -> None:
    clock, customer, made = begin(shop, trial_period_days=10)
    longer = update(shop, made, trial_end=START + 20 * DAY, cancel_at_period_end=True)
    assert (longer.trial_end, longer.cancel_at) == (START + 20 * DAY, START + 20 * DAY)
    assert longer.items.data[0].current_period_end == START + 20 * DAY
    update(shop, made, cancel_at_period_end=False)
    shop.advance(clock, START + DAY)
    ended = update(shop, made, trial_end="now")
    assert (ended.status, ended.trial_end) == ("active", START + DAY)
    assert shop.invoices(customer)[-1].total == 2900


def test_an_end_can_be_set_and_taken_back(shop: Shop) -> None:
    clock, _customer, made = begin(shop)
    assert update(shop, made, cancel_at=START + 3 * DAY).cancel_at == START + 3 * DAY
    assert update(shop, made, cancel_at="").cancel_at is None
    update(shop, made, cancel_at=START + 3 * DAY)
    shop.advance(clock, START + 4 * DAY)
    assert shop.subscription(made).ended_at == START + 3 * DAY
    with pytest.raises(library.InvalidRequestError):
        update(shop, made, cancel_at_period_end=True)


def test_fields_beside_money(shop: Shop) -> None:
    _clock, customer, made = begin(shop, cancel_at_period_end=True, metadata={"a": "1"}, description="Team")
    assert (made.cancel_at_period_end, made.description) == (True, "Team")
    found = update(
        shop,
        made,
        metadata={"b": "2"},
        description="Club",
        trial_settings={"end_behavior": {"missing_payment_method": "cancel"}},
        automatic_tax={"enabled": True},
        cancellation_details={"comment": "bye", "feedback": "unused"},
        default_payment_method=shop.stripe.v1.payment_methods.list({"customer": customer}).data[0].id,
    )
    assert found.metadata.to_dict() == {"a": "1", "b": "2"}
    assert (found.description, found.automatic_tax.enabled) == ("Club", True)
    assert found.cancellation_details is not None
    assert (found.cancellation_details.comment, found.cancellation_details.feedback) == ("bye", "unused")
    gone = shop.stripe.v1.subscriptions.cancel(made.id, {"cancellation_details": {"feedback": "too_complex"}})
    assert gone.cancellation_details is not None
    assert gone.cancellation_details.feedback == "too_complex"


def test_a_refused_update_changes_nothing(shop: Shop) -> None:
    _clock, _customer, made = begin(shop)
    item = made.items.data[0].id
    with pytest.raises(library.InvalidRequestError):
        update(shop, made, metadata={"a": "1"}, items=[{"id": item, "price": DESK}], proration_date=START - 5)
    after = shop.subscription(made)
    assert (after.metadata.to_dict(), after.items.data[0].price.id) == ({}, PRO)


def test_items_come_and_go(shop: Shop) -> None:
    clock, customer, made = begin(shop)
    shop.advance(clock, START + 15 * DAY)
    two = update(shop, made, items=[{"price": DESK, "quantity": 2}], proration_behavior="create_prorations")
    assert len(two.items.data) == 2
    waiting = shop.stripe.v1.invoice_items.list({"customer": customer, "pending": True}).data
    assert [item.amount for item in waiting] == [9900]
    first = two.items.data[0].id
    one = update(shop, made, items=[{"id": first, "deleted": True}])
    assert [item.price.id for item in one.items.data] == [DESK]
    shop.advance(clock, START + 30 * DAY)
    assert [line.amount for line in shop.invoices(customer)[-1].lines.data] == [19800, 9900, -1450]
    assert shop.stripe.v1.invoice_items.list({"customer": customer, "pending": True}).data == []
    listed = shop.stripe.v1.subscription_items.list({"subscription": made.id}).data
    assert [item.id for item in listed] == [one.items.data[0].id]
    last = one.items.data[0].id
    for wrong in (
        [{"id": last, "deleted": True}],
        [{"id": "si_nothing"}],
        [{"quantity": 2}],
        [{"price": DESK}],
        [{"price": PRO_YEAR}],
    ):
        with pytest.raises(library.InvalidRequestError):
            update(shop, made, items=wrong)


def test_the_period_can_start_afresh(shop: Shop) -> None:
    clock, customer, made = begin(shop)
    shop.advance(clock, START + 15 * DAY)
    fresh = update(shop, made, billing_cycle_anchor={"type": "now"}, proration_behavior="create_prorations")
    assert fresh.billing_cycle_anchor == START + 15 * DAY
    assert shop.invoices(customer)[-1].total == 1450


def test_discounts_are_put_on_and_taken_off(shop: Shop) -> None:
    _clock, _customer, made = begin(shop)
    assert len(update(shop, made, discounts=[{"coupon": "welcome20"}]).discounts) == 1
    shown = shop.stripe.v1.invoices.create_preview({"subscription": made.id})
    assert shown.total == 2320
    assert shown.total_discount_amounts is not None
    assert shown.total_discount_amounts[0].amount == 580
    assert update(shop, made, discounts="").discounts == []
    with pytest.raises(library.InvalidRequestError):
        update(shop, made, discounts=[{"coupon": "welcome20"}, {"coupon": "welcome20"}])


def test_lists_of_subscriptions_are_filtered(shop: Shop) -> None:
    _clock, customer, made = begin(shop, metadata={"organization": "7"})
    other = shop.subscribe(shop.customer(), DESK)
    shop.stripe.v1.subscriptions.cancel(other.id)
    subscriptions = shop.stripe.v1.subscriptions
    assert [row.id for row in subscriptions.list().data] == [made.id]
    assert [row.id for row in subscriptions.list({"status": "ended"}).data] == [other.id]
    assert [row.id for row in subscriptions.list({"status": "all", "price": PRO}).data] == [made.id]
    assert [row.id for row in subscriptions.list({"customer": customer, "status": "active"}).data] == [made.id]
    assert [row.id for row in subscriptions.search({"query": "metadata['organization']:'7'"}).data] == [made.id]


def test_default_incomplete_waits_for_the_payment(shop: Shop) -> None:
    customer = shop.customer()
    made = shop.subscribe(customer, payment_behavior="default_incomplete")
    assert made.status == "incomplete"
    invoice = shop.invoices(customer)[0]
    assert (invoice.status, invoice.attempt_count) == ("open", 0)
    shop.stripe.v1.invoices.pay(invoice.id)
    assert shop.subscription(made).status == "active"


def test_no_card_at_all(shop: Shop) -> None:
    customer = shop.customer(None)
    with pytest.raises(library.InvalidRequestError):
        shop.subscribe(customer, payment_behavior="error_if_incomplete")
    made = shop.subscribe(customer)
    assert made.status == "incomplete"


def test_open_invoices_are_voided_or_given_up(shop: Shop) -> None:
    invoices = shop.stripe.v1.invoices
    customer = shop.customer("pm_card_chargeCustomerFail", balance=-1000)
    made = shop.subscribe(customer)
    invoice = shop.invoices(customer)[0]
    assert (invoice.amount_due, shop.stripe.v1.customers.retrieve(customer).balance) == (1900, 0)
    assert invoices.void_invoice(invoice.id).status == "void"
    assert shop.stripe.v1.customers.retrieve(customer).balance == -1000
    with pytest.raises(library.InvalidRequestError):
        invoices.void_invoice(invoice.id)
    other = shop.subscribe(shop.customer("pm_card_chargeCustomerFail"))
    open_one = str(other.latest_invoice)
    assert invoices.mark_uncollectible(open_one).status == "uncollectible"
    with pytest.raises(library.InvalidRequestError):
        invoices.mark_uncollectible(open_one)
    with pytest.raises(library.InvalidRequestError):
        invoices.finalize_invoice(open_one)
    third = shop.subscribe(shop.customer("pm_card_chargeCustomerFail"))
    paid = invoices.pay(str(third.latest_invoice), {"paid_out_of_band": True})
    assert (paid.status, paid.amount_paid_off_stripe, shop.subscription(third).status) == ("paid", 2900, "active")
    assert invoices.list({"status": "void"}).data[0].id == invoice.id
    assert invoices.list({"subscription": made.id}).data[0].id == invoice.id
    assert invoices.search({"query": f"subscription:'{made.id}'"}).data[0].id == invoice.id
    assert [line.amount for line in invoices.line_items.list(invoice.id).data] == [2900]


def test_unpaid_subscriptions_leave_drafts(shop: Shop) -> None:
    shop.sandbox.world.rules.after_dunning = "unpaid"
    clock, customer, made = begin(shop)
    shop.stripe.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    bad = shop.stripe.v1.payment_methods.list({"customer": customer}).data[0].id
    shop.stripe.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": bad}})
    shop.advance(clock, START + 62 * DAY)
    assert shop.subscription(made).status == "unpaid"
    draft = shop.invoices(customer)[-1]
    assert draft.status == "draft"
    assert shop.stripe.v1.invoices.finalize_invoice(draft.id).status == "open"
    for invoice in shop.invoices(customer)[1:]:
        shop.stripe.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
    assert shop.subscription(made).status == "active"


def test_previews_that_are_refused(shop: Shop) -> None:
    _clock, customer, made = begin(shop)
    for wrong in (
        {},
        {"subscription": made.id, "customer": shop.customer()},
        {"subscription": made.id, "subscription_details": {"cancel_now": True}},
        {"customer": customer},
    ):
        with pytest.raises(library.InvalidRequestError):
            shop.stripe.v1.invoices.create_preview(wrong)  # type: ignore[arg-type]  # a table of wrong ones
