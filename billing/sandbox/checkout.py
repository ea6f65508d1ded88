"""Checkout sessions: what is offered, and what paying makes of it."""

from dataclasses import dataclass

from billing.sandbox import cards, charging
from billing.sandbox.amounts import Totals, hundredths, totals
from billing.sandbox.catalog import amount_in
from billing.sandbox.customers import (
    add_card,
    add_customer,
    add_tax_id,
    attach,
    change_customer,
    living,
    tax_ids_of,
    tax_kind,
)
from billing.sandbox.refusals import Refused
from billing.sandbox.subscriptions import Order, name_of, start, trial_days
from billing.sandbox.world import Row, World, listed, public


@dataclass(frozen=True)
class Typed:
    """What somebody typed on the checkout page."""

    email: str = ""
    name: str = ""
    number: str = ""
    expiry: str = ""
    cvc: str = ""
    country: str = ""
    tax_id: str = ""


def add_session(world: World, fields: Row) -> Row:
    """A session with its page."""
    row = {
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer_account": None,
        "customer_details": None,
        "invoice": None,
        "invoice_creation": None,
        "mode": "subscription",
        "payment_intent": None,
        "payment_link": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "return_url": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": None,
        "subscription": None,
        "ui_mode": "hosted_page",
        "wallet_options": None,
        "_waiting": None,  # what was typed, while the owner is asked to confirm
        **fields,
    }
    session = world.add("checkout.session", row)
    session["url"] = f"{world.base_url}/c/pay/{session['id']}"
    refresh(world, session)
    return session


def chosen(world: World, session: Row) -> list[tuple[Row, int]]:
    """Prices and quantities of a session."""
    return [(world.get("price", price), quantity) for price, quantity in session["_items"]]


def source_of(world: World, session: Row) -> Row | None:
    """The promotion code or coupon a session has taken."""
    for entry in session["discounts"]:
        if entry["promotion_code"]:
            return world.get("promotion_code", entry["promotion_code"])
        return world.get("coupon", entry["coupon"])
    return None


def cost(world: World, session: Row) -> Totals:
    """What the first full period costs with the discount taken."""
    currency = session["currency"]
    lines = [(amount_in(price, currency) * quantity, True) for price, quantity in chosen(world, session)]
    source = source_of(world, session)
    if source and source["object"] == "promotion_code":
        source = world.get("coupon", source["promotion"]["coupon"])
    percent = hundredths(source["percent_off"]) if source else 0
    off = int(source["amount_off"] or 0) if source and source["currency"] == currency else 0
    return totals(lines, percent, off, 0)


def refresh(world: World, session: Row) -> None:
    """Bring the session's amounts up to date: nothing is due while a trial comes first."""
    sums = cost(world, session)
    due_later = trial_of(world, session) is not None
    session["amount_subtotal"] = 0 if due_later else sums.subtotal
    session["amount_total"] = 0 if due_later else sums.total
    session["total_details"] = {
        "amount_discount": 0 if due_later else sums.discount,
        "amount_shipping": 0,
        "amount_tax": 0,
    }
    world.changed = True


def trial_of(world: World, session: Row) -> int | None:
    """When the trial that a session offers would end."""
    data = session["_data"]
    return data["trial_end"] or trial_days(world.time_of(session), data["trial_period_days"])


def line_items(world: World, session: Row) -> Row:
    """The session's `line_items`, which are only sent when they are expanded."""
    rows = []
    for at, (price, quantity) in enumerate(chosen(world, session)):
        amount = amount_in(price, session["currency"]) * quantity
        rows.append(
            {
                "id": f"li_{session['id'][8:]}{at}",
                "object": "item",
                "adjustable_quantity": None,
                "amount_discount": 0,
                "amount_subtotal": amount,
                "amount_tax": 0,
                "amount_total": amount,
                "currency": session["currency"],
                "description": name_of(world, {"price": price}),
                "metadata": {},
                "price": public(price),
                "quantity": quantity,
            }
        )
    return listed(rows, f"/v1/checkout/sessions/{session['id']}/line_items")


def open_session(world: World, session_id: str) -> Row:
    """A session that can still be paid.

    Raises:
        Refused: it is complete or expired.
    """
    session = world.get("checkout.session", session_id)
    if session["status"] != "open":
        raise Refused(f"This Checkout Session is already {session['status']}.", code="checkout_session_not_open")
    return session


def expire(world: World, session: Row) -> None:
    """Close a session that nobody paid."""
    session.update(status="expired", url=None, _waiting=None)
    world.emit("checkout.session.expired", session)


def pay(world: World, session: Row, typed: Typed, *, confirmed: bool = False) -> bool:
    """Complete a session with a card; False means that its owner has to confirm first.

    Raises:
        Refused: something typed is wrong, or the card is declined; `param` names the field.
    """
    now = world.time_of(session)
    needs_card = session["payment_method_collection"] != "if_required" or session["amount_total"] > 0
    if not session["customer"] and "@" not in (typed.email or session["customer_email"] or ""):
        raise Refused("Write an e-mail address, such as you@example.com.", param="email")
    tax = tax_kind(typed.tax_id.replace(" ", "").upper()) if typed.tax_id.strip() else None
    number, month, year = "", 0, 0
    if needs_card:
        if not typed.name.strip():
            raise Refused("Write the name on the card.", param="name")
        number, month, year = cards.read_card(typed.number, typed.expiry, typed.cvc, now)
        behaviour = cards.CARDS[number].behaviour
        if behaviour == cards.DECLINE or (behaviour == cards.LATER and session["amount_total"] > 0):
            raise cards.refusal_of(number)
        if behaviour in {cards.ASK, cards.ASK_ALWAYS} and not confirmed:
            session["_waiting"] = vars(typed)
            world.changed = True
            return False
    customer = _customer(world, session, typed)
    if tax:
        value = typed.tax_id.replace(" ", "").upper()
        if not any(row["value"] == value for row in tax_ids_of(world, customer["id"])):
            add_tax_id(world, customer, tax, value)
    method = add_card(world, number, month, year, name=typed.name, email=customer["email"]) if number else None
    if method:
        method["_confirmed"] = confirmed
        attach(world, method, customer)
    _complete(world, session, customer, method, confirmed=confirmed)
    return True


def _customer(world: World, session: Row, typed: Typed) -> Row:
    """The customer who pays: the session's, or a new one."""
    address = None
    if typed.country:
        address = {
            "city": None,
            "country": typed.country,
            "line1": None,
            "line2": None,
            "postal_code": None,
            "state": None,
        }
    if not session["customer"]:
        customer = add_customer(
            world, email=typed.email or session["customer_email"], name=typed.name or None, address=address
        )
        session["customer"] = customer["id"]
        return customer
    customer = living(world, session["customer"])
    changes: Row = {}
    if session["_customer_update"].get("name") == "auto" and typed.name:
        changes["name"] = typed.name
    if session["_customer_update"].get("address") == "auto" and address:
        changes["address"] = address
    change_customer(world, customer, changes)
    return customer


def _complete(world: World, session: Row, customer: Row, method: Row | None, *, confirmed: bool) -> None:
    data = session["_data"]
    order = Order(
        customer=customer,
        items=chosen(world, session),
        currency=session["currency"],
        trial_end=trial_of(world, session),
        discount=source_of(world, session),
        payment_method=method["id"] if method else None,
        payment_behavior="default_incomplete" if confirmed else "allow_incomplete",
        missing_payment_method=data["missing_payment_method"],
        metadata=data["metadata"],
        description=data["description"],
        automatic_tax=session["automatic_tax"]["enabled"],
    )
    subscription = start(world, order)
    invoice = world.get("invoice", subscription["latest_invoice"])
    if confirmed:  # the charge of a card that always asks goes through because its owner is here
        charging.charge(world, invoice, confirmed=True)
    refresh(world, session)
    session.update(
        status="complete",
        url=None,
        _waiting=None,
        payment_status="paid" if session["amount_total"] else "no_payment_required",
        subscription=subscription["id"],
        invoice=invoice["id"],
        customer_details={
            "address": customer["address"],
            "business_name": None,
            "email": customer["email"],
            "individual_name": None,
            "name": customer["name"],
            "phone": None,
            "tax_exempt": customer["tax_exempt"],
            "tax_ids": [{"type": row["type"], "value": row["value"]} for row in tax_ids_of(world, customer["id"])],
        },
    )
    world.emit("checkout.session.completed", session)
