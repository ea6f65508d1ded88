"""Customers, what they pay with, and their tax ids."""

import re

from billing.sandbox import cards
from billing.sandbox.refusals import Refused
from billing.sandbox.world import Row, World

TAX_IDS = {
    "eu_vat": r"(AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK|XI)[0-9A-Z]{8,12}",
    "gb_vat": r"GB(\d{9}|\d{12})",
    "us_ein": r"\d{2}-\d{7}",
    "ch_vat": r"CHE-?\d{3}\.?\d{3}\.?\d{3} ?(MWST|TVA|IVA)",
    "no_vat": r"\d{9}MVA",
    "in_gst": r"\d{2}[A-Z]{5}\d{4}[A-Z]\d[A-Z][0-9A-Z]",
    "br_cnpj": r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}",
    "au_abn": r"\d{11}",
}


def add_customer(world: World, clock: str | None = None, **fields: object) -> Row:
    """A customer, with its event."""
    row = {
        "created": world.now(clock),
        "address": None,
        "balance": 0,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": None,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": clock,
        **fields,
    }
    customer = world.add("customer", row)
    customer["invoice_prefix"] = customer["id"][-8:].upper()
    world.emit("customer.created", customer)
    return customer


def living(world: World, customer_id: str, param: str = "customer") -> Row:
    """A customer that was not deleted.

    Raises:
        Refused: 404 where it is absent or deleted.
    """
    customer = world.get("customer", customer_id, param)
    if customer.get("deleted"):
        raise Refused(f"No such customer: '{customer_id}'", status=404, code="resource_missing", param=param)
    return customer


def add_tax_id(world: World, customer: Row, kind: str, value: str) -> Row:
    """A tax id of a customer; its shape is checked, its truth is not.

    Raises:
        Refused: `tax_id_invalid`.
    """
    pattern = TAX_IDS.get(kind)
    if pattern is None:
        raise Refused(f"Invalid type: the sandbox knows {', '.join(TAX_IDS)}.", param="type")
    if not re.fullmatch(pattern, value):
        raise Refused(f"Invalid value for {kind}.", code="tax_id_invalid", param="value")
    row = {
        "country": value[:2] if kind == "eu_vat" else kind[:2].upper(),
        "customer": customer["id"],
        "customer_account": None,
        "owner": {"type": "customer", "customer": customer["id"], "account": None, "application": None},
        "type": kind,
        "value": value,
        "verification": {"status": "pending", "verified_address": None, "verified_name": None},
    }
    made = world.add("tax_id", row)
    world.emit("customer.tax_id.created", made)
    return made


def tax_kind(value: str) -> str:
    """The kind of tax id a text looks like.

    Raises:
        Refused: it looks like none.
    """
    for kind, pattern in TAX_IDS.items():
        if re.fullmatch(pattern, value):
            return kind
    raise Refused(
        "This is no tax id we know: write it with its country letters, such as DE123456789.",
        code="tax_id_invalid",
        param="tax_id",
    )


def tax_ids_of(world: World, customer_id: str) -> list[Row]:
    """A customer's tax ids, newest first."""
    return [row for row in reversed(world.table("tax_id").values()) if row["customer"] == customer_id]


def add_card(
    world: World, number: str, month: int = 12, year: int = 2040, *, name: str | None = None, email: str | None = None
) -> Row:
    """A payment method for a test card; only the last four digits and its behaviour are kept."""
    card = cards.CARDS[number]
    row = {
        "allow_redisplay": "unspecified",
        "billing_details": {"address": None, "email": email, "name": name, "phone": None, "tax_id": None},
        "card": {
            "brand": card.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": card.brand,
            "exp_month": month,
            "exp_year": year,
            "funding": "credit",
            "last4": number[-4:],
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "customer": None,
        "customer_account": None,
        "metadata": {},
        "type": "card",
        "_number": number,  # one of the documented test numbers, which are public
        "_confirmed": False,
    }
    return world.add("payment_method", row)


def attach(world: World, method: Row, customer: Row) -> None:
    """Give a card to a customer.

    Raises:
        Refused: the card is declined when it is saved, or belongs to someone else.
    """
    if method["customer"] == customer["id"]:
        return
    if method["customer"]:
        raise Refused("The payment method you provided has already been attached to a customer.", param="customer")
    if cards.CARDS[method["_number"]].behaviour == cards.DECLINE:
        raise cards.refusal_of(method["_number"])
    method["customer"] = customer["id"]
    world.emit("payment_method.attached", method)


def detach(world: World, method: Row) -> None:
    """Take a card from its customer, and from everything that would charge it."""
    owner = method["customer"]
    if owner is None:
        raise Refused("The payment method you provided is not attached to a customer so detachment is impossible.")
    settings = world.get("customer", owner)["invoice_settings"]
    if settings["default_payment_method"] == method["id"]:
        settings["default_payment_method"] = None
    for subscription in world.table("subscription").values():
        if subscription["default_payment_method"] == method["id"]:
            subscription["default_payment_method"] = None
    method["customer"] = None
    world.emit("payment_method.detached", method, {"customer": owner})


def resolve_method(world: World, given: str, param: str = "payment_method") -> Row:
    """A payment method by id, or a fresh one from one of Stripe's test tokens such as `pm_card_visa`."""
    if given in cards.TOKENS:
        return add_card(world, cards.TOKENS[given])
    return world.get("payment_method", given, param)


def change_customer(world: World, customer: Row, changes: Row) -> None:
    """Set fields, and say what they were."""
    previous = {key: customer[key] for key, value in changes.items() if customer[key] != value}
    customer.update(changes)
    if previous:
        world.emit("customer.updated", customer, previous)


def change_balance(world: World, customer: Row, amount: int, currency: str, *, kind: str, invoice: str | None) -> Row:
    """Move the customer's balance (negative: in the customer's favour) and write the transaction."""
    customer["balance"] += amount
    row = {
        "amount": amount,
        "currency": currency,
        "customer": customer["id"],
        "description": None,
        "ending_balance": customer["balance"],
        "invoice": invoice,
        "metadata": {},
        "type": kind,
    }
    return world.add("customer_balance_transaction", row)
