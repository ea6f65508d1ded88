"""Time passing: what falls due on a clock happens in its order, at its own second."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from billing.sandbox import charging, checkout
from billing.sandbox.changing import upcoming
from billing.sandbox.periods import DAY_S
from billing.sandbox.refusals import Refused
from billing.sandbox.subscriptions import cancel, end_trial, expire, renew
from billing.sandbox.world import Row, World

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Due:
    """Something that happens at `at` seconds since 1970; `order` decides among those of the same second."""

    at: int
    order: int
    happen: Callable[[], object]


def advance(world: World, clock: str | None, target: int) -> int:
    """Move a test clock (or the global one, `None`) to `target`; returns how many things happened.

    Raises:
        Refused: the clock would go back.
    """
    now = world.now(clock)
    if target < now:
        raise Refused("A clock can only move forward.", code="test_clock_advance_invalid", param="frozen_time")
    happened = 0
    while (due := next_due(world, clock)) is not None and due.at <= target:
        _set(world, clock, max(due.at, now))
        due.happen()
        happened += 1
    _set(world, clock, target)
    if clock is None:
        world.pinned = None
        world.offset = target - int(world.wall())
    return happened


def catch_up(world: World) -> int:
    """Let happen what fell due on the global clock by itself."""
    now = world.now()
    due = next_due(world, None)
    if due is None or due.at > now:
        return 0
    try:
        happened = 0
        while due is not None and due.at <= now:
            world.pinned = due.at
            due.happen()
            happened += 1
            due = next_due(world, None)
    finally:
        world.pinned = None
    return happened


def _set(world: World, clock: str | None, at: int) -> None:
    world.changed = True
    if clock is None:
        world.pinned = at
    else:
        world.get("test_helpers.test_clock", clock)["frozen_time"] = at


def next_due(world: World, clock: str | None) -> Due | None:
    """The first thing that will happen by itself on a clock."""
    return min(all_due(world, clock), key=lambda due: (due.at, due.order), default=None)


def all_due(world: World, clock: str | None) -> Iterator[Due]:
    """Everything that will happen by itself on a clock."""
    for subscription in world.table("subscription").values():
        if subscription["test_clock"] == clock:
            yield from _of_subscription(world, subscription)
    for invoice in world.table("invoice").values():
        if invoice["status"] == "open" and invoice["test_clock"] == clock:
            yield from _of_invoice(world, invoice)
    for session in world.table("checkout.session").values():
        if session["status"] == "open" and world.clock_of(session) == clock:
            yield Due(session["expires_at"], 5, lambda row=session: checkout.expire(world, row))  # type: ignore[misc]  # bound now


def _of_subscription(world: World, row: Row) -> Iterator[Due]:
    status, end = row["status"], row["items"]["data"][0]["current_period_end"]
    if status == "incomplete":
        yield Due(row["created"] + world.rules.incomplete_hours * HOUR_S, 1, lambda: expire(world, row))
    if status not in {"trialing", "active", "past_due", "unpaid"}:
        return
    if row["cancel_at"] is not None:
        yield Due(row["cancel_at"], 0, lambda: cancel(world, row, "cancellation_requested"))
    if status == "trialing":
        notice = row["trial_end"] - world.rules.trial_notice_days * DAY_S
        if not row["_told_trial"]:
            yield Due(max(notice, row["trial_start"]), 2, lambda: _tell_trial(world, row))
        yield Due(row["trial_end"], 3, lambda: end_trial(world, row, row["trial_end"]))
        return
    if status == "active" and row["_told_upcoming"] != end and row["cancel_at"] is None:
        notice = max(end - world.rules.upcoming_days * DAY_S, row["items"]["data"][0]["current_period_start"])
        yield Due(notice, 2, lambda: _tell_upcoming(world, row, end))
    yield Due(end, 3, lambda: renew(world, row, end))


def _of_invoice(world: World, invoice: Row) -> Iterator[Due]:
    if invoice["next_payment_attempt"] is not None:
        yield Due(invoice["next_payment_attempt"], 4, lambda: _dun(world, invoice))


def _dun(world: World, invoice: Row) -> None:
    """Try again; after the last attempt the subscription ends as the account chose."""
    charging.charge(world, invoice)
    if invoice["status"] == "open" and invoice["next_payment_attempt"] is None:
        _give_up(world, invoice)


def _give_up(world: World, invoice: Row) -> None:
    subscription = world.get("subscription", invoice["_subscription"])
    if subscription["status"] != "past_due":
        return
    if world.rules.after_dunning == "canceled":
        cancel(world, subscription, "payment_failed")
    elif world.rules.after_dunning == "unpaid":
        charging.change_subscription(world, subscription, {"status": "unpaid"})


def _tell_trial(world: World, row: Row) -> None:
    row["_told_trial"] = True
    world.emit("customer.subscription.trial_will_end", row)


def _tell_upcoming(world: World, row: Row, end: int) -> None:
    row["_told_upcoming"] = end
    fork = world.fork()
    try:
        invoice = upcoming(fork, fork.get("subscription", row["id"]))
    except Refused:
        return  # it ends before it renews: nothing is upcoming
    world.emit("invoice.upcoming", {**invoice, "id": None})
