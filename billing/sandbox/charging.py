"""Charging an invoice: who pays it, what the bank says, and what that does to the subscription."""

from billing.sandbox import cards
from billing.sandbox.customers import change_balance
from billing.sandbox.periods import DAY_S
from billing.sandbox.refusals import Refused
from billing.sandbox.world import Row, World

PAID, FAILED, ASKED = "paid", "failed", "asked"


def method_for(world: World, subscription: Row | None, customer: Row) -> Row | None:
    """The card that is charged: the subscription's own, else the customer's default."""
    chosen = (subscription or {}).get("default_payment_method") or customer["invoice_settings"][
        "default_payment_method"
    ]
    return world.table("payment_method").get(chosen) if chosen else None


def verdict(method: Row | None) -> str:
    """What the bank says about a charge without its owner present."""
    if method is None:
        return FAILED
    behaviour = cards.CARDS[method["_number"]].behaviour
    if behaviour in {cards.DECLINE, cards.LATER}:
        return FAILED
    if behaviour == cards.ASK_ALWAYS or (behaviour == cards.ASK and not method["_confirmed"]):
        return ASKED
    return PAID


def refusal(method: Row | None, outcome: str) -> Refused:
    """The error of a charge that did not go through."""
    if method is None:
        return Refused(
            "This customer has no attached payment source or default payment method.",
            code="resource_missing",
        )
    if outcome == ASKED:
        return Refused(
            "Your card was declined. This transaction requires authentication.",
            status=402,
            kind="card_error",
            code="authentication_required",
            extra={"decline_code": "authentication_required"},
        )
    return cards.refusal_of(method["_number"])


def change_subscription(world: World, row: Row, changes: Row, *, told: bool = True) -> None:
    """Set fields of a subscription, and say what they were."""
    previous = {key: row[key] for key, value in changes.items() if row.get(key) != value}
    row.update(changes)
    world.changed = True
    if previous and told:
        world.emit("customer.subscription.updated", row, previous)


def charge(world: World, invoice: Row, *, method: Row | None = None, confirmed: bool = False) -> str:
    """Try to collect an open invoice; returns what happened.

    Args:
        world: where it happens.
        invoice: an open invoice; a paid one is left alone.
        method: the card to try instead of the default.
        confirmed: the owner is present and has confirmed.
    """
    if invoice["status"] != "open":
        return PAID if invoice["status"] == "paid" else FAILED
    subscription = world.table("subscription").get(invoice["_subscription"] or "")
    customer = world.get("customer", invoice["customer"])
    method = method or method_for(world, subscription, customer)
    outcome = PAID if invoice["amount_due"] == 0 else verdict(method)
    if outcome == ASKED and confirmed:
        outcome = PAID
    if outcome == PAID:
        settle(world, invoice, method)
    else:
        _fail(world, invoice, subscription, customer, outcome)
    return outcome


def settle(world: World, invoice: Row, method: Row | None, *, out_of_band: bool = False) -> None:
    """The invoice is paid."""
    now = world.time_of(invoice)
    customer = world.get("customer", invoice["customer"])
    due = invoice["amount_due"]
    charged = due > 0 and not out_of_band
    invoice.update(
        status="paid",
        amount_paid=0 if out_of_band else due,
        amount_paid_off_stripe=due if out_of_band else 0,
        amount_remaining=0,
        attempted=True,
        attempt_count=invoice["attempt_count"] + (1 if charged else 0),
        next_payment_attempt=None,
        auto_advance=False,
    )
    invoice["status_transitions"]["paid_at"] = now
    if charged and method is not None:
        invoice["_payments"] = [_payment(world, invoice, method, now)]
    customer["delinquent"] = any(
        row["customer"] == customer["id"] and row["status"] == "open" and row["attempted"]
        for row in world.table("invoice").values()
    )
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)
    subscription = world.table("subscription").get(invoice["_subscription"] or "")
    waiting = subscription and subscription["status"] in {"incomplete", "past_due", "unpaid"}
    if subscription and waiting and not _owes(world, subscription):
        change_subscription(world, subscription, {"status": "active"})


def _owes(world: World, subscription: Row) -> bool:
    """Whether another invoice of the subscription waits for money."""
    return any(
        row["_subscription"] == subscription["id"] and row["status"] == "open"
        for row in world.table("invoice").values()
    )


def _payment(world: World, invoice: Row, method: Row, now: int) -> Row:
    return {
        "id": f"inpay_{invoice['id'][3:]}",
        "object": "invoice_payment",
        "amount_paid": invoice["amount_due"],
        "amount_requested": invoice["amount_due"],
        "created": now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"type": "payment_intent", "payment_intent": f"pi_{invoice['id'][3:]}"},
        "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": now},
        "_method": method["id"],
    }


def _fail(world: World, invoice: Row, subscription: Row | None, customer: Row, outcome: str) -> None:
    """Write the failed attempt and plan the next one."""
    now = world.time_of(invoice)
    first = invoice["billing_reason"] == "subscription_create"
    waits = world.rules.dunning_days
    attempt = invoice["attempt_count"] + 1
    retry = None if first or attempt > len(waits) else now + waits[attempt - 1] * DAY_S
    invoice.update(attempted=True, attempt_count=attempt, next_payment_attempt=retry)
    if not first:
        customer["delinquent"] = True
    world.emit("invoice.payment_failed", invoice)
    if outcome == ASKED:
        world.emit("invoice.payment_action_required", invoice)
    if subscription is None or first:
        return
    if subscription["status"] in {"active", "trialing"}:
        change_subscription(world, subscription, {"status": "past_due"})


def void(world: World, invoice: Row) -> None:
    """Nobody owes this any more; what the customer's balance gave comes back."""
    invoice.update(status="void", auto_advance=False, next_payment_attempt=None, amount_remaining=0)
    invoice["status_transitions"]["voided_at"] = world.time_of(invoice)
    moved = (invoice["ending_balance"] or 0) - invoice["starting_balance"]
    if moved:
        change_balance(
            world,
            world.get("customer", invoice["customer"]),
            -moved,
            invoice["currency"],
            kind="unapplied_from_invoice",
            invoice=invoice["id"],
        )
    world.emit("invoice.voided", invoice)
