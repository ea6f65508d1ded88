"""The checkout page: what is bought, a code, a card."""

from typing import Any

from aiohttp import web

from billing.sandbox import cards, catalog, checkout
from billing.sandbox.checkout import Typed
from billing.sandbox.pages.frame import day, form_of, money, render, see_other, world_of
from billing.sandbox.refusals import Refused
from billing.sandbox.subscriptions import name_of
from billing.sandbox.world import Row, World

COUNTRIES = (
    ("", "Choose a country"),
    ("AT", "Austria"),
    ("AU", "Australia"),
    ("BR", "Brazil"),
    ("CA", "Canada"),
    ("CH", "Switzerland"),
    ("DE", "Germany"),
    ("ES", "Spain"),
    ("FR", "France"),
    ("GB", "United Kingdom"),
    ("IE", "Ireland"),
    ("IN", "India"),
    ("IT", "Italy"),
    ("NL", "Netherlands"),
    ("NO", "Norway"),
    ("PL", "Poland"),
    ("PT", "Portugal"),
    ("SE", "Sweden"),
    ("US", "United States"),
)
FIELD_OF = {
    "exp_month": "expiry",
    "exp_year": "expiry",
    "promotion_code": "code",
}  # param of a refusal → field of the page


async def show(request: web.Request) -> web.StreamResponse:
    """GET /c/pay/{id}."""
    world = world_of(request)
    session = world.get("checkout.session", request.match_info["id"])
    if session["status"] != "open":
        return closed(session)
    return page(world, session, {})


async def act(request: web.Request) -> web.StreamResponse:
    """POST /c/pay/{id}: take a code, drop it, pay, or answer the confirmation."""
    world = world_of(request)
    session = world.get("checkout.session", request.match_info["id"])
    if session["status"] != "open":
        return closed(session)
    form = await form_of(request)
    try:
        return _act(world, session, form)
    except Refused as refused:
        field = FIELD_OF.get(refused.param or "", refused.param) or "number"
        return page(world, session, form, {field: str(refused)}, status=402 if refused.status == 402 else 422)


def _act(world: World, session: Row, form: dict[str, str]) -> web.Response:
    action = form.get("action", "pay")
    if action == "code":
        take_code(world, session, form.get("code", ""))
        return page(world, session, form)
    if action == "uncode":
        session["discounts"] = []
        checkout.refresh(world, session)
        return page(world, session, {**form, "code": ""})
    if action == "refuse":
        session["_waiting"] = None
        raise Refused("The confirmation was refused, so the card was not charged.", status=402, param="number")
    if action == "confirm" and session["_waiting"]:
        checkout.pay(world, session, Typed(**session["_waiting"]), confirmed=True)
        return leave(session)
    names = ("email", "name", "number", "expiry", "cvc", "country", "tax_id")
    typed = Typed(**{name: form.get(name, "").strip() for name in names})
    if not checkout.pay(world, session, typed):
        return confirmation(session)
    return leave(session)


def take_code(world: World, session: Row, code: str) -> None:
    """Put a promotion code on the session.

    Raises:
        Refused: there is no such code, or the session takes none.
    """
    if not session["allow_promotion_codes"]:
        raise Refused("This purchase takes no codes.", param="promotion_code")
    row = catalog.promotion(world, code, session["customer"], world.time_of(session))
    session["discounts"] = [{"coupon": None, "promotion_code": row["id"]}]
    checkout.refresh(world, session)


def leave(session: Row) -> web.Response:
    """Back to the shop, which learns the session's id."""
    return see_other(str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"]))


def closed(session: Row) -> web.Response:
    """A session that can no longer be paid."""
    text = "It was paid already." if session["status"] == "complete" else "It was open for a day, or was closed."
    back = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
    values = {
        "title": "This checkout is closed",
        "text": text,
        "link": back if session["status"] == "complete" else session["cancel_url"],
    }
    return render("message.html", values, status=410)


def confirmation(session: Row) -> web.Response:
    """The step that a bank would put between."""
    values = {
        "title": "Your bank asks: is this you?",
        "amount": money(session["amount_total"] or 0, session["currency"]),
        "later": not session["amount_total"],
    }
    return render("confirm.html", values, leads_to=(session["success_url"],))


def page(
    world: World, session: Row, form: dict[str, str], errors: dict[str, str] | None = None, *, status: int = 200
) -> web.Response:
    """The page with what was typed; the card's own fields are typed anew."""
    values = {**summary(world, session), **fields(world, session, form), "errors": errors or {}}
    return render("checkout.html", values, status=status, leads_to=(session["success_url"], session["cancel_url"]))


def summary(world: World, session: Row) -> dict[str, Any]:
    """The order, as text."""
    currency = session["currency"]
    sums, trial = checkout.cost(world, session), checkout.trial_of(world, session)
    items = checkout.chosen(world, session)
    interval = items[0][0]["recurring"]["interval"]
    source = checkout.source_of(world, session)
    coupon = source and (
        world.get("coupon", source["promotion"]["coupon"]) if source["object"] == "promotion_code" else source
    )
    return {
        "title": "Checkout",
        "lines": [
            {
                "name": name_of(world, {"price": price}),
                "text": world.get("product", price["product"])["description"] or "",
                "quantity": str(quantity) if quantity > 1 else "",
                "amount": money(catalog.amount_in(price, currency) * quantity, currency),
            }
            for price, quantity in items
        ],
        "interval": interval,
        "each": f"{money(sums.total, currency)} per {interval}",
        "discount": money(-sums.discount, currency) if sums.discount else "",
        "discount_name": (source["code"] if source and source["object"] == "promotion_code" else "Discount"),
        "discount_text": (coupon["name"] or "") if coupon else "",
        "now": money(session["amount_total"] or 0, currency),
        "trial_end": day(trial),
        "button": "Start the trial" if trial else f"Pay {money(sums.total, currency)}",
        "cancel_url": session["cancel_url"],
        "needs_card": session["payment_method_collection"] != "if_required" or bool(session["amount_total"]),
    }


def fields(world: World, session: Row, form: dict[str, str]) -> dict[str, Any]:
    """What the form starts with."""
    customer = world.table("customer").get(session["customer"] or "", {})
    country = form.get("country") or (customer.get("address") or {}).get("country") or ""
    return {
        "takes_codes": bool(session["allow_promotion_codes"]) and not session["discounts"],
        "has_code": bool(session["allow_promotion_codes"]) and bool(session["discounts"]),
        "takes_tax_id": session["tax_id_collection"]["enabled"],
        "known_email": customer.get("email") or "",
        "email": form.get("email", session["customer_email"] or ""),
        "name": form.get("name", customer.get("name") or ""),
        "code": form.get("code", ""),
        "tax_id": form.get("tax_id", ""),
        "countries": [{"code": code, "name": name, "chosen": code == country} for code, name in COUNTRIES],
        "cards": [{"number": spaced(number), "title": card.title} for number, card in cards.CARDS.items()],
    }


def spaced(number: str) -> str:
    """A card number in groups of four."""
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))
