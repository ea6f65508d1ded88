"""The clock page: move time, see what lives, what happened and who was told."""

from datetime import UTC, datetime

from aiohttp import web

from billing.sandbox import passing
from billing.sandbox.pages.frame import CONTEXT, form_of, moment, money, render, see_other, world_of
from billing.sandbox.pages.portal import STATUS, TONES
from billing.sandbox.periods import DAY_S, add_months
from billing.sandbox.refusals import Refused
from billing.sandbox.subscriptions import name_of
from billing.sandbox.world import Row, World

STEPS = {"hour": 3600, "day": DAY_S, "week": 7 * DAY_S}
SHOWN = 25


async def home(_request: web.Request) -> web.StreamResponse:
    """GET /."""
    return see_other("/sandbox/")


async def show(request: web.Request) -> web.StreamResponse:
    """GET /sandbox/."""
    world = world_of(request)
    due = passing.next_due(world, None)
    answers = {attempt.event: attempt.answer for attempt in reversed(request.app[CONTEXT].deliveries.attempts)}
    values = {
        "title": "Sandbox clock",
        "now": moment(world.now()),
        "ahead": ahead(world.offset),
        "due": moment(due.at) if due else "",
        "subscriptions": [subscription(world, row) for row in reversed(world.table("subscription").values())][:SHOWN],
        "events": [
            {"id": row["id"], "kind": row["type"], "at": moment(row["created"]), "answer": said(row, answers)}
            for row in list(reversed(world.table("event").values()))[:SHOWN]
        ],
        "endpoints": [row["url"] for row in world.table("webhook_endpoint").values()],
        "key": world.tables["_account"]["account"]["key"][:12] + "…",
    }
    return render("clock.html", values)


def said(event: Row, answers: dict[str, str]) -> str:
    """How the last delivery of an event went."""
    answer = answers.get(event["id"])
    if event["pending_webhooks"]:
        return f"retrying ({answer})" if answer else "on its way"
    return answer or "nobody listens"


def ahead(offset: int) -> str:
    """How far the clock runs before the wall."""
    days, rest = divmod(offset, DAY_S)
    if offset < 60:
        return "the same as the wall clock"
    parts = [
        f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in ((days, "day"), (rest // 3600, "hour")) if count
    ]
    return f"{' and '.join(parts) or 'less than an hour'} ahead of the wall clock"


def subscription(world: World, row: Row) -> dict[str, str]:
    """One row of the list."""
    item = row["items"]["data"][0]
    customer = world.table("customer").get(row["customer"], {})
    clock = row["test_clock"]
    return {
        "name": name_of(world, item),
        "who": customer.get("email") or row["customer"],
        "status": STATUS[row["status"]],
        "tone": TONES.get(row["status"], "bad"),
        "end": moment(row["ended_at"] or item["current_period_end"]),
        "amount": money(item["_billed"], row["currency"]),
        "clock": clock or "",
    }


async def move(request: web.Request) -> web.StreamResponse:
    """POST /sandbox/clock: an hour, a day, a week, a month, or to the next thing that is due."""
    world = world_of(request)
    step = (await form_of(request)).get("step", "")
    passing.advance(world, None, target(world, step))
    return see_other("/sandbox/")


def target(world: World, step: str) -> int:
    """Where a step leads, epoch seconds.

    Raises:
        Refused: there is no such step.
    """
    now = world.now()
    if step in STEPS:
        return now + STEPS[step]
    if step == "month":
        return int(add_months(datetime.fromtimestamp(now, UTC), 1).timestamp())
    if step == "due":
        due = passing.next_due(world, None)
        return max(due.at, now) if due else now
    if step == "period":
        ends = [
            row["items"]["data"][0]["current_period_end"]
            for row in world.table("subscription").values()
            if row["test_clock"] is None and row["status"] in {"trialing", "active", "past_due"}
        ]
        return max(min(ends), now) if ends else now
    raise Refused("The clock moves by an hour, a day, a week, a month, to the next event or the next period end.")


async def resend(request: web.Request) -> web.StreamResponse:
    """POST /sandbox/resend: one event again."""
    world = world_of(request)
    event = world.get("event", (await form_of(request)).get("event", ""))
    request.app[CONTEXT].deliveries.resend(event)
    return see_other("/sandbox/")
