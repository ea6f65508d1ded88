"""What became of a signal: from stored candles, once, and superseded when they are corrected."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pytest_django import DjangoCaptureOnCommitCallbacks

from lib.postgres import ensure_partitions
from markets.models import Candle, CandleRevision, Instrument, Run
from signals import events
from signals.models import Outcome, PushEvent, Round, Signal
from signals.outcomes import VOID_AFTER, judge, resolve_due, verdict_of
from signals.publishing import save_rounds
from tests.factories_market import MINUTE, ballot, decided, instruments_of, issue, make_run, store
from tests.logged import Logged

CLOSE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
EXPIRY = CLOSE + MINUTE
LATER = EXPIRY + timedelta(seconds=2)
database = pytest.mark.django_db


@pytest.mark.parametrize(
    ("direction", "entry", "exit_", "result"),
    [
        (1, 100.0, 100.01, "won"),
        (1, 100.0, 99.99, "lost"),
        (-1, 100.0, 99.99, "won"),
        (-1, 100.0, 100.01, "lost"),
        (1, 100.0, 100.0, "tie"),
        (-1, 100.0, 100.0, "tie"),
        (1, 0.1 + 0.2, 0.3, "lost"),
    ],
)
def test_the_rule(direction: int, entry: float, exit_: float, result: str) -> None:
    assert judge(direction, entry, exit_) == result


@given(st.floats(1e-8, 1e8), st.floats(1e-8, 1e8))
def test_what_wins_upwards_loses_downwards(entry: float, exit_: float) -> None:
    opposite = {"won": "lost", "lost": "won", "tie": "tie"}
    assert judge(-1, entry, exit_) == opposite[judge(1, entry, exit_)]
    assert judge(1, exit_, entry) == judge(-1, entry, exit_)


# ---- from the store


@pytest.fixture
def run(db: None) -> Run:
    ensure_partitions("signals_round", CLOSE, CLOSE)
    return make_run()


@pytest.fixture
def btc(run: Run) -> Instrument:
    return instruments_of(run)[0]


def outcome_of(signal: Signal) -> Outcome:
    return Outcome.objects.filter(signal=signal).latest("revision")


@pytest.mark.parametrize(
    ("down", "close", "result"),
    [(False, 101.0, "won"), (False, 99.0, "lost"), (True, 99.0, "won"), (True, 101.0, "lost"), (False, 100.5, "tie")],
)
def test_it_enters_at_the_next_open_and_leaves_at_its_close(
    run: Run, btc: Instrument, down: bool, close: float, result: str
) -> None:
    signal = issue(run, btc, CLOSE, down=down)  # the last close, 100, is not the entry
    seen = EXPIRY + timedelta(seconds=0.7)
    store(btc, CLOSE, 100.5, close, seen=seen)
    (id_,) = resolve_due(run, LATER)
    outcome = Outcome.objects.get(pk=id_)
    assert (outcome.result, outcome.reason, outcome.revision) == (result, "", 1)
    assert (outcome.entry, outcome.exit) == (100.5, close)
    assert (outcome.entry_candle, outcome.exit_candle) == (CLOSE, CLOSE)
    assert outcome.evidence_observed_at == seen
    assert outcome.signal_id == signal.pk


def test_other_candles_are_no_evidence(run: Run, btc: Instrument) -> None:
    issue(run, btc, CLOSE)
    store(btc, CLOSE - MINUTE, 100, 110)
    store(btc, CLOSE + MINUTE, 100, 110)
    store(instruments_of(run)[1], CLOSE, 100, 110)
    assert resolve_due(run, LATER) == []


def queries(asked: CaptureQueriesContext, table: str) -> list[str]:
    """The statements that read `table` first."""
    return [query["sql"] for query in asked if f'FROM "{table}"' in query["sql"]]


def test_signals_are_judged_in_one_order_whoever_comes(run: Run, btc: Instrument) -> None:
    late, early = issue(run, btc, CLOSE + MINUTE), issue(run, btc, CLOSE)
    for at in (CLOSE, CLOSE + MINUTE):
        store(btc, at, 100, 101)
    with CaptureQueriesContext(connection) as asked:
        first, second = resolve_due(run, LATER + MINUTE)
    assert [Outcome.objects.get(pk=id_).signal_id for id_ in (first, second)] == [early.pk, late.pk]
    waiting = queries(asked, "signals_signal")[0]
    assert 'ORDER BY "signals_signal"."expires_at" ASC, "signals_signal"."id" ASC' in waiting


def test_what_is_judged_is_not_looked_at_again(run: Run, btc: Instrument) -> None:
    issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    resolve_due(run, LATER)
    with CaptureQueriesContext(connection) as asked:
        resolve_due(run, LATER)
    assert queries(asked, "markets_candle") == []


def test_telling_reads_the_judged_rounds_and_no_instrument_one_by_one(run: Run, btc: Instrument) -> None:
    issue(run, btc, CLOSE)
    save_rounds(run, [decided(instruments_of(run)[1], CLOSE, votes=ballot(2))])
    store(btc, CLOSE, 100, 101)
    with CaptureQueriesContext(connection) as asked:
        resolve_due(run, LATER)
    (rounds,) = queries(asked, "signals_round")
    assert '"close_time" IN' in rounds, "one month of the record is read, not all of it"
    assert queries(asked, "markets_instrument") == queries(asked, "markets_venue") == []
    assert [card["instrument"] for card in _told()] == [btc.pk]


def test_only_the_evidence_is_read(run: Run, btc: Instrument) -> None:
    signal = issue(run, btc, CLOSE)
    with CaptureQueriesContext(connection) as asked:
        verdict_of(signal)
    (query,) = asked
    assert '"open_time" IN' in query["sql"], "a year of candles is not read to look at one"


def test_a_longer_horizon_leaves_at_its_last_candle(run: Run, btc: Instrument) -> None:
    issued = issue(run, btc, CLOSE)
    signal = Signal.objects.create(
        round_id=issued.round_id, instrument=btc, horizon_s=300, close_time=CLOSE,
        expires_at=CLOSE + 5 * MINUTE, issued_at=LATER, direction=1, entry=100, payout=0.85, tier=3,
        risk_label="LOW", vote_share=1, score=1,
    )  # fmt: skip
    store(btc, CLOSE, 100, 90, seen=CLOSE + MINUTE)
    assert verdict_of(signal) is None, "its last candle is not there yet"
    last = CLOSE + 5 * MINUTE
    store(btc, CLOSE + 4 * MINUTE, 95, 101, seen=last)
    verdict = verdict_of(signal)
    assert verdict is not None
    assert (verdict.entry, verdict.exit, verdict.result, verdict.observed_at) == (100, 101, "won", last)
    resolve_due(run, last)
    outcome = outcome_of(signal)
    assert (outcome.entry_candle, outcome.exit_candle) == (CLOSE, CLOSE + 4 * MINUTE)


@pytest.mark.parametrize(("seconds", "due"), [(-1, False), (0, True), (1, True)])
def test_nothing_is_judged_before_it_expires(run: Run, btc: Instrument, seconds: int, due: bool) -> None:
    issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    assert bool(resolve_due(run, EXPIRY + timedelta(seconds=seconds))) == due


def test_only_signals_are_judged(run: Run, btc: Instrument) -> None:
    save_rounds(run, [decided(btc, CLOSE, votes=ballot(3))])
    store(btc, CLOSE, 100, 101)
    assert resolve_due(run, LATER) == []


def test_another_market_is_left_alone(run: Run, btc: Instrument) -> None:
    issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    other = make_run("replay")
    assert resolve_due(other, LATER) == []
    assert len(resolve_due(run, LATER)) == 1


# ---- a candle that is not there (fault 48)


def test_it_stays_pending_until_the_candle_is_back_filled(run: Run, btc: Instrument) -> None:
    signal = issue(run, btc, CLOSE)
    assert resolve_due(run, EXPIRY + timedelta(hours=3)) == []
    store(btc, CLOSE, 100, 99, seen=EXPIRY + timedelta(hours=3))
    resolve_due(run, EXPIRY + timedelta(hours=3, seconds=5))
    assert outcome_of(signal).result == "lost"


@pytest.mark.parametrize(("over", "void"), [(timedelta(0), False), (timedelta(microseconds=1), True)])
def test_it_is_void_after_a_day_and_counted_as_such(run: Run, btc: Instrument, over: timedelta, void: bool) -> None:
    signal = issue(run, btc, CLOSE)
    assert timedelta(hours=24) == VOID_AFTER
    assert bool(resolve_due(run, EXPIRY + VOID_AFTER + over)) == void
    if void:
        outcome = outcome_of(signal)
        assert (outcome.result, outcome.reason) == ("void", "no_candle")
        assert (outcome.entry, outcome.exit, outcome.entry_candle, outcome.exit_candle) == (None,) * 4
        assert outcome.evidence_observed_at is None


def test_a_late_candle_is_still_judged_after_a_day(run: Run, btc: Instrument) -> None:
    signal = issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    resolve_due(run, EXPIRY + timedelta(days=3))
    assert outcome_of(signal).result == "won"


def test_void_is_final(run: Run, btc: Instrument) -> None:
    signal = issue(run, btc, CLOSE)
    resolve_due(run, EXPIRY + timedelta(hours=25))
    store(btc, CLOSE, 100, 101)
    store(btc, CLOSE, 100, 102, seen=EXPIRY + timedelta(hours=26))
    assert CandleRevision.objects.exists()
    assert resolve_due(run, EXPIRY + timedelta(hours=27)) == []
    assert outcome_of(signal).result == "void"


def test_what_a_recording_does_not_hold_is_void_at_its_end(run: Run, btc: Instrument) -> None:
    missing, judged = issue(run, btc, CLOSE), issue(run, instruments_of(run)[1], CLOSE)
    store(instruments_of(run)[1], CLOSE, 100, 101)
    resolve_due(run, LATER, final=True)
    assert (outcome_of(missing).result, outcome_of(missing).reason) == ("void", "recording_ended")
    assert outcome_of(judged).result == "won"


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("candor_outcomes_total", {"result": result}) or 0.0


def test_outcomes_are_counted_and_what_is_void_is_logged(run: Run, btc: Instrument, logged: Logged) -> None:
    missing = issue(run, btc, CLOSE)
    issue(run, instruments_of(run)[1], CLOSE)
    store(instruments_of(run)[1], CLOSE, 100, 101)
    before = {result: counted(result) for result in ("won", "lost", "void")}
    resolve_due(run, LATER, final=True)
    assert {result: counted(result) - before[result] for result in before} == {"won": 1, "lost": 0, "void": 1}
    (told,) = logged("signal_void")
    assert (told["level"], told["signal_id"], told["reason"]) == ("warning", missing.pk, "recording_ended")


def test_the_end_of_a_recording_judges_what_has_not_expired_yet(run: Run, btc: Instrument) -> None:
    signal = issue(run, btc, CLOSE)
    assert resolve_due(run, CLOSE) == []
    resolve_due(run, CLOSE, final=True)
    assert (outcome_of(signal).result, outcome_of(signal).reason) == ("void", "recording_ended")


# ---- once


def test_a_second_call_judges_nothing_twice(run: Run, btc: Instrument) -> None:
    issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    assert len(resolve_due(run, LATER)) == 1
    assert resolve_due(run, LATER) == []
    assert PushEvent.objects.filter(kind="outcomes").count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_workers_at_once_write_one_outcome_a_signal(run: Run) -> None:
    for instrument in instruments_of(run):
        issue(run, instrument, CLOSE)
        store(instrument, CLOSE, 100, 101)
    together = Barrier(8)

    def work(_: int) -> list[int]:
        together.wait(10)
        try:
            return resolve_due(run, LATER)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        written = [id_ for ids in pool.map(work, range(8)) for id_ in ids]
    assert sorted(written) == sorted(Outcome.objects.values_list("pk", flat=True))
    assert len(written) == 2
    assert len(_told()) == 2, "every outcome is told once"


def _told() -> list[dict[str, Any]]:
    bodies = PushEvent.objects.filter(kind="outcomes").order_by("id").values_list("body", flat=True)
    return [card for body in bodies for card in orjson.loads(body)["cards"]]


# ---- news


def test_the_news_carries_the_judged_cards(run: Run, btc: Instrument) -> None:
    eth = instruments_of(run)[1]
    issue(run, btc, CLOSE)
    issue(run, eth, CLOSE + MINUTE)
    store(btc, CLOSE, 100, 101)
    store(eth, CLOSE + MINUTE, 100, 99)
    resolve_due(run, LATER + MINUTE)
    event = PushEvent.objects.get(kind="outcomes")
    assert event.at == CLOSE + 2 * MINUTE, "a plan's delay counts from the latest expiry"
    assert event.venue_id == run.venue_id
    assert {card["instrument"]: card["attrs"]["outcome"] for card in _told()} == {btc.pk: "won", eth.pk: "lost"}


def test_the_event_goes_up_after_the_commit(
    run: Run, btc: Instrument, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    heard: list[list[int]] = []

    def listen(sender: object, outcome_ids: list[int], **news: object) -> None:
        assert sender is Outcome
        heard.append(outcome_ids)

    events.signal_resolved.connect(listen)
    issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    with django_capture_on_commit_callbacks(execute=True):
        ids = resolve_due(run, LATER)
        assert heard == []
    assert heard == [ids]
    with django_capture_on_commit_callbacks(execute=True):
        resolve_due(run, LATER)
    assert heard == [ids], "without an outcome there is no news"


# ---- no orphans


@database
def test_rounds_signals_outcomes_and_candles_refer_to_each_other(run: Run) -> None:
    """Partitioned tables carry no foreign keys, so this is what holds them together."""
    btc, eth = instruments_of(run)
    for n in range(6):
        at = CLOSE + n * MINUTE
        save_rounds(run, [decided(btc, at, votes=ballot(7 - n)), decided(eth, at, votes=ballot(0, 4 + n))])
        for instrument in (btc, eth):
            store(instrument, at, 100, 100 + (-1) ** n)
    resolve_due(run, CLOSE + 7 * MINUTE)
    known = set(Instrument.objects.values_list("pk", flat=True))
    shared = ("close_time", "instrument_id", "horizon_s", "direction")
    issued = set(Round.objects.filter(state="issued").values_list("pk", *shared))
    assert issued == set(Signal.objects.values_list("round_id", *shared))
    assert len(issued) == 6
    assert set(Round.objects.values_list("instrument_id", flat=True)) <= known
    assert set(Candle.objects.values_list("instrument_id", flat=True)) <= known
    judged = Outcome.objects.select_related("signal")
    assert {outcome.signal_id for outcome in judged} == set(Signal.objects.values_list("pk", flat=True))
    for outcome in judged:
        assert outcome.entry_candle is not None
        candle = Candle.objects.get(instrument_id=outcome.signal.instrument_id, open_time=outcome.entry_candle)
        assert (candle.open, candle.close) == (outcome.entry, outcome.exit)
        assert outcome.result == judge(outcome.signal.direction, candle.open, candle.close)
