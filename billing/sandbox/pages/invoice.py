"""The hosted invoice: its lines, a way to pay it, and a version to print."""

from typing import Any

from aiohttp import web

from billing.sandbox import cards, charging
from billing.sandbox.customers import add_card, attach
from billing.sandbox.pages.checkout import FIELD_OF, spaced
from billing.sandbox.pages.frame import day, form_of, money, render, see_other, world_of
from billing.sandbox.refusals import Refused, missing
from billing.sandbox.world import Row, World

TONE = {"paid": "good", "open": "bad"}


def by_token(world: World, token: str) -> Row:
    """The invoice of an address.

    Raises:
        Refused: 404.
    """
    for row in world.table("invoice").values():
        if row.get("_token") == token:
            return row
    raise missing("invoice", "of this address")


async def show(request: web.Request) -> web.StreamResponse:
    """GET /i/{token}."""
    world = world_of(request)
    return page(world, by_token(world, request.match_info["token"]))


async def printable(request: web.Request) -> web.StreamResponse:
    """GET /i/{token}/pdf: a page for the printer, because the sandbox writes no PDF."""
    world = world_of(request)
    row = by_token(world, request.match_info["token"])
    return render("print.html", values_of(world, row))


async def pay(request: web.Request) -> web.StreamResponse:
    """POST /i/{token}: pay an open invoice with a card."""
    world = world_of(request)
    row = by_token(world, request.match_info["token"])
    form = await form_of(request)
    if row["status"] != "open":
        return see_other(f"/i/{row['_token']}")
    try:
        _pay(world, row, form)
    except Refused as refused:
        field = FIELD_OF.get(refused.param or "", refused.param) or "number"
        return page(world, row, {field: str(refused)}, status=422)
    return see_other(f"/i/{row['_token']}")


def _pay(world: World, row: Row, form: dict[str, str]) -> None:
    customer = world.get("customer", row["customer"])
    number, month, year = cards.read_card(
        form.get("number", ""), form.get("expiry", ""), form.get("cvc", ""), world.time_of(row)
    )
    if cards.CARDS[number].behaviour in {cards.DECLINE, cards.LATER}:
        raise cards.refusal_of(number)
    method = add_card(world, number, month, year, name=customer["name"], email=customer["email"])
    method["_confirmed"] = True  # the owner is present on this page
    attach(world, method, customer)
    subscription = world.table("subscription").get(row["_subscription"])
    if subscription and not subscription["ended_at"]:
        charging.change_subscription(world, subscription, {"default_payment_method": method["id"]})
    charging.charge(world, row, method=method, confirmed=True)


def page(world: World, row: Row, errors: dict[str, str] | None = None, *, status: int = 200) -> web.Response:
    """The page."""
    values = {
        **values_of(world, row),
        "errors": errors or {},
        "cards": [{"number": spaced(number), "title": card.title} for number, card in cards.CARDS.items()],
    }
    return render("invoice.html", values, status=status)


def values_of(world: World, row: Row) -> dict[str, Any]:
    """The invoice as text."""
    currency = row["currency"]
    applied = (row["ending_balance"] or 0) - row["starting_balance"]
    return {
        "title": f"Invoice {row['number']}",
        "number": row["number"],
        "here": f"/i/{row['_token']}",
        "status": row["status"].title(),
        "tone": TONE.get(row["status"], ""),
        "open": row["status"] == "open",
        "day": day(row["created"]),
        "customer": row["customer_name"] or row["customer_email"] or row["customer"],
        "email": row["customer_email"] or "",
        "tax_ids": [tax["value"] for tax in row["customer_tax_ids"]],
        "lines": [
            {
                "text": line["description"],
                "period": f"{day(line['period']['start'])} – {day(line['period']['end'])}",
                "amount": money(line["amount"], currency),
            }
            for line in row["lines"]["data"]
        ],
        "subtotal": money(row["subtotal"], currency),
        "discount": money(row["total"] - row["subtotal"], currency) if row["total"] != row["subtotal"] else "",
        "total": money(row["total"], currency),
        "balance": money(-applied, currency) if applied else "",
        "due": money(row["amount_due"], currency),
        "paid": money(row["amount_paid"], currency) if row["status"] == "paid" else "",
        "paid_at": day(row["status_transitions"]["paid_at"]),
        "retry": day(row["next_payment_attempt"]),
    }
