"""What a plan's delay hides is hidden everywhere alike: one walk over every way out, as everybody."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from channels.db import database_sync_to_async

from accounts.access import VISITOR
from accounts.plans import FREE
from lib.clock import floor_minute, wall_now
from markets.models import Instrument, Run
from markets.runs import mark, start_run
from signals import push
from signals.access import (
    access_events,
    access_instruments,
    access_outcomes,
    access_rounds,
    access_signals,
    event_position,
    is_known,
    market_now,
)
from signals.models import Signal
from tests.people import Person
from tests.signals.live import reading, serving
from tests.signals.rows import instruments_of, make_outcome, make_round, make_run, make_signal

DELAY = timedelta(seconds=FREE.delay_s)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Told:
    """A market with a signal that everybody may know, one that the delay hides, and one that Free does not include."""

    run: Run
    old: Signal
    fresh: Signal
    fourth: Signal
    before: int  # event id before them all

    def seen_in(self, text: str) -> set[str]:
        """Which of the three a text names."""
        return {name for name in ("old", "fresh", "fourth") if str(getattr(self, name).public_id) in text}


def tell(run: Run, instrument: Instrument, close_time: datetime) -> Signal:
    """A signal, its outcome and the events that tell of both."""
    signal = make_signal(instrument, close_time)
    make_outcome(signal)
    card = {"instrument": instrument.pk, "id": str(signal.public_id)}
    body = {"close_time": int(close_time.timestamp()), "cards": [card]}
    push.publish("rounds", body, venue_id=run.venue_id, at=close_time)
    push.publish("outcomes", {"cards": [card]}, venue_id=run.venue_id, at=signal.expires_at)
    return signal


def make_told() -> Told:
    run, now = make_run(), floor_minute(wall_now())
    first, *_, fourth = instruments_of(run)
    before = push.publish("market", {"state": "running"}, venue_id=run.venue_id, at=now)
    old = tell(run, first, now - DELAY - 2 * MINUTE)
    hidden = tell(run, fourth, now - DELAY - 2 * MINUTE)
    return Told(run, old, tell(run, first, now - 2 * MINUTE), hidden, before)


Way = Callable[[Person, Told], str]


def _get(address: str) -> Way:
    def way(person: Person, told: Told) -> str:
        response = person.client.get(address.format(told=told, instrument=told.old.instrument_id))
        body = b"".join(response) if response.streaming else response.content
        assert response.status_code == 200, (address, response.status_code)
        return body.decode()

    return way


def _permalinks(person: Person, told: Told) -> str:
    signals = (told.old, told.fresh, told.fourth)
    answers = {signal: person.client.get(f"/signals/{signal.public_id}/").status_code for signal in signals}
    return " ".join(str(signal.public_id) for signal, status in answers.items() if status == 200)


def _rounds_by_id(person: Person, told: Told) -> str:
    found = []
    for signal in (told.old, told.fresh, told.fourth):
        by_number = person.client.get(f"/api/v1/rounds/round-{signal.round_id}/").status_code
        assert person.client.get(f"/api/v1/rounds/{signal.public_id}/").status_code == by_number
        found += [str(signal.public_id)] if by_number == 200 else []
    return " ".join(found)


WAYS: dict[str, Way] = {
    "board": _get("/"),
    "permalinks": _permalinks,
    "history": _get("/history"),
    "history of signals": _get("/history?state=issued"),
    "csv": _get("/history.csv"),
    "rest rounds": _get("/api/v1/rounds/"),
    "rest page of rounds": _get("/api/v1/rounds/?limit=200&before=99999999999-1"),
    "rest round": _rounds_by_id,
    "rest history": _get("/api/v1/signals/history/{instrument}/"),
    "rest events": _get("/api/v1/events/?after={told.before}"),
}
"""Every way out but the socket, which has its own test. What is added to the site is added here."""

SEES = {
    "visitor": {"old"},
    "freebie": {"old"},
    "newcomer": {"old"},
    "stranger": {"old", "fresh", "fourth"},
    "owner": {"old", "fresh", "fourth"},
}


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", SEES)
def test_delay_and_plan_hold_on_every_way_out(way: str, who: str, request: pytest.FixtureRequest) -> None:
    person, told = request.getfixturevalue(who), make_told()
    seen = told.seen_in(WAYS[way](person, told))
    expected = SEES[who] - ({"fourth"} if way == "rest history" else set())
    assert seen == expected


@pytest.mark.django_db
@pytest.mark.parametrize("who", SEES)
def test_latest_signal_is_the_latest_one_may_see(who: str, request: pytest.FixtureRequest) -> None:
    person, told = request.getfixturevalue(who), make_told()
    text = _get("/api/v1/signals/latest/{instrument}/")(person, told)
    assert told.seen_in(text) == ({"fresh"} if "fresh" in SEES[who] else {"old"})


@pytest.mark.django_db
@pytest.mark.parametrize("who", SEES)
def test_outcome_that_is_not_due_yet_does_not_exist(who: str, request: pytest.FixtureRequest) -> None:
    person, run, now = request.getfixturevalue(who), make_run(), floor_minute(wall_now())
    mark(run, market_at=now + MINUTE / 2, speed_reached=None)
    Run.objects.filter(pk=run.pk).update(state=Run.State.ENDED)  # so that its clock stands
    signal = tell(run, instruments_of(run)[0], now - DELAY)  # closed before the delay, expired within it
    seen = json.loads(person.client.get("/api/v1/rounds/").content)["rounds"][0]
    assert seen["id"] == str(signal.public_id)
    assert (seen["signal"]["outcome"] is not None) == ("fresh" in SEES[who])


@pytest.fixture
def anybody(who: str, transactional_db: None, request: pytest.FixtureRequest) -> Person:
    person: Person = request.getfixturevalue(who)
    return person


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", ["visitor", "freebie", "newcomer", "stranger"])
async def test_delay_and_plan_hold_on_the_socket(who: str, anybody: Person) -> None:
    person = anybody
    told = await database_sync_to_async(make_told)()
    session = person.client.session.session_key if person.account else None
    with serving() as address:
        async with reading(address, session) as replayed, reading(address, session) as pushed:
            await replayed.hello(told.before)
            await pushed.hello(None)
            await pushed.listen(0.5)
            signal = await database_sync_to_async(tell)(told.run, told.old.instrument, floor_minute(wall_now()))
            if who == "stranger":
                await pushed.reads(lambda: str(signal.public_id) in json.dumps(pushed.frames))
            await replayed.reads(lambda: told.seen_in(json.dumps(replayed.frames)) >= SEES[who])
            await pushed.listen(1.0)
            await replayed.listen(0.2)
    assert told.seen_in(json.dumps(replayed.frames)) == SEES[who]
    assert (str(signal.public_id) in json.dumps(pushed.frames)) == (who == "stranger")


# ---- the fetches themselves


@pytest.mark.django_db
def test_without_a_run_there_is_nothing() -> None:
    for rows in (
        access_instruments(VISITOR),
        access_rounds(VISITOR),
        access_signals(VISITOR),
        access_outcomes(VISITOR),
    ):
        assert not rows.exists()
    assert not access_events(VISITOR, 0).exists()
    assert event_position(VISITOR) == 0
    assert is_known(0, None)
    assert not is_known(1, None)


@pytest.mark.django_db
def test_another_venue_is_never_mixed_in(owner: Person) -> None:
    before = make_run("replay-1")
    tell(before, instruments_of(before)[0], floor_minute(wall_now()))
    run = make_run("replay-2")
    own = tell(run, instruments_of(run)[0], floor_minute(wall_now()))
    assert [row.pk for row in access_signals(owner.viewer)] == [own.pk]
    assert [row.pk for row in access_rounds(owner.viewer)] == [own.round_id]
    assert access_outcomes(owner.viewer).count() == 1
    assert {row.venue_id for row in access_events(owner.viewer, 0)} == {run.venue_id}


@pytest.mark.django_db
def test_edge_of_the_delay_belongs_to_those_who_waited(freebie: Person) -> None:
    run = make_run()
    at = floor_minute(wall_now())
    mark(run, market_at=at, speed_reached=None)
    Run.objects.filter(pk=run.pk).update(state=Run.State.ENDED)
    run.refresh_from_db()
    assert market_now(run) == at
    on_the_edge = make_round(instruments_of(run)[0], at - DELAY)
    make_round(instruments_of(run)[0], at - DELAY + MINUTE)
    assert [row.pk for row in access_rounds(freebie.viewer, run)] == [on_the_edge.pk]


@pytest.mark.django_db
def test_history_reaches_as_far_as_the_plan(freebie: Person, stranger: Person, owner: Person) -> None:
    run, now = make_run(), floor_minute(wall_now())
    for days in (1, 29, 31, 364, 366):
        make_round(instruments_of(run)[0], now - timedelta(days=days))
    counts = [access_rounds(person.viewer, run).count() for person in (freebie, stranger, owner)]
    assert counts == [2, 4, 5]


@pytest.mark.django_db
def test_delayed_events_keep_their_order(visitor: Person) -> None:
    run, now = make_run(), wall_now()
    card = {"cards": [{"instrument": instruments_of(run)[0].pk}]}

    def publish(ago: timedelta, kind: str = "rounds") -> int:
        return push.publish(kind, card if kind == "rounds" else {}, venue_id=run.venue_id, at=now - ago)

    due = publish(DELAY + MINUTE)
    undue = publish(MINUTE)
    late = publish(DELAY + MINUTE)  # of an old minute, decided late: it waits its turn
    public = publish(timedelta(), "feeds")
    assert [row.pk for row in access_events(visitor.viewer, 0)] == [due, public]
    assert event_position(visitor.viewer) == due
    assert undue < late


@pytest.mark.django_db
def test_new_run_of_a_venue_is_the_current_one(owner: Person) -> None:
    run = make_run()
    signal = tell(run, instruments_of(run)[0], floor_minute(wall_now()))
    start_run(run.venue)
    assert [row.pk for row in access_signals(owner.viewer)] == [signal.pk]
