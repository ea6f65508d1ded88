"""Events, webhook endpoints, test clocks, and who is asking, over HTTP."""

import secrets
from urllib.parse import urlsplit

from billing.sandbox import passing
from billing.sandbox.api.listing import page
from billing.sandbox.refusals import Refused
from billing.sandbox.subscriptions import ENDED, cancel
from billing.sandbox.wire import Params
from billing.sandbox.world import API_VERSION, Row, World

Named = dict[str, str]
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
KEPT_S = 30 * 86_400


def retrieve_event(world: World, named: Named, params: Params) -> Row:
    """GET /v1/events/{id}."""
    params.done()
    return world.get("event", named["id"])


def list_events(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/events."""
    rows = list(world.table("event").values())
    types = params.words("types")
    if (wanted := params.text("type")) is not None:
        types = [wanted]
    if types:
        rows = [row for row in rows if any(fits(kind, row["type"]) for kind in types)]
    if params.has("delivery_success"):
        done = params.flag("delivery_success")
        rows = [row for row in rows if (row["pending_webhooks"] == 0) == done]
    return page(params, rows, "/v1/events")


def fits(wanted: str, kind: str) -> bool:
    """Whether an event type is one of `invoice.paid`, `invoice.*` or `*`."""
    return wanted in {"*", kind} or (wanted.endswith(".*") and kind.startswith(wanted[:-1]))


def add_endpoint(world: World, url: str, events: list[str], secret: str | None = None) -> Row:
    """A webhook endpoint; only addresses of this machine are taken.

    Raises:
        Refused: the address is another machine's.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or parts.hostname not in LOOPBACK:
        raise Refused("Invalid URL: the sandbox sends webhooks to this machine only (127.0.0.1).", param="url")
    row: Row = {
        "api_version": None,
        "application": None,
        "description": None,
        "enabled_events": events or ["*"],
        "metadata": {},
        "status": "enabled",
        "url": url,
        "_secrets": [secret or f"whsec_{secrets.token_hex(24)}"],
    }
    return world.add("webhook_endpoint", row)


def create_endpoint(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/webhook_endpoints: the only answer that carries the secret."""
    url, events = params.required("url"), params.words("enabled_events")
    description, metadata = params.text("description"), params.metadata()
    params.text("api_version", choices=(API_VERSION,))
    params.done()
    row = add_endpoint(world, url, events)
    row.update(description=description, metadata=metadata)
    return {**row, "secret": row["_secrets"][0]}


def update_endpoint(world: World, named: Named, params: Params) -> Row:
    """POST /v1/webhook_endpoints/{id}."""
    row = world.get("webhook_endpoint", named["id"])
    off = params.flag("disabled", row["status"] == "disabled")
    changes: Row = {
        "enabled_events": params.words("enabled_events") or row["enabled_events"],
        "status": "disabled" if off else "enabled",
        "description": params.text("description", row["description"]),
        "metadata": params.metadata(row["metadata"]),
    }
    params.done()
    row.update(changes)
    world.changed = True
    return row


def retrieve_endpoint(world: World, named: Named, params: Params) -> Row:
    """GET /v1/webhook_endpoints/{id}."""
    params.done()
    return world.get("webhook_endpoint", named["id"])


def list_endpoints(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/webhook_endpoints."""
    return page(params, world.table("webhook_endpoint").values(), "/v1/webhook_endpoints")


def delete_endpoint(world: World, named: Named, params: Params) -> Row:
    """DELETE /v1/webhook_endpoints/{id}."""
    params.done()
    row = world.get("webhook_endpoint", named["id"])
    del world.table("webhook_endpoint")[row["id"]]
    world.changed = True
    return {"id": row["id"], "object": "webhook_endpoint", "deleted": True}


def create_clock(world: World, _named: Named, params: Params) -> Row:
    """POST /v1/test_helpers/test_clocks."""
    at, name = params.moment("frozen_time"), params.text("name")
    params.done()
    if at is None:
        raise params.absent("frozen_time")
    row = {
        "deletes_after": world.now() + KEPT_S,
        "frozen_time": at,
        "name": name,
        "status": "ready",
        "status_details": {"advancing": None},
    }
    clock = world.add("test_helpers.test_clock", row)
    world.emit("test_helpers.test_clock.created", clock)
    return clock


def retrieve_clock(world: World, named: Named, params: Params) -> Row:
    """GET /v1/test_helpers/test_clocks/{id}."""
    params.done()
    return world.get("test_helpers.test_clock", named["id"])


def list_clocks(world: World, _named: Named, params: Params) -> Row:
    """GET /v1/test_helpers/test_clocks."""
    return page(params, world.table("test_helpers.test_clock").values(), "/v1/test_helpers/test_clocks")


def advance_clock(world: World, named: Named, params: Params) -> Row:
    """POST /v1/test_helpers/test_clocks/{id}/advance: done before it answers, so the clock is ready at once."""
    row = world.get("test_helpers.test_clock", named["id"])
    target = params.moment("frozen_time")
    params.done()
    if target is None:
        raise params.absent("frozen_time")
    if target <= row["frozen_time"]:
        raise Refused("The new frozen time must be after the clock's.", param="frozen_time")
    world.emit("test_helpers.test_clock.advancing", row)
    passing.advance(world, row["id"], target)
    world.emit("test_helpers.test_clock.ready", row)
    return row


def delete_clock(world: World, named: Named, params: Params) -> Row:
    """DELETE /v1/test_helpers/test_clocks/{id}: its customers go with it."""
    params.done()
    row = world.get("test_helpers.test_clock", named["id"])
    for subscription in list(world.table("subscription").values()):
        if subscription["test_clock"] == row["id"] and subscription["status"] not in ENDED:
            cancel(world, subscription, "cancellation_requested")
    for customer in world.table("customer").values():
        if customer["test_clock"] == row["id"]:
            customer["deleted"] = True
    world.emit("test_helpers.test_clock.deleted", row)
    row["deleted"] = True
    return {"id": row["id"], "object": "test_helpers.test_clock", "deleted": True}


def retrieve_account(_world: World, _named: Named, params: Params) -> Row:
    """GET /v1/account."""
    params.done()
    return {
        "id": "acct_sandbox",
        "object": "account",
        "business_profile": {"name": "Candor sandbox"},
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "livemode": False,
        "payouts_enabled": False,
        "settings": {"dashboard": {"display_name": "Candor sandbox", "timezone": "Etc/UTC"}},
        "type": "standard",
    }


CALLS = {
    "GET /v1/account": retrieve_account,
    "GET /v1/events": list_events,
    "GET /v1/events/{id}": retrieve_event,
    "POST /v1/webhook_endpoints": create_endpoint,
    "GET /v1/webhook_endpoints": list_endpoints,
    "GET /v1/webhook_endpoints/{id}": retrieve_endpoint,
    "POST /v1/webhook_endpoints/{id}": update_endpoint,
    "DELETE /v1/webhook_endpoints/{id}": delete_endpoint,
    "POST /v1/test_helpers/test_clocks": create_clock,
    "GET /v1/test_helpers/test_clocks": list_clocks,
    "GET /v1/test_helpers/test_clocks/{id}": retrieve_clock,
    "POST /v1/test_helpers/test_clocks/{id}/advance": advance_clock,
    "DELETE /v1/test_helpers/test_clocks/{id}": delete_clock,
}
