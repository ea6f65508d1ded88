"""Products, prices, coupons, promotion codes over HTTP."""

from billing.sandbox import catalog
from billing.sandbox.api.listing import page, search
from billing.sandbox.customers import living
from billing.sandbox.refusals import Refused
from billing.sandbox.wire import Params
from billing.sandbox.world import Row, World

Named = dict[str, str]
INTERVALS = ("day", "week", "month", "year")
DURATIONS = ("once", "repeating", "forever")


def _changed(world: World, kind: str, row: Row, changes: Row) -> Row:
    previous = {key: row[key] for key, value in changes.items() if row[key] != value}
    row.update(changes)
    if previous:
        world.emit(f"{kind}.updated", row, previous)
    return row


def create_product(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/products."""
    fields = {
        "id": params.text("id"),
        "active": params.flag("active", True),
        "metadata": params.metadata(),
        "url": params.text("url"),
        "unit_label": params.text("unit_label"),
        "statement_descriptor": params.text("statement_descriptor"),
        "tax_code": params.text("tax_code"),
    }
    name, description = params.required("name"), params.text("description")
    params.done()
    if fields["id"] in world.table("product"):
        raise Refused("Product already exists.", code="resource_already_exists", param="id")
    return catalog.add_product(world, name, description, **fields)


def update_product(world: World, named: Named, params: Params) -> Row:
    """POST /v1/products/{id}."""
    row = world.get("product", named["id"])
    changes: Row = {"metadata": params.metadata(row["metadata"]), "active": params.flag("active", row["active"])}
    for name in ("name", "description", "url", "unit_label", "default_price", "tax_code"):
        changes[name] = params.text(name) if params.has(name) else row[name]
    params.known.update(("name", "description", "url", "unit_label", "default_price", "tax_code"))
    params.done()
    return _changed(world, "product", row, changes)


def delete_product(world: World, named: Named, params: Params) -> Row:
    """DELETE /v1/products/{id}: only without prices, as Stripe has it."""
    params.done()
    row = world.get("product", named["id"])
    if any(price["product"] == row["id"] for price in world.table("price").values()):
        raise Refused("This product cannot be deleted because it has one or more user-created prices.")
    del world.table("product")[row["id"]]
    world.emit("product.deleted", row)
    return {"id": row["id"], "object": "product", "deleted": True}


def list_products(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/products."""
    rows = list(world.table("product").values())
    if params.has("active"):
        active = params.flag("active")
        rows = [row for row in rows if row["active"] == active]
    if ids := params.words("ids"):
        rows = [row for row in rows if row["id"] in ids]
    return page(params, rows, "/v1/products")


def create_price(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/prices."""
    currency = params.required("currency").lower()
    recurring = None
    if params.has("recurring"):
        inner = params.inner("recurring")
        interval = inner.text("interval", choices=INTERVALS)
        if interval is None:
            raise inner.absent("interval")
        recurring = (interval, inner.whole("interval_count", 1, low=1) or 1)
        inner.text("usage_type", choices=("licensed",))
    options = {}
    others = params.inner("currency_options")
    for other in others.data:
        options[other.lower()] = others.inner(other).whole("unit_amount", low=0) or 0
    amount = params.whole("unit_amount", low=0)
    fields = {
        "lookup_key": params.text("lookup_key"),
        "nickname": params.text("nickname"),
        "transfer_lookup_key": params.flag("transfer_lookup_key"),
        "metadata": params.metadata(),
        "tax_behavior": params.text("tax_behavior", "unspecified"),
    }
    product = params.text("product")
    data = params.inner("product_data")
    name = data.text("name")
    params.done()
    if amount is None:
        raise params.absent("unit_amount")
    if product is None:
        if name is None:
            raise params.absent("product")
        product = str(catalog.add_product(world, name)["id"])
    return catalog.add_price(world, product, currency, amount, recurring=recurring, options=options, **fields)  # type: ignore[arg-type]  # typed above


def update_price(world: World, named: Named, params: Params) -> Row:
    """POST /v1/prices/{id}."""
    row = world.get("price", named["id"])
    changes: Row = {"metadata": params.metadata(row["metadata"]), "active": params.flag("active", row["active"])}
    for name in ("nickname", "lookup_key"):
        changes[name] = params.text(name) if params.has(name) else row[name]
    transfer = params.flag("transfer_lookup_key")
    params.known.update(("nickname", "lookup_key"))
    params.done()
    key = changes["lookup_key"]
    holder = catalog.by_lookup_key(world, key) if key else None
    if holder and holder is not row:
        if not transfer:
            raise Refused(f"A price (`{holder['id']}`) already uses that lookup key.", param="lookup_key")
        holder["lookup_key"] = None
    return _changed(world, "price", row, changes)


def list_prices(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/prices."""
    rows = list(world.table("price").values())
    if params.has("active"):
        active = params.flag("active")
        rows = [row for row in rows if row["active"] == active]
    if keys := params.words("lookup_keys"):
        rows = [row for row in rows if row["lookup_key"] in keys]
    for name in ("product", "currency", "type"):
        if wanted := params.text(name):
            rows = [row for row in rows if row[name] == wanted]
    recurring = params.inner("recurring")
    if interval := recurring.text("interval", choices=INTERVALS):
        rows = [row for row in rows if row["recurring"] and row["recurring"]["interval"] == interval]
    return page(params, rows, "/v1/prices")


def create_coupon(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/coupons."""
    fields: Row = {
        "id": params.text("id"),
        "name": params.text("name"),
        "percent_off": params.number("percent_off"),
        "amount_off": params.whole("amount_off", low=1),
        "currency": params.text("currency"),
        "duration": params.text("duration", "once", choices=DURATIONS),
        "duration_in_months": params.whole("duration_in_months", low=1),
        "max_redemptions": params.whole("max_redemptions", low=1),
        "redeem_by": params.moment("redeem_by"),
        "metadata": params.metadata(),
    }
    params.done()
    if (fields["percent_off"] is None) == (fields["amount_off"] is None):
        raise Refused("Pass either percent_off or amount_off.", param="percent_off")
    if fields["percent_off"] is not None and not 0 < fields["percent_off"] <= 100:
        raise Refused("Invalid percent_off: it must be above 0 and at most 100.", param="percent_off")
    if fields["amount_off"] and not fields["currency"]:
        raise Refused("Missing required param: currency.", code="parameter_missing", param="currency")
    if (fields["duration"] == "repeating") != (fields["duration_in_months"] is not None):
        raise Refused("duration_in_months belongs to duration=repeating.", param="duration_in_months")
    if fields["id"] in world.table("coupon"):
        raise Refused("Coupon already exists.", code="resource_already_exists", param="id")
    return catalog.add_coupon(world, **fields)


def delete_coupon(world: World, named: Named, params: Params) -> Row:
    """DELETE /v1/coupons/{id}: those who have it keep it."""
    params.done()
    row = world.get("coupon", named["id"])
    row["valid"] = False
    world.emit("coupon.deleted", row)
    return {"id": row["id"], "object": "coupon", "deleted": True}


def create_promotion_code(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/promotion_codes."""
    inner = params.inner("promotion")
    inner.text("type", "coupon", choices=("coupon",))
    coupon = inner.required("coupon")
    code = params.text("code") or world.new_id("code")[5:13].upper()
    customer = params.text("customer")
    fields = {
        "active": params.flag("active", True),
        "expires_at": params.moment("expires_at"),
        "max_redemptions": params.whole("max_redemptions", low=1),
        "metadata": params.metadata(),
        "customer": living(world, customer)["id"] if customer else None,
    }
    params.done()
    return catalog.add_promotion_code(world, coupon, code, **fields)


def update_promotion_code(world: World, named: Named, params: Params) -> Row:
    """POST /v1/promotion_codes/{id}."""
    row = world.get("promotion_code", named["id"])
    changes: Row = {"active": params.flag("active", row["active"]), "metadata": params.metadata(row["metadata"])}
    params.done()
    return _changed(world, "promotion_code", row, changes)


def list_promotion_codes(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/promotion_codes."""
    rows = list(world.table("promotion_code").values())
    if code := params.text("code"):
        rows = [row for row in rows if row["code"].upper() == code.upper()]
    if coupon := params.text("coupon"):
        rows = [row for row in rows if row["promotion"]["coupon"] == coupon]
    if params.has("active"):
        active = params.flag("active")
        rows = [row for row in rows if row["active"] == active]
    return page(params, rows, "/v1/promotion_codes")


def list_coupons(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/coupons."""
    return page(params, [row for row in world.table("coupon").values() if row["valid"]], "/v1/coupons")


def search_prices(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/prices/search."""
    return search(params, world.table("price").values(), "/v1/prices/search")


def search_products(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/products/search."""
    return search(params, world.table("product").values(), "/v1/products/search")


def retrieve_product(world: World, named: Named, params: Params) -> Row:
    """GET /v1/products/{id}."""
    params.done()
    return world.get("product", named["id"])


def retrieve_price(world: World, named: Named, params: Params) -> Row:
    """GET /v1/prices/{id}."""
    params.done()
    return world.get("price", named["id"])


def retrieve_coupon(world: World, named: Named, params: Params) -> Row:
    """GET /v1/coupons/{id}."""
    params.done()
    return world.get("coupon", named["id"])


def retrieve_promotion_code(world: World, named: Named, params: Params) -> Row:
    """GET /v1/promotion_codes/{id}."""
    params.done()
    return world.get("promotion_code", named["id"])


CALLS = {
    "POST /v1/products": create_product,
    "GET /v1/products": list_products,
    "GET /v1/products/search": search_products,
    "GET /v1/products/{id}": retrieve_product,
    "POST /v1/products/{id}": update_product,
    "DELETE /v1/products/{id}": delete_product,
    "POST /v1/prices": create_price,
    "GET /v1/prices": list_prices,
    "GET /v1/prices/search": search_prices,
    "GET /v1/prices/{id}": retrieve_price,
    "POST /v1/prices/{id}": update_price,
    "POST /v1/coupons": create_coupon,
    "GET /v1/coupons": list_coupons,
    "GET /v1/coupons/{id}": retrieve_coupon,
    "DELETE /v1/coupons/{id}": delete_coupon,
    "POST /v1/promotion_codes": create_promotion_code,
    "GET /v1/promotion_codes": list_promotion_codes,
    "GET /v1/promotion_codes/{id}": retrieve_promotion_code,
    "POST /v1/promotion_codes/{id}": update_promotion_code,
}
