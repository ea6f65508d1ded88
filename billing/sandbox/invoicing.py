"""Invoices: their lines, their totals, and how one is issued."""

import secrets
from dataclasses import dataclass, field

from billing.sandbox import charging
from billing.sandbox.amounts import WHOLE, hundredths, rounded, totals
from billing.sandbox.customers import change_balance, tax_ids_of
from billing.sandbox.world import Row, World, listed, public


@dataclass(frozen=True)
class Bill:
    """What an invoice is about."""

    customer: Row
    subscription: Row
    lines: list[Row]
    reason: str  # Stripe's billing_reason
    period: tuple[int, int]
    proration_date: int | None = None
    taken: list[Row] = field(default_factory=list)  # pending invoice items that become lines


def line(
    subscription: Row,
    item: Row,
    amount: int,
    period: tuple[int, int],
    description: str,
    *,
    proration: bool = False,
    quantity: int | None = None,
) -> Row:
    """One line of an invoice in the shape of `line_item`."""
    details = {
        "invoice_item": None,
        "proration": proration,
        "proration_details": {"credited_items": None},
        "subscription": subscription["id"],
        "subscription_item": item["id"],
    }
    count = item["quantity"] if quantity is None else quantity
    return {
        "id": f"il_{secrets.token_hex(12)}",
        "object": "line_item",
        "amount": amount,
        "currency": subscription["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": not proration,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": dict(subscription["metadata"]),
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": details,
            "type": "subscription_item_details",
        },
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": item["price"]["id"], "product": item["price"]["product"]},
            "type": "price_details",
            "unit_amount_decimal": str(rounded(amount, count) if count else 0),
        },
        "quantity": count,
        "quantity_decimal": str(count),
        "subscription": subscription["id"],
        "subtotal": amount,
        "taxes": [],
    }


def discount_of(world: World, subscription: Row, now: int) -> Row | None:
    """The subscription's discount if it is in force; one that has ended is taken off."""
    for discount_id in list(subscription["discounts"]):
        discount = world.get("discount", discount_id)
        if discount["end"] is None or discount["end"] > now:
            return discount
        subscription["discounts"].remove(discount_id)
        world.emit("customer.discount.deleted", discount)
    return None


def percent_of(world: World, discount: Row | None) -> int:
    """Hundredths of a percent a discount takes off."""
    return hundredths(world.get("coupon", discount["source"]["coupon"])["percent_off"]) if discount else 0


def _off(world: World, discount: Row | None, currency: str) -> int:
    """The fixed amount a discount takes off in a currency."""
    coupon = world.get("coupon", discount["source"]["coupon"]) if discount else None
    return int(coupon["amount_off"] or 0) if coupon and coupon["currency"] == currency else 0


def draft(world: World, bill: Bill, now: int) -> Row:
    """The invoice with its totals, kept nowhere: this is also what a preview shows."""
    customer, subscription = bill.customer, bill.subscription
    lines = [*bill.lines, *(_line_of(item) for item in bill.taken)]
    discount = discount_of(world, subscription, now)
    percent, off = percent_of(world, discount), _off(world, discount, subscription["currency"])
    sums = totals([(one["amount"], one["discountable"]) for one in lines], percent, off, customer["balance"])
    if discount:
        for one in lines:
            if one["discountable"] and percent:
                cut = rounded(one["amount"] * percent, WHOLE)
                one["discount_amounts"] = [{"amount": cut, "discount": discount["id"]}]
    amounts = [{"amount": sums.discount, "discount": discount["id"]}] if discount and sums.discount else []
    row: Row = {
        "id": f"upcoming_in_{secrets.token_hex(12)}",
        "object": "invoice",
        "account_country": "US",
        "account_name": "Candor sandbox",
        "account_tax_ids": None,
        "amount_due": sums.amount_due,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_paid_off_stripe": 0,
        "amount_remaining": sums.amount_due,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": automatic_tax(subscription["automatic_tax"]["enabled"]),
        "automatically_finalizes_at": None,
        "billing_reason": bill.reason,
        "collection_method": "charge_automatically",
        "created": now,
        "currency": subscription["currency"],
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": None,
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [{"type": tax["type"], "value": tax["value"]} for tax in tax_ids_of(world, customer["id"])],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": subscription["description"],
        "discounts": [discount["id"]] if amounts and discount else [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": sums.ending_balance,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": None,
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": dict(subscription["metadata"]),
                "subscription": subscription["id"],
                "subscription_proration_date": bill.proration_date,
            },
            "type": "subscription_details",
        },
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": bill.period[1],
        "period_start": bill.period[0],
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": sums.starting_balance,
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": sums.subtotal,
        "subtotal_excluding_tax": sums.subtotal,
        "test_clock": customer["test_clock"],
        "threshold_reason": None,
        "total": sums.total,
        "total_discount_amounts": amounts,
        "total_excluding_tax": sums.total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
        "_subscription": subscription["id"],
        "_payments": [],
    }
    row["lines"] = listed(lines, f"/v1/invoices/{row['id']}/lines")
    return row


def automatic_tax(enabled: bool) -> Row:
    """The answer of a tax engine that finds no tax anywhere."""
    return {
        "disabled_reason": None,
        "enabled": enabled,
        "liability": {"type": "self"} if enabled else None,
        "provider": "stripe" if enabled else None,
        "status": "complete" if enabled else None,
    }


def _line_of(item: Row) -> Row:
    """The line a pending invoice item becomes."""
    return dict(public(item["_line"]))


def pending(world: World, subscription: Row) -> list[Row]:
    """Invoice items that wait for the subscription's next invoice, oldest first."""
    return [
        row
        for row in world.table("invoiceitem").values()
        if row["_subscription"] == subscription["id"] and row["invoice"] is None
    ]


def add_pending(world: World, subscription: Row, row: Row) -> Row:
    """Let a line wait for the next invoice."""
    item = {
        "created": world.time_of(subscription),
        "amount": row["amount"],
        "currency": row["currency"],
        "customer": subscription["customer"],
        "date": world.time_of(subscription),
        "description": row["description"],
        "discountable": row["discountable"],
        "discounts": [],
        "invoice": None,
        "metadata": {},
        "parent": {"subscription_details": {"subscription": subscription["id"]}, "type": "subscription_details"},
        "period": row["period"],
        "pricing": row["pricing"],
        "proration": row["parent"]["subscription_item_details"]["proration"],
        "quantity": row["quantity"],
        "test_clock": None,
        "_subscription": subscription["id"],
        "_line": row,
    }
    added = world.add("invoiceitem", item)
    world.emit("invoiceitem.created", added)
    return added


def issue(world: World, bill: Bill, *, finalize: bool = True, collect: bool = True) -> Row:
    """Make the invoice, finalize it and try to collect it; the subscription then names it as its latest."""
    now = world.time_of(bill.subscription)
    built = draft(world, bill, now)
    invoice = world.add("invoice", {key: value for key, value in built.items() if key not in {"id", "object"}})
    for row in invoice["lines"]["data"]:
        row["invoice"] = invoice["id"]
    invoice["lines"]["url"] = f"/v1/invoices/{invoice['id']}/lines"
    for item in bill.taken:
        item["invoice"] = invoice["id"]
    bill.subscription["latest_invoice"] = invoice["id"]
    _spend_once(world, bill.subscription, invoice)
    world.emit("invoice.created", invoice)
    if finalize:
        finalize_invoice(world, invoice)
        if collect or invoice["amount_due"] == 0:
            charging.charge(world, invoice)
    return invoice


def finalize_invoice(world: World, invoice: Row) -> None:
    """Give it a number and a page, and let the customer's balance take part."""
    customer = world.get("customer", invoice["customer"])
    now = world.time_of(invoice)
    token = secrets.token_urlsafe(24)
    sequence = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] = sequence + 1
    after = invoice["total"] + customer["balance"]
    due, ending = max(after, 0), min(after, 0)
    invoice.update(
        status="open",
        number=f"{customer['invoice_prefix']}-{sequence:04d}",
        effective_at=now,
        hosted_invoice_url=f"{world.base_url}/i/{token}",
        invoice_pdf=f"{world.base_url}/i/{token}/pdf",
        starting_balance=customer["balance"],
        amount_due=due,
        amount_remaining=due,
        ending_balance=ending,
        _token=token,
    )
    invoice["status_transitions"]["finalized_at"] = now
    moved = ending - customer["balance"]
    if moved:
        change_balance(world, customer, moved, invoice["currency"], kind="applied_to_invoice", invoice=invoice["id"])
        world.emit("customer.updated", customer, {"balance": customer["balance"] - moved})
    world.emit("invoice.finalized", invoice)


def _spend_once(world: World, subscription: Row, invoice: Row) -> None:
    """A coupon of duration `once` is used up by the first invoice that it made cheaper."""
    for discount_id in list(invoice["discounts"]):
        if world.get("coupon", world.get("discount", discount_id)["source"]["coupon"])["duration"] == "once":
            subscription["discounts"].remove(discount_id)
