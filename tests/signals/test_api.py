"""The REST answers: their shapes, their limits, and that they are made once per change."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # has no types
from pytest_django import Settings

from lib.clock import floor_minute, wall_now
from markets.models import FeedState, Run
from signals import answers, health, push
from signals.models import Outcome, Round, Signal
from tests.people import Person
from tests.signals.rows import instruments_of, make_outcome, make_round, make_run, make_signal

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def run(db: None) -> Run:
    answers._kept.clear()  # ids begin anew in each test's database
    return make_run()


@pytest.fixture
def signal(run: Run) -> Signal:
    """One of each kind of round, and a signal that won."""
    first, second, *_ = instruments_of(run)
    now = floor_minute(wall_now())
    for minute, state in enumerate(Round.State.values, 2):
        make_round(second, now - minute * MINUTE, state)
    made = make_signal(first, now - 2 * MINUTE)
    make_outcome(made, Outcome.Result.LOST)
    make_outcome(made, Outcome.Result.WON, revision=2)
    card = {"instrument": first.pk, "id": str(made.public_id)}
    push.publish("rounds", {"cards": [card]}, venue_id=run.venue_id, at=made.close_time)
    return made


# ---- shapes


def _json_schema(node: Any) -> Any:  # noqa: ANN401  # any JSON
    """OpenAPI 3.0 as JSON Schema: `nullable` has no counterpart there."""
    if isinstance(node, list):
        return [_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _json_schema(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made


def shape_of(route: str, status: int = 200) -> Draft4Validator:
    """The declared shape of a route's answer."""
    described = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # has no types
    answer = described["paths"][route]["get"]["responses"][str(status)]["content"]["application/json"]["schema"]
    return Draft4Validator(_json_schema({**answer, "components": described["components"]}))


def test_description_is_complete_and_without_a_warning(tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))


ROUTES = {
    "/api/v1/rounds/": "/api/v1/rounds/?limit=100",
    "/api/v1/rounds/{public_id}/": "/api/v1/rounds/{signal.public_id}/",
    "/api/v1/signals/latest/{instrument}/": "/api/v1/signals/latest/BTC-USDT/",
    "/api/v1/signals/history/{instrument}/": "/api/v1/signals/history/{signal.instrument_id}/",
    "/api/v1/events/": "/api/v1/events/",
    "/api/v1/health/": "/api/v1/health/",
}


@pytest.mark.parametrize("route", ROUTES)
def test_answer_has_the_declared_shape(route: str, owner: Person, visitor: Person, signal: Signal) -> None:
    for person in (owner, visitor):
        response = person.client.get(ROUTES[route].format(signal=signal))
        if response.status_code == 404 and person is visitor:
            continue  # too fresh for a visitor
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"
        assert response["Cache-Control"] == "no-store"
        problems = [error.message for error in shape_of(route).iter_errors(response.json())]
        assert problems == []


ERRORS = [
    ("/api/v1/rounds/", "/api/v1/rounds/?limit=201", 400, "limit"),
    ("/api/v1/rounds/", "/api/v1/rounds/?limit=1000000000", 400, "limit"),
    ("/api/v1/rounds/", "/api/v1/rounds/?limit=0", 400, "limit"),
    ("/api/v1/rounds/", "/api/v1/rounds/?before=yesterday", 400, "before"),
    ("/api/v1/rounds/", "/api/v1/rounds/?state=won", 400, "state"),
    ("/api/v1/rounds/", "/api/v1/rounds/?instrument=NO-SUCH", 404, "NO-SUCH"),
    ("/api/v1/rounds/{public_id}/", "/api/v1/rounds/round-999/", 404, "round-999"),
    ("/api/v1/rounds/{public_id}/", "/api/v1/rounds/round-99999999999999999999999/", 404, "may see"),
    ("/api/v1/rounds/{public_id}/", "/api/v1/rounds/7/", 404, "may see"),
    ("/api/v1/signals/latest/{instrument}/", "/api/v1/signals/latest/99999999999999999999/", 404, "may see"),
    ("/api/v1/signals/history/{instrument}/", "/api/v1/signals/history/BTC-USDT/?limit=x", 400, "limit"),
    ("/api/v1/events/", "/api/v1/events/?after=-1", 400, "after"),
    ("/api/v1/events/", "/api/v1/events/?after=123456", 410, "last_event_id"),
]


@pytest.mark.parametrize(("route", "address", "status", "says"), ERRORS)
def test_error_is_declared_and_names_what_was_wrong(
    route: str, address: str, status: int, says: str, signal: Signal
) -> None:
    response = Client().get(address)
    assert response.status_code == status
    assert says in response.json()["detail"]
    assert response.json()["request_id"] == response["X-Request-ID"]
    assert list(shape_of(route, status).iter_errors(response.json())) == []


# ---- content


def test_round_tells_votes_and_outcome(owner: Person, signal: Signal) -> None:
    told = owner.client.get(f"/api/v1/rounds/{signal.public_id}/").json()
    assert told["instrument"]["symbol"] == "BTC/USDT"
    assert (told["state"], told["direction"], told["quorum"], told["seats"]) == ("issued", 1, 6, 9)
    assert [vote["direction"] for vote in told["votes"]] == [1] * 6 + [0] + [None] * 2
    assert told["votes"][0]["raw"] == {
        "down": pytest.approx(0.3),
        "neutral": pytest.approx(0.1),
        "up": pytest.approx(0.6),
    }
    assert (told["votes"][8]["raw"], told["votes"][8]["abstained"]) == (None, "no_key")
    assert told["probability"]["value"] == pytest.approx(0.58)
    assert told["probability"]["n"] == 1240
    assert told["signal"]["outcome"]["result"] == "won"
    assert told["signal"]["outcome"]["superseded"]


def test_round_tells_what_to_risk_and_why(owner: Person, signal: Signal) -> None:
    told = owner.client.get(f"/api/v1/rounds/{signal.public_id}/").json()["signal"]
    assert told["actionable"] is signal.actionable
    assert told["suggested_risk"] == signal.suggested_risk
    assert told["suggested_position"] == signal.suggested_position
    assert told["risk_note"] == signal.risk_note


def test_number_is_withheld_until_a_hundred_were_judged(owner: Person, run: Run) -> None:
    row = make_round(instruments_of(run)[0], floor_minute(wall_now()))
    for n, value in ((99, None), (100, 0.58)):
        row.probability_n = n
        told = answers.round_answers(owner.viewer, run, [row])[0]["probability"]
        assert told["n"] == n
        assert told["value"] == (pytest.approx(value) if value else None)
        assert (told["low"] is None) == (value is None)


def test_pages_hold_every_round_once(owner: Person, run: Run) -> None:
    now = floor_minute(wall_now())
    made = {
        make_round(instrument, now - minute * MINUTE).pk for minute in range(7) for instrument in instruments_of(run)
    }
    seen: list[str] = []
    address = "/api/v1/rounds/?limit=5"
    while True:
        page = owner.client.get(address).json()
        seen += [each["id"] for each in page["rounds"]]
        if page["next"] is None:
            break
        address = f"/api/v1/rounds/?limit=5&before={page['next']}"
    assert len(seen) == len(made) == 28
    assert {int(each.removeprefix("round-")) for each in seen} == made


def test_rounds_by_instrument_and_state(owner: Person, signal: Signal) -> None:
    of_one = owner.client.get("/api/v1/rounds/?instrument=eth-usdt&state=vetoed").json()["rounds"]
    assert [(each["instrument"]["symbol"], each["state"]) for each in of_one] == [("ETH/USDT", "vetoed")]


def test_latest_without_a_signal_is_null(owner: Person, run: Run) -> None:
    assert owner.client.get("/api/v1/signals/latest/SOL-USDT/").json()["signal"] is None


def test_events_can_be_read_on_from(owner: Person, run: Run) -> None:
    card = {"instrument": instruments_of(run)[0].pk}
    ids = [push.publish("rounds", {"cards": [card]}, venue_id=run.venue_id, at=wall_now()) for _ in range(5)]
    first = owner.client.get("/api/v1/events/?limit=3").json()
    rest = owner.client.get(f"/api/v1/events/?limit=3&after={first['last_event_id']}").json()
    assert [each["id"] for each in first["events"] + rest["events"]] == ids
    assert (first["more"], rest["more"]) == (True, False)


def test_delayed_reader_of_events_is_not_held_up_by_public_ones(visitor: Person, run: Run) -> None:
    card = {"instrument": instruments_of(run)[0].pk}
    for _ in range(4):
        push.publish("feeds", {}, venue_id=run.venue_id, at=wall_now())
    old = push.publish("rounds", {"cards": [card]}, venue_id=run.venue_id, at=wall_now() - timedelta(hours=1))
    told = visitor.client.get("/api/v1/events/?limit=2").json()
    assert [each["id"] for each in told["events"]] == [old]


def test_nothing_runs(owner: Person) -> None:
    answers._kept.clear()
    assert owner.client.get("/api/v1/rounds/").json()["rounds"] == []
    assert owner.client.get("/api/v1/events/").json() == {"events": [], "last_event_id": 0, "more": False}
    assert owner.client.get("/api/v1/health/").json()["status"] == "degraded"


# ---- once per change


def test_hot_list_is_made_once_until_something_happens(owner: Person, signal: Signal, run: Run) -> None:
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"n": len(made)}

    viewer = owner.viewer
    first = answers.once(viewer, run, ("rounds",), make)
    assert answers.once(viewer, run, ("rounds",), make) is first
    push.publish("feeds", {}, venue_id=run.venue_id, at=wall_now())
    assert orjson.loads(answers.once(viewer, run, ("rounds",), make)) == {"n": 2}


def test_hot_list_is_never_shared_between_tiers(owner: Person, visitor: Person, signal: Signal) -> None:
    mine = owner.client.get("/api/v1/rounds/").json()
    theirs = visitor.client.get("/api/v1/rounds/").json()
    assert len(mine["rounds"]) == 7
    assert theirs["rounds"] == []
    assert (mine["delay_s"], theirs["delay_s"]) == (0, 900)


def test_hot_list_asks_one_question_of_the_database(owner: Person, run: Run) -> None:
    now = floor_minute(wall_now())
    for minute in range(13):
        for instrument in instruments_of(run):
            make_round(instrument, now - minute * MINUTE)
    viewer = owner.viewer

    def ask() -> tuple[bytes, int]:
        with CaptureQueriesContext(connection) as queries:
            answer = answers.once(viewer, run, ("rounds", 50), lambda: answers.round_page(viewer, run, 50))
        return answer, len(queries)

    (made, making), (kept, keeping) = ask(), ask()
    assert kept is made
    assert (making > 3, keeping) == (True, 1)


# ---- health


def test_health_says_what_is_wrong(run: Run, settings: Settings) -> None:
    def ask() -> tuple[int, Any]:
        response: HttpResponse = Client().get("/api/v1/health/")  # type: ignore[assignment]  # the test client's own class
        return response.status_code, json.loads(response.content)

    state = FeedState.objects.create(
        venue=run.venue, state=FeedState.State.LIVE, since=wall_now(), last_message_at=wall_now()
    )
    status, told = ask()
    assert (status, told["status"], told["redis"]) == (200, "ok", None)
    assert told["feed"]["state"] == "live"
    assert 0 <= told["feed"]["age_s"] < 60
    assert set(told["queues"]) == set(health.QUEUES)
    state.state = FeedState.State.DOWN
    state.save()
    assert ask()[1]["status"] == "degraded"
    state.state = FeedState.State.LIVE
    state.save()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert ask()[1] | {"feed": None, "queues": None} == {
        "status": "degraded", "database": True, "redis": False, "feed": None, "queues": None,
        "deciding": True,
    }  # fmt: skip
