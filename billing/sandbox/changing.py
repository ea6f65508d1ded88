"""Changing a running subscription: other prices or quantities, with proration; and what a change would cost."""

import copy
from dataclasses import dataclass, field

from billing.sandbox import charging
from billing.sandbox.catalog import embedded, plan_of
from billing.sandbox.invoicing import Bill, add_pending, discount_of, draft, line, pending, percent_of
from billing.sandbox.periods import next_boundary
from billing.sandbox.refusals import Refused
from billing.sandbox.subscriptions import (
    ENDED,
    bill_now,
    credit_line,
    debit_line,
    end_trial,
    ending,
    full_amount,
    going_on,
    interval_of,
    name_of,
    new_item,
    redeem,
    renew,
)
from billing.sandbox.world import Row, World, public

PRORATIONS = ("create_prorations", "always_invoice", "none")


@dataclass(frozen=True)
class ItemChange:
    """One wished item: an existing one (`item_id`) or a new one."""

    item_id: str | None = None
    price: Row | None = None
    quantity: int | None = None
    deleted: bool = False


@dataclass(frozen=True)
class Change:
    """What is to become of a subscription; None leaves a thing as it is."""

    items: list[ItemChange] = field(default_factory=list)
    proration: str = "create_prorations"
    at: int | None = None  # proration_date
    cancel_at_period_end: bool | None = None
    cancel_at: int | None = None
    uncancel_at: bool = False
    trial_end: int | None = None
    restart: bool = False  # billing_cycle_anchor = now
    discount: Row | None = None
    undiscount: bool = False
    fields: Row = field(default_factory=dict)
    error_if_incomplete: bool = False
    rehearsed: bool = False  # tried in a fork already


def change(world: World, subscription: Row, wish: Change) -> Row | None:
    """Apply a change; returns the invoice it caused, if any.

    Raises:
        Refused: the subscription has ended, the proration date lies outside the period, or the card is declined where
            `error_if_incomplete` asked for all or nothing.
    """
    if subscription["status"] in ENDED:
        raise Refused(
            "A canceled subscription can only update its cancellation_details and metadata.", code="resource_missing"
        )
    if not wish.rehearsed:
        _rehearse(world, subscription, wish)
    before = public(subscription)
    now = world.time_of(subscription)
    subscription.update(wish.fields)
    if wish.undiscount:
        subscription["discounts"] = []
    if wish.discount:
        redeem(world, subscription, wish.discount)
    _plan_end(subscription, wish, now)
    lines, restarted = _change_items(world, subscription, wish, now)
    if wish.trial_end is not None and subscription["status"] in {"trialing", "active"}:
        return _change_trial(world, subscription, wish.trial_end, before, now)
    _tell(world, subscription, before)
    invoice: Row | None = None
    if restarted or wish.proration == "always_invoice":
        invoice = bill_now(world, subscription, lines, wish.at or now)
    else:
        for row in lines:
            add_pending(world, subscription, row)
    return invoice


def _rehearse(world: World, subscription: Row, wish: Change) -> None:
    """Try the change in a fork first, so that what is refused changes nothing; a failing charge refuses it if asked."""
    fork = world.fork()
    trial = fork.get("subscription", subscription["id"])
    invoice = change(fork, trial, Change(**{**vars(wish), "rehearsed": True}))
    if wish.error_if_incomplete and invoice is not None and invoice["status"] == "open":
        method = charging.method_for(fork, trial, fork.get("customer", trial["customer"]))
        raise charging.refusal(method, charging.verdict(method))


def _plan_end(subscription: Row, wish: Change, now: int) -> None:
    if wish.cancel_at_period_end is True and not subscription["cancel_at_period_end"]:
        subscription.update(ending(subscription, now))
    elif wish.cancel_at_period_end is False and subscription["cancel_at_period_end"]:
        subscription.update(going_on(subscription))
    if wish.cancel_at is not None:
        subscription.update(cancel_at=wish.cancel_at, canceled_at=now)
    elif wish.uncancel_at:
        subscription.update(going_on(subscription))


def _tell(world: World, subscription: Row, before: Row) -> None:
    after = public(subscription)
    previous = {key: value for key, value in before.items() if after.get(key) != value}
    if previous:
        world.emit("customer.subscription.updated", subscription, previous)


def _change_trial(world: World, subscription: Row, until: int, before: Row, now: int) -> Row | None:
    """Move the end of the trial; one that is over is billed at once."""
    if until <= now:
        subscription["trial_end"] = now
        _tell(world, subscription, before)
        end_trial(world, subscription, now)
        return world.table("invoice").get(subscription["latest_invoice"] or "")
    subscription.update(
        status="trialing",
        trial_start=subscription["trial_start"] or now,
        trial_end=until,
        billing_cycle_anchor=until,
        _told_trial=False,
    )
    for item in subscription["items"]["data"]:
        item.update(current_period_end=until, billed_until=until, _billed=0)
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = until
    _tell(world, subscription, before)
    return None


def _change_items(world: World, subscription: Row, wish: Change, now: int) -> tuple[list[Row], bool]:
    """Swap the items; returns proration lines and whether the period starts afresh."""
    items = subscription["items"]["data"]
    wanted = _wanted(world, subscription, wish.items, now)
    same = [(item["id"], item["price"]["id"], item["quantity"]) for item in wanted] == [
        (item["id"], item["price"]["id"], item["quantity"]) for item in items
    ]
    if same and not wish.restart:
        return [], False
    if not wanted:
        raise Refused("A subscription must have at least one active plan.", param="items")
    for item in wanted:  # a price without this currency refuses before anything changes
        full_amount(world, subscription, item["price"]["id"], item["quantity"])
    at = _moment(items[0], wish.at, now)
    interval = interval_of([item["price"] for item in wanted])
    restarted = (wish.restart or interval != interval_of([item["price"] for item in items])) and not _trialing(
        subscription
    )
    lines: list[Row] = []
    kept = {item["id"]: item for item in wanted}
    billed = subscription["status"] not in {"trialing", "incomplete", "paused"}
    if billed and wish.proration != "none":
        gone = [item for item in items if restarted or _differs(item, kept.get(item["id"]))]
        lines += [credit_line(world, subscription, item, at) for item in gone]
    percent = percent_of(world, discount_of(world, subscription, now))
    old = {item["id"]: item for item in items}
    subscription["items"]["data"] = wanted
    subscription["items"]["total_count"] = len(wanted)
    if restarted:
        return lines + _restart(world, subscription, interval, now), True
    for item in wanted:
        if billed and _differs(item, old.get(item["id"])):
            row = debit_line(world, subscription, item, at, percent)
            lines += [row] if wish.proration != "none" else []
    return lines, False


def _trialing(subscription: Row) -> bool:
    return bool(subscription["status"] == "trialing")


def _differs(one: Row, other: Row | None) -> bool:
    return other is None or (one["price"]["id"], one["quantity"]) != (other["price"]["id"], other["quantity"])


def _moment(item: Row, at: int | None, now: int) -> int:
    """The moment proration counts from.

    Raises:
        Refused: outside the current period.
    """
    moment = now if at is None else at
    if not item["current_period_start"] <= moment <= item["current_period_end"]:
        raise Refused(
            "Cannot specify `proration_date` outside of the subscription's current period.", param="proration_date"
        )
    return moment


def _wanted(world: World, subscription: Row, changes: list[ItemChange], now: int) -> list[Row]:
    """The items after the change, copies of those before."""
    wanted = {item["id"]: copy.deepcopy(item) for item in subscription["items"]["data"]}
    first = subscription["items"]["data"][0]
    period = (first["current_period_start"], first["current_period_end"])
    for one in changes:
        if one.item_id is None:
            if one.price is None:
                raise Refused("Missing required param: items[0][price].", code="parameter_missing", param="items")
            added = new_item(world, subscription["id"], one.price, one.quantity or 1, period, now)
            wanted[added["id"]] = added
            continue
        if one.item_id not in wanted:
            raise Refused(f"No such subscription item: '{one.item_id}'", code="resource_missing", param="items[0][id]")
        if one.deleted:
            del wanted[one.item_id]
            continue
        item = wanted[one.item_id]
        if one.price is not None:
            item.update(price=embedded(one.price), plan=plan_of(one.price))
        if one.quantity is not None:
            item["quantity"] = one.quantity
    prices = [item["price"]["id"] for item in wanted.values()]
    if len(set(prices)) != len(prices):
        raise Refused("Cannot add multiple subscription items with the same price.", param="items")
    return list(wanted.values())


def _restart(world: World, subscription: Row, interval: tuple[str, int], now: int) -> list[Row]:
    """Another interval starts a period of its own now and is billed whole."""
    until = next_boundary(now, *interval, now)
    subscription["billing_cycle_anchor"] = now
    percent = percent_of(world, discount_of(world, subscription, now))
    lines = []
    for item in subscription["items"]["data"]:
        item.update(current_period_start=now, current_period_end=until, billed_until=until)
        debit_line(world, subscription, item, now, percent)  # the whole period: it also notes what the period costs
        amount = full_amount(world, subscription, item["price"]["id"], item["quantity"])
        lines.append(line(subscription, item, amount, (now, until), f"{item['quantity']} × {name_of(world, item)}"))
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = until
    return lines


def preview(world: World, subscription: Row, wish: Change, *, cancel_now: bool = False) -> Row:
    """The next invoice if the change were made: the one it causes at once, else the next renewal's.

    It is the change itself, made in a fork of the world: preview and charge cannot differ.

    Raises:
        Refused: nothing more will be invoiced.
    """
    fork = world.fork()
    trial = fork.get("subscription", subscription["id"])
    if trial["status"] in ENDED or cancel_now:
        raise no_more(subscription)
    changed = bool(wish.items or wish.restart or wish.trial_end is not None)
    rehearsal = Change(**{**vars(wish), "rehearsed": True})
    invoice = change(fork, trial, rehearsal) if changed or vars(wish) != vars(Change()) else None
    if invoice is not None:
        return as_preview(invoice, wish.at)
    return upcoming(fork, trial, wish.at)


def upcoming(fork: World, subscription: Row, proration_date: int | None = None) -> Row:
    """The renewal's invoice; `fork` is used up by looking.

    Raises:
        Refused: the subscription ends before it renews.
    """
    end = subscription["items"]["data"][0]["current_period_end"]
    stops = subscription["cancel_at"] is not None and subscription["cancel_at"] <= end
    if subscription["status"] in {*ENDED, "incomplete", "paused"} or (stops and not pending(fork, subscription)):
        raise no_more(subscription)
    customer = fork.get("customer", subscription["customer"])
    now = fork.time_of(subscription)
    if stops:
        bill = Bill(customer, subscription, [], "upcoming", (now, end), proration_date, pending(fork, subscription))
        return draft(fork, bill, now)
    customer["test_clock"], fork.pinned = None, end  # the fork's time is the renewal's
    subscription["test_clock"] = None
    if subscription["status"] == "trialing":
        subscription["billing_cycle_anchor"] = end
    invoice = renew(fork, subscription, end)
    return as_preview({**invoice, "billing_reason": "upcoming"}, proration_date)


def no_more(subscription: Row) -> Refused:
    """The error of a preview of nothing."""
    return Refused(
        f"No upcoming invoices for subscription {subscription['id']}: it ends before it renews.",
        code="invoice_upcoming_none",
        status=404,
    )


def as_preview(invoice: Row, proration_date: int | None) -> Row:
    """An issued invoice of a fork, as the draft that a preview shows."""
    row = copy.deepcopy(invoice)
    row.update(
        id=f"upcoming_{invoice['id']}",
        status="draft",
        number=None,
        amount_paid=0,
        amount_remaining=row["amount_due"],
        hosted_invoice_url=None,
        invoice_pdf=None,
        attempted=False,
        attempt_count=0,
        next_payment_attempt=None,
        _payments=[],
    )
    row["status_transitions"] = dict.fromkeys(row["status_transitions"])
    row["parent"]["subscription_details"]["subscription_proration_date"] = proration_date
    return row
