"""Customers, their tax ids, balance and payment methods over HTTP."""

from billing.sandbox import cards, customers
from billing.sandbox.api.listing import page, search
from billing.sandbox.refusals import Refused
from billing.sandbox.subscriptions import ENDED, cancel
from billing.sandbox.wire import Params
from billing.sandbox.world import Row, World

Named = dict[str, str]
TEXTS = ("email", "name", "phone", "description")
ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def _fields(params: Params, before: Row) -> Row:
    """Fields of a customer; an empty string unsets one."""
    found: Row = {name: params.text(name) if params.has(name) else before.get(name) for name in TEXTS}
    params.known.update(TEXTS)
    found["metadata"] = params.metadata(before.get("metadata"))
    found["balance"] = params.whole("balance", before.get("balance", 0))
    found["tax_exempt"] = params.text(
        "tax_exempt", before.get("tax_exempt", "none"), choices=("none", "exempt", "reverse")
    )
    found["preferred_locales"] = params.words("preferred_locales") or before.get("preferred_locales", [])
    address = params.inner("address")
    given = {name: address.text(name) for name in ADDRESS}
    found["address"] = given if params.data.get("address") else before.get("address")
    if found["email"] is not None and "@" not in found["email"]:
        raise Refused(f"Invalid email address: {found['email']}", code="email_invalid", param="email")
    return found


def create_customer(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/customers."""
    fields = _fields(params, {})
    clock, method = params.text("test_clock"), params.text("payment_method")
    wanted = params.inner("invoice_settings").text("default_payment_method")
    taxes = [(row.required("type"), row.required("value")) for row in params.rows("tax_id_data")]
    params.ignore("tax")
    params.done()
    if clock:
        world.get("test_helpers.test_clock", clock, "test_clock")
    card = customers.resolve_method(world, method) if method else None
    if card and cards.CARDS[card["_number"]].behaviour == cards.DECLINE:
        raise cards.refusal_of(card["_number"])
    customer = customers.add_customer(world, clock, **fields)
    for kind, value in taxes:
        customers.add_tax_id(world, customer, kind, value)
    if card:
        customers.attach(world, card, customer)
        if wanted in {method, card["id"]}:
            customer["invoice_settings"]["default_payment_method"] = card["id"]
    return customer


def retrieve_customer(world: World, named: Named, params: Params) -> Row:
    """GET /v1/customers/{id}; a deleted one says so."""
    params.done()
    row = world.get("customer", named["id"])
    return {"id": row["id"], "object": "customer", "deleted": True} if row.get("deleted") else row


def update_customer(world: World, named: Named, params: Params) -> Row:
    """POST /v1/customers/{id}."""
    row = customers.living(world, named["id"], "id")
    fields = _fields(params, row)
    inner = params.inner("invoice_settings")
    method = inner.text("default_payment_method")
    params.ignore("tax")
    params.done()
    if method:
        card = world.get("payment_method", method, "invoice_settings[default_payment_method]")
        if card["customer"] != row["id"]:
            raise Refused(f"The customer does not have a payment method with the ID {method}.", code="resource_missing")
        fields["invoice_settings"] = {**row["invoice_settings"], "default_payment_method": method}
    elif inner.has("default_payment_method"):
        fields["invoice_settings"] = {**row["invoice_settings"], "default_payment_method": None}
    moved = fields.pop("balance") - row["balance"]
    if moved:
        customers.change_balance(world, row, moved, row["currency"] or "usd", kind="adjustment", invoice=None)
    customers.change_customer(world, row, fields)
    return row


def delete_customer(world: World, named: Named, params: Params) -> Row:
    """DELETE /v1/customers/{id}: its subscriptions end at once."""
    params.done()
    row = customers.living(world, named["id"], "id")
    for subscription in list(world.table("subscription").values()):
        if subscription["customer"] == row["id"] and subscription["status"] not in ENDED:
            cancel(world, subscription, "cancellation_requested")
    row["deleted"] = True
    row.update(dict.fromkeys((*TEXTS, "address")), metadata={})
    world.emit("customer.deleted", row)
    return {"id": row["id"], "object": "customer", "deleted": True}


def _living(world: World) -> list[Row]:
    return [row for row in world.table("customer").values() if not row.get("deleted")]


def list_customers(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/customers."""
    rows = _living(world)
    if email := params.text("email"):
        rows = [row for row in rows if row["email"] == email]
    clock = params.text("test_clock")
    if clock:
        rows = [row for row in rows if row["test_clock"] == clock]
    return page(params, rows, "/v1/customers")


def search_customers(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/customers/search."""
    return search(params, _living(world), "/v1/customers/search")


def create_tax_id(world: World, named: Named, params: Params) -> Row:
    """POST /v1/customers/{customer}/tax_ids."""
    customer = customers.living(world, named["customer"])
    kind, value = params.required("type"), params.required("value")
    params.done()
    return customers.add_tax_id(world, customer, kind, value)


def list_tax_ids(world: World, named: Named, params: Params) -> Row:
    """GET /v1/customers/{customer}/tax_ids."""
    customer = customers.living(world, named["customer"])
    rows = [row for row in world.table("tax_id").values() if row["customer"] == customer["id"]]
    return page(params, rows, f"/v1/customers/{customer['id']}/tax_ids")


def _tax_id(world: World, named: Named) -> Row:
    row = world.get("tax_id", named["id"])
    if row["customer"] != named["customer"]:
        raise Refused(f"No such tax_id: '{named['id']}'", status=404, code="resource_missing", param="id")
    return row


def retrieve_tax_id(world: World, named: Named, params: Params) -> Row:
    """GET /v1/customers/{customer}/tax_ids/{id}."""
    params.done()
    return _tax_id(world, named)


def delete_tax_id(world: World, named: Named, params: Params) -> Row:
    """DELETE /v1/customers/{customer}/tax_ids/{id}."""
    params.done()
    row = _tax_id(world, named)
    del world.table("tax_id")[row["id"]]
    world.emit("customer.tax_id.deleted", {**row})
    return {"id": row["id"], "object": "tax_id", "deleted": True}


def create_balance_transaction(world: World, named: Named, params: Params) -> Row:
    """POST /v1/customers/{customer}/balance_transactions."""
    customer = customers.living(world, named["customer"])
    amount, currency = params.whole("amount"), params.required("currency").lower()
    params.ignore("description", "metadata")
    params.done()
    if not amount:
        raise params.absent("amount")
    if customer["currency"] not in {None, currency}:
        raise Refused("The customer has another currency.", param="currency")
    before = customer["balance"]
    row = customers.change_balance(world, customer, amount, currency, kind="adjustment", invoice=None)
    world.emit("customer.updated", customer, {"balance": before})
    return row


def list_balance_transactions(world: World, named: Named, params: Params) -> Row:
    """GET /v1/customers/{customer}/balance_transactions."""
    rows = [row for row in world.table("customer_balance_transaction").values() if row["customer"] == named["customer"]]
    return page(params, rows, f"/v1/customers/{named['customer']}/balance_transactions")


def create_payment_method(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/payment_methods: a card by its test number."""
    params.text("type", choices=("card",))
    card = params.inner("card")
    number = card.required("number")
    expiry = f"{card.required('exp_month')}/{card.required('exp_year')}"
    details = params.inner("billing_details")
    name, email = details.text("name"), details.text("email")
    cvc = card.text("cvc") or ("1234" if number.startswith("37") else "123")
    metadata = params.metadata()
    params.done()
    digits, month, year = cards.read_card(number, expiry, cvc, world.now())
    row = customers.add_card(world, digits, month, year, name=name, email=email)
    row["metadata"] = metadata
    return row


def retrieve_payment_method(world: World, named: Named, params: Params) -> Row:
    """GET /v1/payment_methods/{id}."""
    params.done()
    return customers.resolve_method(world, named["id"])


def attach_payment_method(world: World, named: Named, params: Params) -> Row:
    """POST /v1/payment_methods/{id}/attach; the id may be a token such as `pm_card_visa`."""
    customer = customers.living(world, params.required("customer"))
    params.done()
    row = customers.resolve_method(world, named["id"])
    customers.attach(world, row, customer)
    return row


def detach_payment_method(world: World, named: Named, params: Params) -> Row:
    """POST /v1/payment_methods/{id}/detach."""
    params.done()
    row = world.get("payment_method", named["id"])
    customers.detach(world, row)
    return row


def list_payment_methods(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/payment_methods."""
    owner = params.required("customer")
    params.text("type", choices=("card",))
    rows = [row for row in world.table("payment_method").values() if row["customer"] == owner]
    return page(params, rows, "/v1/payment_methods")


def list_customer_payment_methods(world: World, named: Named, params: Params) -> Row:
    """GET /v1/customers/{customer}/payment_methods."""
    customer = customers.living(world, named["customer"])
    params.text("type", choices=("card",))
    rows = [row for row in world.table("payment_method").values() if row["customer"] == customer["id"]]
    return page(params, rows, f"/v1/customers/{customer['id']}/payment_methods")


CALLS = {
    "POST /v1/customers": create_customer,
    "GET /v1/customers": list_customers,
    "GET /v1/customers/search": search_customers,
    "GET /v1/customers/{id}": retrieve_customer,
    "POST /v1/customers/{id}": update_customer,
    "DELETE /v1/customers/{id}": delete_customer,
    "POST /v1/customers/{customer}/tax_ids": create_tax_id,
    "GET /v1/customers/{customer}/tax_ids": list_tax_ids,
    "GET /v1/customers/{customer}/tax_ids/{id}": retrieve_tax_id,
    "DELETE /v1/customers/{customer}/tax_ids/{id}": delete_tax_id,
    "POST /v1/customers/{customer}/balance_transactions": create_balance_transaction,
    "GET /v1/customers/{customer}/balance_transactions": list_balance_transactions,
    "GET /v1/customers/{customer}/payment_methods": list_customer_payment_methods,
    "POST /v1/payment_methods": create_payment_method,
    "GET /v1/payment_methods": list_payment_methods,
    "GET /v1/payment_methods/{id}": retrieve_payment_method,
    "POST /v1/payment_methods/{id}/attach": attach_payment_method,
    "POST /v1/payment_methods/{id}/detach": detach_payment_method,
}
