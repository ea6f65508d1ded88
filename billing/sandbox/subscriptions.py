"""The life of a subscription: start, change, renew, end (docs.stripe.com/billing/subscriptions/overview)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from billing.sandbox import charging
from billing.sandbox.amounts import less_percent, unused
from billing.sandbox.catalog import amount_in, embedded, plan_of
from billing.sandbox.charging import change_subscription
from billing.sandbox.invoicing import Bill, add_pending, discount_of, issue, line, pending, percent_of
from billing.sandbox.periods import DAY_S, add_months, next_boundary
from billing.sandbox.refusals import Refused
from billing.sandbox.world import Row, World, listed

ENDED = {"canceled", "incomplete_expired"}


@dataclass(frozen=True)
class Order:
    """What somebody subscribes to."""

    customer: Row
    items: list[tuple[Row, int]]  # price, quantity
    currency: str
    trial_end: int | None = None
    discount: Row | None = None
    payment_method: str | None = None
    payment_behavior: str = "allow_incomplete"
    missing_payment_method: str = "create_invoice"
    metadata: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    automatic_tax: bool = False
    cancel_at_period_end: bool = False
    cancel_at: int | None = None


def interval_of(prices: list[Row], param: str = "items") -> tuple[str, int]:
    """The interval that all prices share.

    Raises:
        Refused: they do not.
    """
    found = {(price["recurring"]["interval"], price["recurring"]["interval_count"]) for price in prices}
    if len(found) != 1:
        raise Refused("All items of a subscription must have the same recurring interval here.", param=param)
    interval, count = found.pop()
    return str(interval), int(count)


def new_item(world: World, subscription_id: str, price: Row, quantity: int, period: tuple[int, int], now: int) -> Row:
    """A subscription item."""
    return {
        "id": world.new_id("si"),
        "object": "subscription_item",
        "billed_until": period[1],
        "billing_thresholds": None,
        "created": now,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": {},
        "plan": plan_of(price),
        "price": embedded(price),
        "quantity": quantity,
        "subscription": subscription_id,
        "tax_rates": [],
        "_billed": 0,  # what the whole current period costs after discounts
    }


def start(world: World, order: Order) -> Row:
    """Subscribe: write the subscription, issue its first invoice, collect it."""
    customer = order.customer
    if customer["currency"] not in {None, order.currency}:
        raise Refused(
            "You cannot combine currencies on a single customer. "
            f"This customer has had a subscription in {customer['currency']}.",
            param="currency",
        )
    now = world.time_of(customer)
    interval, count = interval_of([price for price, _ in order.items])
    trial = order.trial_end if order.trial_end and order.trial_end > now else None
    anchor = trial or now
    period = (now, trial or next_boundary(anchor, interval, count, anchor))
    row = _blank(order, customer, anchor, now, trial)
    subscription = world.add("subscription", row)
    items = [new_item(world, subscription["id"], price, quantity, period, now) for price, quantity in order.items]
    subscription["items"] = listed(items, f"/v1/subscription_items?subscription={subscription['id']}")
    customer["currency"] = order.currency
    if order.discount:
        redeem(world, subscription, order.discount)
    if order.cancel_at_period_end:
        subscription.update(ending(subscription, now))
    world.emit("customer.subscription.created", subscription)
    lines = [_trial_line(subscription, item) for item in items] if trial else _period_lines(world, subscription, now)
    collect = order.payment_behavior != "default_incomplete"
    invoice = issue(world, Bill(customer, subscription, lines, "subscription_create", period), collect=collect)
    if invoice["status"] == "paid" and subscription["status"] == "incomplete":
        change_subscription(world, subscription, {"status": "active"})
    return subscription


def _blank(order: Order, customer: Row, anchor: int, now: int, trial: int | None) -> Row:
    return {
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": order.automatic_tax,
            "liability": {"type": "self"} if order.automatic_tax else None,
        },
        "billing_cycle_anchor": anchor,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": None},
        "billing_schedules": None,
        "billing_thresholds": None,
        "cancel_at": order.cancel_at,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "feedback_option": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "currency": order.currency,
        "customer": customer["id"],
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": order.payment_method,
        "default_source": None,
        "default_tax_rates": [],
        "description": order.description,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": None,
        "latest_invoice": None,
        "metadata": dict(order.metadata),
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": now,
        "status": "trialing" if trial else "incomplete",
        "status_details": None,
        "test_clock": customer["test_clock"],
        "transfer_data": None,
        "trial_end": trial,
        "trial_settings": {"end_behavior": {"missing_payment_method": order.missing_payment_method}},
        "trial_start": now if trial else None,
        "_told_trial": False,
        "_told_upcoming": 0,
    }


def redeem(world: World, subscription: Row, source: Row) -> None:
    """Put a coupon or a promotion code on a subscription."""
    code = source if source["object"] == "promotion_code" else None
    coupon = world.get("coupon", code["promotion"]["coupon"] if code else source["id"])
    now = world.time_of(subscription)
    months = coupon["duration_in_months"] if coupon["duration"] == "repeating" else None
    end = int(add_months(datetime.fromtimestamp(now, UTC), months).timestamp()) if months else None
    discount = world.add(
        "discount",
        {
            "checkout_session": None,
            "customer": subscription["customer"],
            "customer_account": None,
            "end": end,
            "invoice": None,
            "invoice_item": None,
            "promotion_code": code["id"] if code else None,
            "source": {"coupon": coupon["id"], "type": "coupon"},
            "start": now,
            "subscription": subscription["id"],
            "subscription_item": None,
        },
    )
    coupon["times_redeemed"] += 1
    if code:
        code["times_redeemed"] += 1
    subscription["discounts"] = [discount["id"]]
    world.emit("customer.discount.created", discount)


def full_amount(world: World, subscription: Row, price_id: str, quantity: int) -> int:
    """What a whole period of a price costs before discounts."""
    return amount_in(world.get("price", price_id), subscription["currency"]) * quantity


def name_of(world: World, item: Row) -> str:
    """The product's name and the interval, as lines show them."""
    product = world.table("product").get(item["price"]["product"], {"name": "Subscription"})
    return f"{product['name']} (per {item['price']['recurring']['interval']})"


def _period_lines(world: World, subscription: Row, now: int) -> list[Row]:
    """Lines for the items' current period; each item then knows what that period cost."""
    percent = percent_of(world, discount_of(world, subscription, now))
    found = []
    for item in subscription["items"]["data"]:
        amount = full_amount(world, subscription, item["price"]["id"], item["quantity"])
        item["_billed"] = less_percent(amount, percent)
        period = (item["current_period_start"], item["current_period_end"])
        found.append(line(subscription, item, amount, period, f"{item['quantity']} × {name_of(world, item)}"))
    return found


def _trial_line(subscription: Row, item: Row) -> Row:
    period = (item["current_period_start"], item["current_period_end"])
    return line(subscription, item, 0, period, "Free trial")


def credit_line(world: World, subscription: Row, item: Row, at: int) -> Row:
    """What is unused of an item's current period, given back."""
    start_at, end_at = item["current_period_start"], item["current_period_end"]
    amount = -unused(item["_billed"], start_at, end_at, at)
    return line(subscription, item, amount, (at, end_at), f"Unused time on {name_of(world, item)}", proration=True)


def debit_line(world: World, subscription: Row, item: Row, at: int, percent: int) -> Row:
    """What the rest of the current period costs at an item's new price or quantity."""
    full = full_amount(world, subscription, item["price"]["id"], item["quantity"])
    item["_billed"] = less_percent(full, percent)
    start_at, end_at = item["current_period_start"], item["current_period_end"]
    amount = unused(item["_billed"], start_at, end_at, at)
    return line(subscription, item, amount, (at, end_at), f"Remaining time on {name_of(world, item)}", proration=True)


def renew(world: World, subscription: Row, start_at: int) -> Row:
    """Begin the next period and bill it, together with what waited."""
    items = subscription["items"]["data"]
    interval, count = interval_of([item["price"] for item in items])
    before = {"items": {"data": [{"current_period_end": item["current_period_end"]} for item in items]}}
    until = next_boundary(subscription["billing_cycle_anchor"], interval, count, start_at)
    for item in items:
        item.update(current_period_start=start_at, current_period_end=until, billed_until=until)
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
        before["status"] = "trialing"  # type: ignore[assignment]  # a row of any JSON
    world.emit("customer.subscription.updated", subscription, before)
    bill = Bill(
        world.get("customer", subscription["customer"]),
        subscription,
        _period_lines(world, subscription, start_at),
        "subscription_cycle",
        (start_at, until),
        taken=pending(world, subscription),
    )
    return issue(world, bill, finalize=subscription["status"] != "unpaid")


def bill_now(world: World, subscription: Row, lines: list[Row], proration_date: int | None) -> Row | None:
    """Invoice lines and what waited at once; None where there is nothing to say."""
    taken = pending(world, subscription)
    if not lines and not taken:
        return None
    now = world.time_of(subscription)
    customer = world.get("customer", subscription["customer"])
    bill = Bill(customer, subscription, lines, "subscription_update", (now, now), proration_date, taken)
    return issue(world, bill)


def ending(subscription: Row, now: int) -> Row:
    """The fields of a subscription that ends with its period."""
    return {
        "cancel_at_period_end": True,
        "cancel_at": subscription["items"]["data"][0]["current_period_end"],
        "canceled_at": now,
        "cancellation_details": {**subscription["cancellation_details"], "reason": "cancellation_requested"},
    }


def going_on(subscription: Row) -> Row:
    """The fields of a subscription that does not end after all."""
    return {
        "cancel_at_period_end": False,
        "cancel_at": None,
        "canceled_at": None,
        "cancellation_details": {**subscription["cancellation_details"], "reason": None},
    }


def cancel(
    world: World,
    subscription: Row,
    reason: str,
    *,
    prorate: bool = False,
    invoice_now: bool = False,
    details: Row | None = None,
) -> None:
    """End a subscription now.

    Raises:
        Refused: it has ended already.
    """
    if subscription["status"] in ENDED:
        raise Refused(f"No such subscription: '{subscription['id']}'", status=404, code="resource_missing", param="id")
    now = world.time_of(subscription)
    credits = []
    if prorate and subscription["status"] in {"active", "past_due"}:
        credits = [credit_line(world, subscription, item, now) for item in subscription["items"]["data"]]
    if invoice_now:
        bill_now(world, subscription, credits, now)
    else:
        for row in credits:
            add_pending(world, subscription, row)
    for invoice in world.table("invoice").values():
        if invoice["_subscription"] == subscription["id"] and invoice["status"] in {"open", "draft"}:
            invoice.update(auto_advance=False, next_payment_attempt=None)
    subscription.update(
        status="canceled",
        ended_at=now,
        canceled_at=subscription["canceled_at"] or now,
        cancellation_details={**subscription["cancellation_details"], **(details or {}), "reason": reason},
    )
    world.emit("customer.subscription.deleted", subscription)


def expire(world: World, subscription: Row) -> None:
    """The first invoice was not paid in time."""
    if subscription["latest_invoice"]:
        invoice = world.get("invoice", subscription["latest_invoice"])
        if invoice["status"] == "open":
            charging.void(world, invoice)
    change_subscription(world, subscription, {"status": "incomplete_expired", "ended_at": world.time_of(subscription)})


def end_trial(world: World, subscription: Row, at: int) -> None:
    """The trial is over: bill the first period, or do what was chosen for a missing card."""
    customer = world.get("customer", subscription["customer"])
    wish = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if charging.method_for(world, subscription, customer) is None and wish != "create_invoice":
        if wish == "cancel":
            cancel(world, subscription, "cancellation_requested")
            return
        change_subscription(world, subscription, {"status": "paused"})
        world.emit("customer.subscription.paused", subscription)
        return
    subscription["billing_cycle_anchor"] = at
    renew(world, subscription, at)


def resume(world: World, subscription: Row) -> None:
    """Take up a paused subscription with a period that starts now."""
    if subscription["status"] != "paused":
        raise Refused("Only paused subscriptions can be resumed.", code="resource_state_invalid")
    now = world.time_of(subscription)
    subscription["billing_cycle_anchor"] = now
    change_subscription(world, subscription, {"status": "active"})
    world.emit("customer.subscription.resumed", subscription)
    renew(world, subscription, now)


def trial_days(now: int, days: int | None) -> int | None:
    """When a trial of so many days ends."""
    return now + days * DAY_S if days else None
