"""The customer portal: its configurations and sessions."""

from billing.sandbox.world import Row, World

FLOWS = ("payment_method_update", "subscription_cancel", "subscription_update", "subscription_update_confirm")


def add_configuration(world: World, *, is_default: bool = False, **fields: object) -> Row:
    """A configuration; features that were not given are all on."""
    row = {
        "active": True,
        "application": None,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
        "default_return_url": None,
        "features": features(world),
        "is_default": is_default,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": world.now(),
        **fields,
    }
    added = world.add("billing_portal.configuration", row)
    world.emit("billing_portal.configuration.created", added)
    return added


def features(world: World) -> Row:
    """Everything on, with all active recurring prices that have a lookup key."""
    offered: dict[str, list[str]] = {}
    for price in world.table("price").values():
        if price["active"] and price["lookup_key"] and price["type"] == "recurring":
            offered.setdefault(price["product"], []).append(price["id"])
    return {
        "customer_update": {"allowed_updates": ["email", "name", "tax_id"], "enabled": True},
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True, "payment_method_configuration": None},
        "subscription_cancel": {
            "cancellation_reason": {"enabled": False, "feedback_options": None, "options": []},
            "enabled": True,
            "mode": "at_period_end",
            "proration_behavior": "none",
        },
        "subscription_pause": {"enabled": False, "duration": {"interval_options": None, "type": "indefinite"}},
        "subscription_update": {
            "billing_cycle_anchor": None,
            "default_allowed_updates": ["price"],
            "enabled": True,
            "products": [
                {
                    "adjustable_quantity": {"enabled": False, "maximum": None, "minimum": 1},
                    "prices": prices,
                    "product": product,
                }
                for product, prices in offered.items()
            ],
            "proration_behavior": "always_invoice",
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "continue_trial",
        },
    }


def default_configuration(world: World) -> Row:
    """The configuration of sessions that name none."""
    rows = [row for row in world.table("billing_portal.configuration").values() if row["is_default"]]
    return rows[0] if rows else add_configuration(world, is_default=True)


def add_session(world: World, customer: Row, configuration: Row, return_url: str | None, flow: Row | None) -> Row:
    """A session with its page."""
    row = {
        "after_expiration": None,
        "configuration": configuration["id"],
        "created": world.time_of(customer),
        "customer": customer["id"],
        "customer_account": None,
        "flow": flow,
        "locale": None,
        "on_behalf_of": None,
        "return_url": return_url or configuration["default_return_url"],
    }
    session = world.add("billing_portal.session", row)
    session["url"] = f"{world.base_url}/p/session/{session['id']}"
    world.emit("billing_portal.session.created", session)
    return session


def offered_prices(world: World, configuration: Row, currency: str) -> list[Row]:
    """Prices that a portal lets people change to, in a currency, cheapest first."""
    update = configuration["features"]["subscription_update"]
    if not update["enabled"]:
        return []
    ids = [price for product in update["products"] or [] for price in product["prices"]]
    rows = [world.get("price", price) for price in ids if price in world.table("price")]
    fitting = [row for row in rows if row["active"] and currency in row["_amounts"]]
    return sorted(fitting, key=lambda row: int(row["_amounts"][currency]))
