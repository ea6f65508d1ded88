"""A corrected candle adds a revision to the outcomes it was the evidence of, and changes none."""

from datetime import UTC, datetime, timedelta

import pytest

from lib.postgres import ensure_partitions
from markets.models import CandleRevision, Instrument, Run
from signals.models import Outcome, Signal
from signals.outcomes import CORRECTABLE, resolve_due
from tests.factories_market import MINUTE, instruments_of, issue, make_run, store

pytestmark = pytest.mark.django_db
CLOSE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
EXPIRY = CLOSE + MINUTE
LATER = EXPIRY + timedelta(seconds=2)


@pytest.fixture
def run() -> Run:
    ensure_partitions("signals_round", CLOSE, CLOSE)
    return make_run()


@pytest.fixture
def btc(run: Run) -> Instrument:
    return instruments_of(run)[0]


def outcome_of(signal: Signal) -> Outcome:
    return Outcome.objects.filter(signal=signal).latest("revision")


def correct(btc: Instrument, open_: float, close: float, *, seconds: int) -> None:
    store(btc, CLOSE, open_, close, seen=EXPIRY + timedelta(seconds=seconds))


def test_a_correction_adds_a_revision_and_changes_none(run: Run, btc: Instrument) -> None:
    signal = issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    resolve_due(run, LATER)
    before = Outcome.objects.values().get()
    correct(btc, 100, 99, seconds=30)
    assert len(resolve_due(run, LATER + MINUTE)) == 1
    first, second = Outcome.objects.order_by("revision")
    assert Outcome.objects.values().get(pk=first.pk) == before
    assert (second.revision, second.result, second.reason) == (2, "lost", "candle_corrected")
    assert (second.entry, second.exit) == (100, 99)
    assert second.evidence_observed_at == EXPIRY + timedelta(seconds=30)
    assert outcome_of(signal).pk == second.pk
    assert resolve_due(run, LATER + 2 * MINUTE) == [], "once for each correction"


def test_a_correction_is_recorded_also_when_the_result_stays(run: Run, btc: Instrument) -> None:
    signal = issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    resolve_due(run, LATER)
    correct(btc, 100, 102, seconds=30)
    resolve_due(run, LATER + MINUTE)
    assert (outcome_of(signal).revision, outcome_of(signal).result, outcome_of(signal).exit) == (2, "won", 102)


@pytest.mark.parametrize(("open_", "close"), [(101.5, 101.0), (100.0, 101.5)])
def test_the_open_and_the_close_are_each_evidence(run: Run, btc: Instrument, open_: float, close: float) -> None:
    signal = issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    resolve_due(run, LATER)
    correct(btc, open_, close, seconds=30)
    resolve_due(run, LATER + MINUTE)
    assert (outcome_of(signal).entry, outcome_of(signal).exit) == (open_, close)


def test_two_corrections_between_two_runs_are_one_revision(run: Run, btc: Instrument) -> None:
    signal = issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    resolve_due(run, LATER)
    correct(btc, 100, 99, seconds=30)
    correct(btc, 100, 98, seconds=40)
    resolve_due(run, LATER + MINUTE)
    assert (outcome_of(signal).revision, outcome_of(signal).exit) == (2, 98)
    correct(btc, 100, 103, seconds=90)
    resolve_due(run, LATER + 2 * MINUTE)
    assert (outcome_of(signal).revision, outcome_of(signal).result) == (3, "won")


def test_a_correction_that_came_before_the_judgement_is_no_revision(run: Run, btc: Instrument) -> None:
    signal = issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    correct(btc, 100, 99, seconds=1)
    resolve_due(run, LATER)
    assert resolve_due(run, LATER + MINUTE) == []
    assert (outcome_of(signal).revision, outcome_of(signal).result) == (1, "lost")


def test_a_correction_of_another_minute_or_instrument_is_none_of_its_business(run: Run, btc: Instrument) -> None:
    eth = instruments_of(run)[1]
    issue(run, btc, CLOSE)
    for minute, who in ((CLOSE, btc), (CLOSE - MINUTE, btc), (CLOSE + MINUTE, btc), (CLOSE, eth)):
        store(who, minute, 100, 101)
    resolve_due(run, LATER)
    for minute, who in ((CLOSE - MINUTE, btc), (CLOSE + MINUTE, btc), (CLOSE, eth)):
        store(who, minute, 100, 90, seen=LATER + MINUTE)
    assert CandleRevision.objects.count() == 3
    assert resolve_due(run, LATER + 2 * MINUTE) == []


def test_a_correction_in_another_market_is_not_ours(run: Run, btc: Instrument) -> None:
    issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    resolve_due(run, LATER)
    correct(btc, 100, 99, seconds=30)
    assert resolve_due(make_run("replay"), LATER + MINUTE) == []
    assert len(resolve_due(run, LATER + MINUTE)) == 1


@pytest.mark.parametrize(("early", "seen"), [(timedelta(minutes=1), True), (timedelta(0), False)])
def test_a_week_later_the_record_is_closed(run: Run, btc: Instrument, early: timedelta, seen: bool) -> None:
    issue(run, btc, CLOSE)
    store(btc, CLOSE, 100, 101)
    resolve_due(run, LATER)
    correct(btc, 100, 99, seconds=30)
    assert bool(resolve_due(run, CLOSE + CORRECTABLE - early)) == seen
