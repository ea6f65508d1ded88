"""Checkout and portal sessions over HTTP."""

from billing.sandbox import checkout, portal
from billing.sandbox.api.listing import page
from billing.sandbox.catalog import amount_in, recurring_price, redeemable
from billing.sandbox.customers import living
from billing.sandbox.invoicing import automatic_tax
from billing.sandbox.refusals import Refused
from billing.sandbox.subscriptions import ENDED, interval_of
from billing.sandbox.wire import Params
from billing.sandbox.world import Row, World

Named = dict[str, str]
MISSING_CARD = ("create_invoice", "cancel", "pause")
IGNORED = ("billing_address_collection", "saved_payment_method_options", "payment_method_options", "custom_text")
HALF_HOUR, DAY = 1800, 86_400


def _items(world: World, params: Params) -> list[tuple[str, int]]:
    rows = params.rows("line_items")
    if not rows:
        raise params.absent("line_items")
    found = []
    for row in rows:
        price = recurring_price(world, row.required("price"), row.name_of("price"))
        found.append((str(price["id"]), row.whole("quantity", 1, low=1) or 1))
    interval_of([world.get("price", price) for price, _ in found], "line_items")
    return found


def _discounts(world: World, params: Params, customer: str | None) -> list[Row]:
    rows = params.rows("discounts")
    if len(rows) > 1:
        raise Refused("The sandbox takes one discount.", param="discounts")
    if rows and params.has("allow_promotion_codes"):
        raise Refused("You may only specify one of these parameters: allow_promotion_codes, discounts.")
    found = []
    for row in rows:
        coupon, code = row.text("coupon"), row.text("promotion_code")
        if coupon:
            world.get("coupon", coupon, row.name_of("coupon"))
        elif code:
            redeemable(world, code, customer, world.now(), row.name_of("promotion_code"))
        found.append({"coupon": coupon, "promotion_code": code})
    return found


def _subscription_data(params: Params) -> Row:
    data = params.inner("subscription_data")
    found: Row = {
        "metadata": data.metadata(),
        "description": data.text("description"),
        "trial_period_days": data.whole("trial_period_days", low=1),
        "trial_end": data.moment("trial_end"),
        "missing_payment_method": data.inner("trial_settings")
        .inner("end_behavior")
        .text("missing_payment_method", "create_invoice", choices=MISSING_CARD),
    }
    data.inner("billing_mode").ignore("type", "flexible")
    if found["trial_period_days"] and found["trial_end"]:
        raise Refused("Pass either trial_period_days or trial_end.", param="subscription_data[trial_end]")
    return found


def create_session(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/checkout/sessions: hosted pages for subscriptions."""
    if params.required("mode") != "subscription":
        raise Refused("The sandbox speaks only mode=subscription.", param="mode")
    params.text("ui_mode", choices=("hosted_page", "hosted"))
    owner = params.text("customer")
    customer = living(world, owner) if owner else None
    email = params.text("customer_email")
    if customer and email:
        raise Refused("You may only specify one of these parameters: customer, customer_email.")
    items = _items(world, params)
    first = world.get("price", items[0][0])
    wished = params.text("currency")
    currency = (wished or (customer and customer["currency"]) or first["currency"]).lower()
    for price, _ in items:
        amount_in(world.get("price", price), currency)
    now = world.time_of(customer) if customer else world.now()
    expires = params.moment("expires_at") or now + world.rules.session_hours * 3600
    if not now + HALF_HOUR <= expires <= now + DAY:
        raise Refused("The `expires_at` timestamp must be 30 minutes to 24 hours from now.", param="expires_at")
    params.ignore(*IGNORED)
    update = params.inner("customer_update")
    tax = params.inner("tax_id_collection")
    fields: Row = {
        "created": now,
        "customer": owner,
        "customer_creation": None if owner else "always",
        "customer_email": email,
        "currency": currency,
        "client_reference_id": params.text("client_reference_id"),
        "metadata": params.metadata(),
        "success_url": params.required("success_url"),
        "cancel_url": params.text("cancel_url"),
        "expires_at": expires,
        "locale": params.text("locale"),
        "allow_promotion_codes": params.flag("allow_promotion_codes") if params.has("allow_promotion_codes") else None,
        "discounts": _discounts(world, params, owner),
        "automatic_tax": automatic_tax(params.inner("automatic_tax").flag("enabled")),
        "billing_address_collection": params.text("billing_address_collection"),
        "tax_id_collection": {
            "enabled": tax.flag("enabled"),
            "required": tax.text("required", "never", choices=("never", "if_supported")),
        },
        "payment_method_collection": params.text(
            "payment_method_collection", "always", choices=("always", "if_required")
        ),
        "_items": items,
        "_data": _subscription_data(params),
        "_customer_update": {name: update.text(name, "never") for name in ("name", "address", "shipping")},
    }
    params.known.add("allow_promotion_codes")
    params.words("payment_method_types")
    params.done()
    if tax.flag("enabled") and customer and fields["_customer_update"]["name"] != "auto" and not customer["name"]:
        raise Refused(
            "Tax ID collection requires updating business name on the customer. Set `customer_update[name]` to `auto`.",
            param="customer_update[name]",
        )
    return checkout.add_session(world, fields)


def retrieve_session(world: World, named: Named, params: Params) -> Row:
    """GET /v1/checkout/sessions/{id}."""
    params.done()
    return world.get("checkout.session", named["id"])


def list_sessions(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/checkout/sessions."""
    rows = list(world.table("checkout.session").values())
    for name in ("customer", "subscription", "status"):
        if wanted := params.text(name):
            rows = [row for row in rows if row[name] == wanted]
    return page(params, rows, "/v1/checkout/sessions")


def expire_session(world: World, named: Named, params: Params) -> Row:
    """POST /v1/checkout/sessions/{id}/expire."""
    params.done()
    row = checkout.open_session(world, named["id"])
    checkout.expire(world, row)
    return row


def list_line_items(world: World, named: Named, params: Params) -> Row:
    """GET /v1/checkout/sessions/{id}/line_items."""
    rows = checkout.line_items(world, world.get("checkout.session", named["id"]))
    return page(params, reversed([{**row, "created": 0} for row in rows["data"]]), rows["url"])


def create_configuration(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/billing_portal/configurations: given features are laid over those that are all on."""
    return portal.add_configuration(world, **_configuration(world, params, None))


def update_configuration(world: World, named: Named, params: Params) -> Row:
    """POST /v1/billing_portal/configurations/{id}."""
    row = world.get("billing_portal.configuration", named["id"])
    row.update(_configuration(world, params, row), updated=world.now())
    world.changed = True
    return row


def _configuration(world: World, params: Params, before: Row | None) -> Row:
    known = before["features"] if before else portal.features(world)
    given = params.inner("features")
    features = {name: dict(value) for name, value in known.items()}
    for name in features:
        feature = given.inner(name)
        if feature.has("enabled"):
            features[name]["enabled"] = feature.flag("enabled")
    cancel, update = given.inner("subscription_cancel"), given.inner("subscription_update")
    wished = cancel.text("mode", choices=("at_period_end", "immediately"))
    features["subscription_cancel"]["mode"] = wished or features["subscription_cancel"]["mode"]
    behavior = update.text("proration_behavior", choices=("always_invoice", "create_prorations", "none"))
    features["subscription_update"]["proration_behavior"] = (
        behavior or features["subscription_update"]["proration_behavior"]
    )
    if products := update.rows("products"):
        features["subscription_update"]["products"] = [
            {
                "adjustable_quantity": {"enabled": False, "maximum": None, "minimum": 1},
                "prices": product.words("prices"),
                "product": product.required("product"),
            }
            for product in products
        ]
    profile = params.inner("business_profile")
    fields: Row = {
        "features": features,
        "business_profile": {
            name: profile.text(name) for name in ("headline", "privacy_policy_url", "terms_of_service_url")
        },
        "metadata": params.metadata(before["metadata"] if before else None),
        "default_return_url": params.text("default_return_url", before["default_return_url"] if before else None),
        "active": params.flag("active", before["active"] if before else True),
    }
    return fields  # what else a feature holds is taken and changes nothing


def retrieve_configuration(world: World, named: Named, params: Params) -> Row:
    """GET /v1/billing_portal/configurations/{id}."""
    params.done()
    return world.get("billing_portal.configuration", named["id"])


def list_configurations(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/billing_portal/configurations."""
    rows = list(world.table("billing_portal.configuration").values())
    for name in ("active", "is_default"):
        if params.has(name):
            wanted = params.flag(name)
            rows = [row for row in rows if row[name] == wanted]
    return page(params, rows, "/v1/billing_portal/configurations")


def create_portal_session(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/billing_portal/sessions."""
    customer = living(world, params.required("customer"))
    wished = params.text("configuration")
    row = world.get("billing_portal.configuration", wished) if wished else portal.default_configuration(world)
    back = params.text("return_url")
    params.ignore("locale")
    flow = _flow(world, params.inner("flow_data"), customer) if params.has("flow_data") else None
    params.done()
    return portal.add_session(world, customer, row, back, flow)


def _flow(world: World, data: Params, customer: Row) -> Row:
    kind = data.text("type", choices=portal.FLOWS)
    if kind is None:
        raise data.absent("type")
    after = data.inner("after_completion")
    done = after.text("type", "portal_homepage", choices=("portal_homepage", "redirect", "hosted_confirmation"))
    back = after.inner("redirect").text("return_url")
    after.inner("hosted_confirmation").ignore("custom_message")
    flow: Row = {
        "after_completion": {
            "hosted_confirmation": {"custom_message": None} if done == "hosted_confirmation" else None,
            "redirect": {"return_url": back} if back else None,
            "type": done,
        },
        "type": kind,
        **dict.fromkeys(
            (
                "customer_update",
                "subscription_cancel",
                "subscription_pause",
                "subscription_update",
                "subscription_update_confirm",
            )
        ),
    }
    if kind == "payment_method_update":
        return flow
    inner = data.inner(kind)
    row = world.get("subscription", inner.required("subscription"), inner.name_of("subscription"))
    if row["customer"] != customer["id"] or row["status"] in ENDED:
        raise Refused(
            "This subscription cannot be changed in this customer's portal.", param=inner.name_of("subscription")
        )
    details: Row = {"subscription": row["id"]}
    if kind == "subscription_cancel":
        details["retention"] = None
    if kind == "subscription_update_confirm":
        details["items"] = [
            {"id": one.required("id"), "price": one.required("price"), "quantity": one.whole("quantity", 1, low=1)}
            for one in inner.rows("items")
        ]
        details["discounts"] = None
    return {**flow, kind: details}


CALLS = {
    "POST /v1/checkout/sessions": create_session,
    "GET /v1/checkout/sessions": list_sessions,
    "GET /v1/checkout/sessions/{id}": retrieve_session,
    "POST /v1/checkout/sessions/{id}/expire": expire_session,
    "GET /v1/checkout/sessions/{id}/line_items": list_line_items,
    "POST /v1/billing_portal/configurations": create_configuration,
    "GET /v1/billing_portal/configurations": list_configurations,
    "GET /v1/billing_portal/configurations/{id}": retrieve_configuration,
    "POST /v1/billing_portal/configurations/{id}": update_configuration,
    "POST /v1/billing_portal/sessions": create_portal_session,
}
