"""The customer portal: the plan, another plan, the card, the end, the invoices."""

from typing import Any

from aiohttp import web

from billing.sandbox import cards, catalog, changing, portal
from billing.sandbox.changing import Change, ItemChange
from billing.sandbox.charging import method_for
from billing.sandbox.customers import add_card, attach, change_customer, living
from billing.sandbox.pages.checkout import FIELD_OF, spaced
from billing.sandbox.pages.frame import day, form_of, money, render, see_other, world_of
from billing.sandbox.refusals import Refused
from billing.sandbox.subscriptions import ENDED, cancel, name_of
from billing.sandbox.world import Row, World

STATUS = {
    "trialing": "Trial",
    "active": "Active",
    "past_due": "Past due",
    "unpaid": "Unpaid",
    "canceled": "Ended",
    "incomplete": "Waiting for the first payment",
    "incomplete_expired": "Never paid",
    "paused": "Paused",
}
TONES = {"trialing": "good", "active": "good", "paused": ""}  # all others want attention
FLOW_VIEWS = {
    "payment_method_update": "card",
    "subscription_cancel": "cancel",
    "subscription_update": "plans",
    "subscription_update_confirm": "confirm",
}


async def show(request: web.Request) -> web.StreamResponse:
    """GET /p/session/{id}?view=plans|confirm|card|cancel; without a view, everything."""
    world = world_of(request)
    session = world.get("billing_portal.session", request.match_info["id"])
    flow = session["flow"]
    view = request.query.get("view") or (FLOW_VIEWS[flow["type"]] if flow and not session.get("_done") else "")
    return page(world, session, view, price=request.query.get("price", ""))


async def act(request: web.Request) -> web.StreamResponse:
    """POST /p/session/{id}: change, card, cancel, resume."""
    world = world_of(request)
    session = world.get("billing_portal.session", request.match_info["id"])
    form = await form_of(request)
    action = form.get("action", "")
    if action not in ACTIONS:
        raise Refused("This form asks for something the portal does not do.")
    try:
        ACTIONS[action](world, session, form)
    except Refused as refused:
        field = FIELD_OF.get(refused.param or "", refused.param) or "number"
        view = {"card": "card", "change": "confirm", "cancel": "cancel"}.get(action, "")
        view = "plans" if field == "price" else view  # nothing to confirm where the plan is not on offer
        errors = {field: str(refused), "any": str(refused)}
        return page(world, session, view, price=form.get("price", ""), errors=errors, status=422)
    session["_done"] = True
    return see_other(_after(session))


def _after(session: Row) -> str:
    flow = session["flow"]
    if flow and flow["after_completion"]["type"] == "redirect" and flow["after_completion"]["redirect"]:
        return str(flow["after_completion"]["redirect"]["return_url"])
    return f"/p/session/{session['id']}"


def current(world: World, session: Row) -> Row | None:
    """The subscription a portal is about: the flow's, else the customer's newest that still lives."""
    flow = session["flow"]
    if flow and (details := flow.get(flow["type"])):
        return world.get("subscription", details["subscription"])
    rows = [row for row in reversed(world.table("subscription").values()) if row["customer"] == session["customer"]]
    alive = [row for row in rows if row["status"] not in ENDED]
    return next(iter(alive or rows), None)


def _subscription(world: World, session: Row) -> Row:
    row = current(world, session)
    if row is None:
        raise Refused("There is no subscription to change.")
    return row


def _wish(world: World, session: Row, row: Row, price: str) -> Change:
    """The change to another price, as the portal's configuration wants it billed."""
    configuration = world.get("billing_portal.configuration", session["configuration"])
    offered = {entry["id"] for entry in portal.offered_prices(world, configuration, row["currency"])}
    if price not in offered:
        raise Refused("This plan is not on offer here.", param="price")
    first = row["items"]["data"][0]
    return Change(
        items=[ItemChange(first["id"], world.get("price", price))],
        proration=configuration["features"]["subscription_update"]["proration_behavior"],
        at=world.time_of(row),
        error_if_incomplete=True,
    )


def _change(world: World, session: Row, form: dict[str, str]) -> None:
    row = _subscription(world, session)
    changing.change(world, row, _wish(world, session, row, form.get("price", "")))


def _card(world: World, session: Row, form: dict[str, str]) -> None:
    customer = living(world, session["customer"])
    number, month, year = cards.read_card(
        form.get("number", ""), form.get("expiry", ""), form.get("cvc", ""), world.time_of(customer)
    )
    if cards.CARDS[number].behaviour == cards.DECLINE:
        raise cards.refusal_of(number)
    method = add_card(world, number, month, year, name=form.get("name") or customer["name"], email=customer["email"])
    method["_confirmed"] = True  # the owner is present on this page
    attach(world, method, customer)
    settings = {**customer["invoice_settings"], "default_payment_method": method["id"]}
    change_customer(world, customer, {"invoice_settings": settings})
    row = current(world, session)
    if row and row["status"] not in ENDED and row["default_payment_method"]:
        changing.change(world, row, Change(fields={"default_payment_method": method["id"]}))


def _cancel(world: World, session: Row, _form: dict[str, str]) -> None:
    row = _subscription(world, session)
    mode = world.get("billing_portal.configuration", session["configuration"])["features"]["subscription_cancel"][
        "mode"
    ]
    if mode == "immediately":
        cancel(world, row, "cancellation_requested")
    else:
        changing.change(world, row, Change(cancel_at_period_end=True))


def _resume(world: World, session: Row, _form: dict[str, str]) -> None:
    changing.change(world, _subscription(world, session), Change(cancel_at_period_end=False))


ACTIONS = {"change": _change, "card": _card, "cancel": _cancel, "resume": _resume}


def page(
    world: World,
    session: Row,
    view: str,
    *,
    price: str = "",
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> web.Response:
    """The portal in one of its views."""
    row = current(world, session)
    values: dict[str, Any] = {
        "title": "Your subscription",
        "here": f"/p/session/{session['id']}",
        "return_url": session["return_url"],
        "errors": errors or {},
        "view": view,
        "plan": _plan(world, row) if row else None,
        "card": _shown_card(world, session, row),
        "plans": _plans(world, session, row) if row else [],
        "invoices": _invoices(world, session),
        "cards": [{"number": spaced(number), "title": card.title} for number, card in cards.CARDS.items()],
    }
    if view == "confirm" and row:
        flow = session["flow"]
        if not price and flow and flow["type"] == "subscription_update_confirm":
            price = flow["subscription_update_confirm"]["items"][0]["price"]
        values |= _confirmation(world, session, row, price)
    flow = session["flow"]
    back = flow["after_completion"]["redirect"]["return_url"] if flow and flow["after_completion"]["redirect"] else None
    return render("portal.html", values, status=status, leads_to=(session["return_url"], back))


def _plan(world: World, row: Row) -> dict[str, str]:
    item = row["items"]["data"][0]
    amount = catalog.amount_in(world.get("price", item["price"]["id"]), row["currency"]) * item["quantity"]
    end = day(item["current_period_end"])
    if row["status"] in ENDED:
        text = f"Ended on {day(row['ended_at'])}."
    elif row["cancel_at"]:
        text = f"Ends on {day(row['cancel_at'])}; until then nothing changes."
    elif row["status"] == "trialing":
        text = f"The trial runs until {end}; then the first payment is taken."
    elif row["status"] in {"past_due", "unpaid"}:
        text = "The last payment failed: update the card, then pay the open invoice below."
    else:
        text = f"Renews on {end}."
    return {
        "name": name_of(world, item),
        "price": f"{money(amount, row['currency'])} per {item['price']['recurring']['interval']}",
        "status": STATUS[row["status"]],
        "tone": TONES.get(row["status"], "bad"),
        "text": text,
        "end": end,
        "alive": "yes" if row["status"] not in ENDED else "",
        "ending": "yes" if row["cancel_at_period_end"] and row["status"] not in ENDED else "",
    }


def _shown_card(world: World, session: Row, row: Row | None) -> dict[str, str] | None:
    method = method_for(world, row, living(world, session["customer"]))
    if method is None:
        return None
    card = method["card"]
    return {
        "name": f"{card['brand'].title()} ending in {card['last4']}",
        "expiry": f"{card['exp_month']:02d}/{card['exp_year']}",
    }


def _plans(world: World, session: Row, row: Row) -> list[dict[str, Any]]:
    configuration = world.get("billing_portal.configuration", session["configuration"])
    held = row["items"]["data"][0]["price"]["id"]
    return [
        {
            "id": price["id"],
            "name": world.get("product", price["product"])["name"],
            "text": world.get("product", price["product"])["description"] or "",
            "amount": money(price["_amounts"][row["currency"]], row["currency"]),
            "interval": price["recurring"]["interval"],
            "held": price["id"] == held,
        }
        for price in portal.offered_prices(world, configuration, row["currency"])
    ]


def _confirmation(world: World, session: Row, row: Row, price: str) -> dict[str, Any]:
    """What the change would cost, line by line."""
    wish = _wish(world, session, row, price)
    found = changing.preview(world, row, Change(**{**vars(wish), "error_if_incomplete": False}))
    currency = found["currency"]
    later = found["billing_reason"] == "upcoming"
    return {
        "price": price,
        "wanted": name_of(world, {"price": world.get("price", price)}),
        "preview": [
            {"text": line["description"], "amount": money(line["amount"], currency)} for line in found["lines"]["data"]
        ],
        "due": money(found["amount_due"], currency),
        "due_text": f"Due on {day(row['items']['data'][0]['current_period_end'])}" if later else "Due today",
        "credit": money(-found["ending_balance"], currency) if found["ending_balance"] else "",
    }


def _invoices(world: World, session: Row) -> list[dict[str, str]]:
    rows = [row for row in reversed(world.table("invoice").values()) if row["customer"] == session["customer"]]
    return [
        {
            "number": row["number"] or "Draft",
            "day": day(row["created"]),
            "amount": money(row["total"], row["currency"]),
            "status": row["status"].title(),
            "tone": {"paid": "good", "open": "bad"}.get(row["status"], ""),
            "url": row["hosted_invoice_url"] or "",
        }
        for row in rows[:24]
    ]
