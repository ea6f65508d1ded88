"""What is for sale: products, prices in several currencies, coupons and promotion codes; and the demo catalogue."""

from billing.sandbox.refusals import Refused
from billing.sandbox.world import Row, World, public

CURRENCIES = ("usd", "eur", "gbp")
# Demonstration amounts in minor units (cents, pence); a real account sets its own.
DEMO_PLANS = {
    "candor_pro": (
        "Candor Pro",
        "All instruments and votes, live, for one person",
        (2900, 2700, 2300),
        (29000, 27000, 23000),
    ),
    "candor_desk": (
        "Candor Desk",
        "Seats, API, webhooks, strategies and full history",
        (9900, 9200, 7900),
        (99000, 92000, 79000),
    ),
}
DEMO_CODE, DEMO_PERCENT, DEMO_MONTHS = "WELCOME20", 20.0, 3


def add_product(world: World, name: str, description: str | None = None, **more: object) -> Row:
    """A product, with its event."""
    row = {
        "active": True,
        "default_price": None,
        "description": description,
        "images": [],
        "marketing_features": [],
        "metadata": {},
        "name": name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": world.now(),
        "url": None,
        **{key: value for key, value in more.items() if key != "id"},
    }
    product = world.add("product", row, str(more["id"]) if more.get("id") else None)
    world.emit("product.created", product)
    return product


def add_price(
    world: World,
    product: str,
    currency: str,
    unit_amount: int,
    *,
    recurring: tuple[str, int] | None,
    options: dict[str, int] | None = None,
    lookup_key: str | None = None,
    transfer_lookup_key: bool = False,
    nickname: str | None = None,
    metadata: dict[str, str] | None = None,
    tax_behavior: str = "unspecified",
    row_id: str | None = None,
) -> Row:
    """A price; `recurring` is (interval, count), `options` the amounts in other currencies."""
    world.get("product", product, "product")
    if lookup_key and (holder := by_lookup_key(world, lookup_key)):
        if not transfer_lookup_key:
            raise Refused(f"A price (`{holder['id']}`) already uses that lookup key.", param="lookup_key")
        holder["lookup_key"] = None
    amounts = {currency: unit_amount, **(options or {})}
    row = {
        "active": True,
        "billing_scheme": "per_unit",
        "currency": currency,
        "custom_unit_amount": None,
        "lookup_key": lookup_key,
        "metadata": metadata or {},
        "nickname": nickname,
        "product": product,
        "recurring": recurring
        and {
            "interval": recurring[0],
            "interval_count": recurring[1],
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": tax_behavior,
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
        "_amounts": amounts,
    }
    price = world.add("price", row, row_id)
    world.emit("price.created", price)
    return price


def by_lookup_key(world: World, key: str) -> Row | None:
    """The price that holds a lookup key."""
    return next((row for row in world.table("price").values() if row["lookup_key"] == key), None)


def amount_in(price: Row, currency: str) -> int:
    """Unit amount of a price in a currency.

    Raises:
        Refused: the price has none in that currency.
    """
    if currency not in price["_amounts"]:
        raise Refused(
            f"The price `{price['id']}` is not available in `{currency}`; it has: {', '.join(price['_amounts'])}.",
            param="currency",
        )
    return int(price["_amounts"][currency])


def currency_options(price: Row) -> Row:
    """The price's `currency_options`, which are only sent when they are expanded."""
    return {
        currency: {
            "custom_unit_amount": None,
            "tax_behavior": price["tax_behavior"],
            "unit_amount": amount,
            "unit_amount_decimal": str(amount),
        }
        for currency, amount in price["_amounts"].items()
    }


def recurring_price(world: World, price_id: str, param: str) -> Row:
    """An active recurring price.

    Raises:
        Refused: it is absent, archived, or charged once.
    """
    price = world.get("price", price_id, param)
    if not price["active"]:
        raise Refused(f"The price specified is inactive: `{price_id}`.", param=param)
    if price["type"] != "recurring":
        raise Refused(f"The price specified is set to `type=one_time`: `{price_id}`.", param=param)
    return price


def promotion(world: World, code: str, customer: str | None, now: int) -> Row:
    """The active promotion code that reads `code`, in any case.

    Raises:
        Refused: there is none, it has ended, or it belongs to someone else.
    """
    found = [row for row in world.table("promotion_code").values() if row["code"].upper() == code.strip().upper()]
    usable = [row for row in found if is_usable(world, row, customer, now)]
    if not usable:
        raise Refused("This code is not valid.", code="promotion_code_invalid", param="promotion_code")
    return usable[0]


def redeemable(world: World, code_id: str, customer: str | None, now: int, param: str) -> Row:
    """A promotion code by its id.

    Raises:
        Refused: it is absent, or can no longer be redeemed.
    """
    row = world.get("promotion_code", code_id, param)
    if not is_usable(world, row, customer, now):
        raise Refused(
            f"The promotion code `{row['code']}` cannot be redeemed.", code="promotion_code_invalid", param=param
        )
    return row


def is_usable(world: World, row: Row, customer: str | None, now: int) -> bool:
    """Whether a promotion code can be redeemed now."""
    coupon = world.table("coupon").get(row["promotion"]["coupon"])
    return (
        bool(row["active"])
        and coupon is not None
        and coupon["valid"]
        and (row["expires_at"] is None or row["expires_at"] > now)
        and (row["max_redemptions"] is None or row["times_redeemed"] < row["max_redemptions"])
        and row["customer"] in {None, customer}
    )


def add_coupon(world: World, **fields: object) -> Row:
    """A coupon; its id may be chosen."""
    row = {
        "amount_off": None,
        "currency": None,
        "duration": "once",
        "duration_in_months": None,
        "max_redemptions": None,
        "metadata": {},
        "name": None,
        "percent_off": None,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
        **{key: value for key, value in fields.items() if key != "id"},
    }
    coupon = world.add("coupon", row, str(fields["id"]) if fields.get("id") else None)
    world.emit("coupon.created", coupon)
    return coupon


def add_promotion_code(world: World, coupon: str, code: str, **fields: object) -> Row:
    """A code people type for a coupon."""
    clash = [
        row for row in world.table("promotion_code").values() if row["active"] and row["code"].upper() == code.upper()
    ]
    if clash:
        raise Refused(f"An active promotion code with `code: {code}` already exists.", param="code")
    row = {
        "active": True,
        "code": code,
        "customer": None,
        "customer_account": None,
        "expires_at": None,
        "max_redemptions": None,
        "metadata": {},
        "promotion": {"type": "coupon", "coupon": world.get("coupon", coupon, "promotion[coupon]")["id"]},
        "restrictions": {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None},
        "times_redeemed": 0,
        **fields,
    }
    made = world.add("promotion_code", row)
    world.emit("promotion_code.created", made)
    return made


def seed(world: World) -> None:
    """The catalogue of a fresh sandbox: two plans by month and by year in three currencies, and one code."""
    for key, (name, description, monthly, yearly) in DEMO_PLANS.items():
        product = add_product(world, name, description, id=f"prod_{key}")
        for word, interval, amounts in (("month", "month", monthly), ("year", "year", yearly)):
            in_currency = dict(zip(CURRENCIES, amounts, strict=True))
            add_price(
                world,
                product["id"],
                "usd",
                in_currency["usd"],
                recurring=(interval, 1),
                options=in_currency,
                lookup_key=f"{key}_{word}",
                nickname=f"{name}, {'monthly' if word == 'month' else 'yearly'}",
                row_id=f"price_{key}_{word}",
            )
    coupon = add_coupon(
        world,
        id=DEMO_CODE.lower(),
        name=f"{DEMO_PERCENT:g} % off for {DEMO_MONTHS} months",
        percent_off=DEMO_PERCENT,
        duration="repeating",
        duration_in_months=DEMO_MONTHS,
    )
    add_promotion_code(world, coupon["id"], DEMO_CODE)


def embedded(price: Row) -> Row:
    """The price as a subscription item carries it."""
    return dict(public(price))


def plan_of(price: Row) -> Row:
    """The older `plan` object that items still carry."""
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"],
        "livemode": False,
        "metadata": {},
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }
