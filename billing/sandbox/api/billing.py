"""Subscriptions and invoices over HTTP."""

from billing.sandbox import catalog, changing, charging
from billing.sandbox.api.listing import page, search
from billing.sandbox.changing import Change, ItemChange
from billing.sandbox.customers import living, resolve_method
from billing.sandbox.invoicing import finalize_invoice
from billing.sandbox.refusals import Refused
from billing.sandbox.subscriptions import ENDED, Order, cancel, resume, start, trial_days
from billing.sandbox.wire import Params
from billing.sandbox.world import Row, World

Named = dict[str, str]
BEHAVIORS = ("allow_incomplete", "error_if_incomplete", "default_incomplete")
MISSING_CARD = ("create_invoice", "cancel", "pause")
IGNORED = ("collection_method", "off_session", "payment_settings", "billing_mode", "enable_incomplete_payments")
FEEDBACK = ("comment", "feedback")


def _discount(world: World, params: Params, customer: str | None) -> Row | None:
    rows = params.rows("discounts")
    if len(rows) > 1:
        raise Refused("The sandbox takes one discount.", param="discounts")
    for row in rows:
        coupon, code = row.text("coupon"), row.text("promotion_code")
        if coupon:
            return world.get("coupon", coupon, row.name_of("coupon"))
        if code:
            return catalog.redeemable(world, code, customer, world.now(), row.name_of("promotion_code"))
    return None


def _method(world: World, params: Params, customer: Row) -> str | None:
    given = params.text("default_payment_method")
    if given is None:
        return None
    row = resolve_method(world, given, "default_payment_method")
    if row["customer"] != customer["id"]:
        raise Refused(
            f"The customer does not have a payment method with the ID {given}.",
            code="resource_missing",
            param="default_payment_method",
        )
    return str(row["id"])


def _missing_card(params: Params, before: str) -> str:
    inner = params.inner("trial_settings").inner("end_behavior")
    return inner.text("missing_payment_method", before, choices=MISSING_CARD) or before


def _order(world: World, params: Params, customer: Row, now: int, items: list[tuple[Row, int]]) -> Order:
    """What a create call, or a preview of one, wants."""
    ends = params.text("trial_end")
    trial = None if ends in {None, "now"} else params.moment("trial_end")
    currency = (params.text("currency") or customer["currency"] or items[0][0]["currency"]).lower()
    for price, _ in items:
        catalog.amount_in(price, currency)
    return Order(
        customer=customer,
        items=items,
        currency=currency,
        trial_end=trial or trial_days(now, params.whole("trial_period_days", low=1)),
        discount=_discount(world, params, customer["id"]),
        payment_method=_method(world, params, customer),
        payment_behavior=params.text("payment_behavior", "allow_incomplete", choices=BEHAVIORS) or "",
        missing_payment_method=_missing_card(params, "create_invoice"),
        metadata=params.metadata(),
        description=params.text("description"),
        automatic_tax=params.inner("automatic_tax").flag("enabled"),
        cancel_at_period_end=params.flag("cancel_at_period_end"),
        cancel_at=params.moment("cancel_at"),
    )


def _bought(world: World, params: Params) -> list[tuple[Row, int]]:
    rows = params.rows("items")
    if not rows:
        raise params.absent("items")
    found = []
    for row in rows:
        price = catalog.recurring_price(world, row.required("price"), row.name_of("price"))
        found.append((price, row.whole("quantity", 1, low=1) or 1))
    return found


def create_subscription(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/subscriptions."""
    customer = living(world, params.required("customer"))
    order = _order(world, params, customer, world.time_of(customer), _bought(world, params))
    params.ignore(*IGNORED)
    params.done()
    if order.payment_behavior == "error_if_incomplete":
        fork = world.fork()
        tried = start(fork, Order(**{**vars(order), "customer": fork.get("customer", customer["id"])}))
        if tried["status"] == "incomplete":
            method = charging.method_for(fork, tried, customer)
            raise charging.refusal(method, charging.verdict(method))
    return start(world, order)


def _wish(world: World, params: Params, customer: str) -> Change:
    """What an update call, or a preview of one, wants."""
    items = []
    for row in params.rows("items"):
        price = row.text("price")
        items.append(
            ItemChange(
                row.text("id"),
                catalog.recurring_price(world, price, row.name_of("price")) if price else None,
                row.whole("quantity", low=1),
                row.flag("deleted"),
            )
        )
        row.ignore("clear_usage", "metadata")
    ends = params.text("trial_end")
    anchor = params.data.get("billing_cycle_anchor")
    restart = anchor == "now" or (isinstance(anchor, dict) and anchor.get("type") == "now")
    params.known.add("billing_cycle_anchor")
    stop = params.text("cancel_at")
    return Change(
        items=items,
        proration=params.text("proration_behavior", "create_prorations", choices=changing.PRORATIONS) or "",
        at=params.moment("proration_date"),
        cancel_at_period_end=params.flag("cancel_at_period_end") if params.has("cancel_at_period_end") else None,
        cancel_at=params.moment("cancel_at") if stop else None,
        uncancel_at=params.has("cancel_at") and not stop,
        trial_end=0 if ends == "now" else params.moment("trial_end"),
        restart=restart,
        discount=_discount(world, params, customer),
        undiscount=params.has("discounts"),
    )


def update_subscription(world: World, named: Named, params: Params) -> Row:
    """POST /v1/subscriptions/{id}."""
    row = world.get("subscription", named["id"])
    customer = living(world, row["customer"])
    wish = _wish(world, params, row["customer"])
    fields: Row = {"metadata": params.metadata(row["metadata"])}
    if params.has("description"):
        fields["description"] = params.text("description")
    if params.has("trial_settings"):
        card = _missing_card(params, row["trial_settings"]["end_behavior"]["missing_payment_method"])
        fields["trial_settings"] = {"end_behavior": {"missing_payment_method": card}}
    if params.has("default_payment_method"):
        fields["default_payment_method"] = _method(world, params, customer)
    if params.has("automatic_tax"):
        fields["automatic_tax"] = {**row["automatic_tax"], "enabled": params.inner("automatic_tax").flag("enabled")}
    details = params.inner("cancellation_details")
    given = {name: details.text(name) for name in FEEDBACK if details.has(name)}
    if given:
        fields["cancellation_details"] = {**row["cancellation_details"], **given}
    strict = params.text("payment_behavior", choices=BEHAVIORS) == "error_if_incomplete"
    params.ignore(*IGNORED)
    params.known.update(("cancel_at_period_end", "description", "default_payment_method"))
    params.done()
    changing.change(world, row, Change(**{**vars(wish), "fields": fields, "error_if_incomplete": strict}))
    return row


def cancel_subscription(world: World, named: Named, params: Params) -> Row:
    """DELETE /v1/subscriptions/{id}."""
    row = world.get("subscription", named["id"])
    details = params.inner("cancellation_details")
    given = {name: details.text(name) for name in FEEDBACK if details.has(name)}
    prorate, now = params.flag("prorate"), params.flag("invoice_now")
    params.done()
    cancel(world, row, "cancellation_requested", prorate=prorate, invoice_now=now, details=given)
    return row


def resume_subscription(world: World, named: Named, params: Params) -> Row:
    """POST /v1/subscriptions/{id}/resume."""
    params.ignore("billing_cycle_anchor", "proration_behavior", "proration_date")
    params.done()
    row = world.get("subscription", named["id"])
    resume(world, row)
    return row


def retrieve_subscription(world: World, named: Named, params: Params) -> Row:
    """GET /v1/subscriptions/{id}."""
    params.done()
    return world.get("subscription", named["id"])


def list_subscriptions(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/subscriptions: without `status`, those that were not canceled."""
    rows = list(world.table("subscription").values())
    status = params.text("status")
    if status == "ended":
        rows = [row for row in rows if row["status"] in ENDED]
    elif status is None:
        rows = [row for row in rows if row["status"] != "canceled"]
    elif status != "all":
        rows = [row for row in rows if row["status"] == status]
    for name in ("customer", "test_clock"):
        if wanted := params.text(name):
            rows = [row for row in rows if row[name] == wanted]
    if price := params.text("price"):
        rows = [row for row in rows if any(item["price"]["id"] == price for item in row["items"]["data"])]
    return page(params, rows, "/v1/subscriptions")


def search_subscriptions(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/subscriptions/search."""
    return search(params, world.table("subscription").values(), "/v1/subscriptions/search")


def list_subscription_items(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/subscription_items."""
    row = world.get("subscription", params.required("subscription"), "subscription")
    return page(params, reversed(row["items"]["data"]), "/v1/subscription_items")


def retrieve_invoice(world: World, named: Named, params: Params) -> Row:
    """GET /v1/invoices/{id}."""
    params.done()
    return world.get("invoice", named["id"])


def list_invoices(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/invoices."""
    rows = list(world.table("invoice").values())
    for name, key in (("customer", "customer"), ("status", "status"), ("subscription", "_subscription")):
        if wanted := params.text(name):
            rows = [row for row in rows if row[key] == wanted]
    params.text("collection_method", choices=("charge_automatically", "send_invoice"))
    return page(params, rows, "/v1/invoices")


def search_invoices(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/invoices/search."""
    rows = [{**row, "subscription": row["_subscription"]} for row in world.table("invoice").values()]
    return search(params, rows, "/v1/invoices/search")


def list_invoice_lines(world: World, named: Named, params: Params) -> Row:
    """GET /v1/invoices/{id}/lines."""
    rows = world.get("invoice", named["id"])["lines"]
    return page(params, reversed([{**row, "created": 0} for row in rows["data"]]), rows["url"])


def pay_invoice(world: World, named: Named, params: Params) -> Row:
    """POST /v1/invoices/{id}/pay."""
    invoice = world.get("invoice", named["id"])
    given, elsewhere = params.text("payment_method"), params.flag("paid_out_of_band")
    params.ignore("off_session")
    params.done()
    if invoice["status"] == "draft":
        finalize_invoice(world, invoice)
    if invoice["status"] != "open":
        raise Refused(f"Invoice is already {invoice['status']}.", code="invoice_not_editable")
    if elsewhere:
        charging.settle(world, invoice, None, out_of_band=True)
        return invoice
    method = resolve_method(world, given) if given else None
    outcome = charging.charge(world, invoice, method=method)
    if outcome != charging.PAID:
        subscription = world.table("subscription").get(invoice["_subscription"])
        customer = world.get("customer", invoice["customer"])
        raise charging.refusal(method or charging.method_for(world, subscription, customer), outcome)
    return invoice


def finalize(world: World, named: Named, params: Params) -> Row:
    """POST /v1/invoices/{id}/finalize."""
    params.flag("auto_advance")
    params.done()
    invoice = world.get("invoice", named["id"])
    if invoice["status"] != "draft":
        raise Refused("This invoice is already finalized.", code="invoice_not_editable")
    finalize_invoice(world, invoice)
    return invoice


def void_invoice(world: World, named: Named, params: Params) -> Row:
    """POST /v1/invoices/{id}/void."""
    params.done()
    invoice = world.get("invoice", named["id"])
    if invoice["status"] not in {"open", "uncollectible"}:
        raise Refused(f"You can only void open invoices; this one is {invoice['status']}.", code="invoice_not_editable")
    charging.void(world, invoice)
    return invoice


def mark_uncollectible(world: World, named: Named, params: Params) -> Row:
    """POST /v1/invoices/{id}/mark_uncollectible."""
    params.done()
    invoice = world.get("invoice", named["id"])
    if invoice["status"] != "open":
        raise Refused("You can only mark open invoices as uncollectible.", code="invoice_not_editable")
    invoice.update(status="uncollectible", auto_advance=False, next_payment_attempt=None)
    invoice["status_transitions"]["marked_uncollectible_at"] = world.time_of(invoice)
    world.emit("invoice.marked_uncollectible", invoice)
    return invoice


def create_preview(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/invoices/create_preview: of a change, of the next renewal, or of a subscription not yet made."""
    given, owner = params.text("subscription"), params.text("customer")
    details = params.inner("subscription_details")
    params.text("preview_mode", choices=("next",))
    if given is None:
        return _preview_new(world, params, details, owner)
    row = world.get("subscription", given, "subscription")
    if owner and row["customer"] != owner:
        raise Refused("The subscription does not belong to this customer.", param="subscription")
    if params.has("discounts"):
        details.data["discounts"] = params.data["discounts"]
    params.known.update(("discounts", "automatic_tax", "currency"))
    wish = _wish(world, details, row["customer"])
    stop = details.flag("cancel_now")
    details.known.add("cancel_at_period_end")
    params.done()
    return changing.preview(world, row, wish, cancel_now=stop)


def _preview_new(world: World, params: Params, details: Params, owner: str | None) -> Row:
    if owner is None:
        raise Refused("Pass a subscription, or a customer with subscription_details[items].", param="customer")
    fork = world.fork()
    customer = living(fork, owner)
    details.data |= {name: params.data[name] for name in ("currency", "discounts", "automatic_tax") if params.has(name)}
    params.known.update(("currency", "discounts", "automatic_tax"))
    order = _order(fork, details, customer, fork.time_of(customer), _bought(fork, details))
    params.done()
    subscription = start(fork, order)
    return changing.as_preview(fork.get("invoice", subscription["latest_invoice"]), None)


def list_invoiceitems(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/invoiceitems."""
    rows = list(world.table("invoiceitem").values())
    for name in ("customer", "invoice"):
        if wanted := params.text(name):
            rows = [row for row in rows if row[name] == wanted]
    if params.has("pending"):
        waiting = params.flag("pending")
        rows = [row for row in rows if (row["invoice"] is None) == waiting]
    return page(params, rows, "/v1/invoiceitems")


CALLS = {
    "POST /v1/subscriptions": create_subscription,
    "GET /v1/subscriptions": list_subscriptions,
    "GET /v1/subscriptions/search": search_subscriptions,
    "GET /v1/subscriptions/{id}": retrieve_subscription,
    "POST /v1/subscriptions/{id}": update_subscription,
    "DELETE /v1/subscriptions/{id}": cancel_subscription,
    "POST /v1/subscriptions/{id}/resume": resume_subscription,
    "GET /v1/subscription_items": list_subscription_items,
    "POST /v1/invoices/create_preview": create_preview,
    "GET /v1/invoices": list_invoices,
    "GET /v1/invoices/search": search_invoices,
    "GET /v1/invoices/{id}": retrieve_invoice,
    "GET /v1/invoices/{id}/lines": list_invoice_lines,
    "POST /v1/invoices/{id}/pay": pay_invoice,
    "POST /v1/invoices/{id}/finalize": finalize,
    "POST /v1/invoices/{id}/void": void_invoice,
    "POST /v1/invoices/{id}/mark_uncollectible": mark_uncollectible,
    "GET /v1/invoiceitems": list_invoiceitems,
}
