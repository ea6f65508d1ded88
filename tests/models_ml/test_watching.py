"""Promoted patterns in real time: seen once, judged by the next candle, retired by rule, confirming signals."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lib import clock
from lib.postgres import ensure_partitions
from markets.candles import load_panel
from markets.models import Instrument, Run
from models_ml import watching
from models_ml.features import patterns
from models_ml.models import MiningRun, Pattern, PatternOccurrence
from models_ml.news import news_of
from models_ml.patterns.windows import LOOKBACK, codes, described
from signals import rounds, tasks
from signals.models import Round
from tests.factories_market import MINUTE, instruments_of, make_run, store, store_walk

pytestmark = pytest.mark.django_db
CLOSE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
AT = clock.epoch(CLOSE)


@pytest.fixture
def run() -> Run:
    ensure_partitions("signals_round", CLOSE, CLOSE)
    run = make_run("simulated", due_from=CLOSE)
    for seed, instrument in enumerate(instruments_of(run)):
        store_walk(instrument, CLOSE, 400, seed=seed)
    return run


def ids(run: Run) -> list[int]:
    return [instrument.pk for instrument in instruments_of(run)]


def promoted(
    run: Run, direction: int = 1, *, key: str = "", since: datetime = CLOSE - timedelta(days=1), **facts: object
) -> Pattern:
    """A promoted pattern; without a key the mined window that ends at the first instrument's last candle."""
    mining = MiningRun.objects.create(venue=run.venue, market_class="crypto", started_at=CLOSE)
    panel = load_panel(ids(run), AT, LOOKBACK)
    ((_, names),) = codes(panel.open_times, panel.ohlcv, (10,))
    window = described(10, int(names[0, -1]))
    return Pattern.objects.create(
        venue=run.venue, market_class="crypto", kind="named" if key else "mined", key=key or window.key,
        direction=direction, descriptor={} if key else window.as_json(), state="promoted", run=mining,
        early_n=20, early_hits=16, later_n=50, later_hits=40, base_rate=0.49, p_value=1e-6, q_value=0.01,
        promoted_at=since, **facts,
    )  # fmt: skip


def test_a_sighting_is_noted_once_however_often_one_looks(run: Run) -> None:
    pattern = promoted(run)
    first = watching.watch(run, AT, ids(run))
    assert first >= 1
    assert watching.watch(run, AT, ids(run)) == 0
    row = PatternOccurrence.objects.get(pattern=pattern, instrument_id=ids(run)[0], close_time=CLOSE)
    assert (row.outcome, row.result_bps) == ("", None)


def test_what_a_lost_task_missed_is_found_by_the_next(run: Run) -> None:
    pattern = promoted(run)
    for instrument in instruments_of(run):
        store(instrument, CLOSE, 100.0, 100.0)
    watching.watch(run, AT + 60, ids(run))
    assert PatternOccurrence.objects.filter(pattern=pattern, close_time=CLOSE).exists()


def test_nothing_is_counted_from_before_the_promotion(run: Run) -> None:
    promoted(run, since=CLOSE)
    assert watching.watch(run, AT, ids(run)) == 0


def test_named_patterns_are_watched_too(run: Run) -> None:
    found = 0
    for direction in (1, -1):
        promoted(run, direction, key="candle_engulfing")
        promoted(run, direction, key="cdl_closingmarubozu")
    for minute in range(0, 40, watching.CATCH_UP):
        found += watching.watch(run, AT - 60 * minute, ids(run))
    assert found > 0
    assert set(PatternOccurrence.objects.values_list("pattern__kind", flat=True)) == {"named"}


def test_of_one_minute_only_the_first_instrument_counts(run: Run) -> None:
    pattern = promoted(run)
    twin = Instrument.objects.create(
        venue=run.venue,
        raw_symbol="B2",
        symbol="B2/USDT",
        base="B2",
        quote="USDT",
        market_class="crypto",
        followed=True,
    )
    store_walk(twin, CLOSE, 400, seed=0)
    watching.watch(run, AT, [*ids(run)[:1], twin.pk])
    rows = PatternOccurrence.objects.filter(pattern=pattern, close_time=CLOSE).order_by("instrument_id")
    assert [row.counts for row in rows] == [True, False]


@pytest.mark.parametrize(
    ("direction", "close", "outcome", "result"),
    [(1, 101.0, "won", 99.5), (1, 99.0, "lost", -100.5), (-1, 99.0, "won", 100.5), (1, 100.0, "tie", 0.0)],
)
def test_it_is_judged_by_the_next_candle_entered_at_its_open(
    run: Run, direction: int, close: float, outcome: str, result: float
) -> None:
    pattern = promoted(run, direction)
    watching.watch(run, AT, ids(run)[:1])
    assert watching.judge(run, CLOSE) == 0, "its candle is not there yet"
    store(instruments_of(run)[0], CLOSE, 100.0, close)
    assert watching.judge(run, CLOSE + MINUTE) >= 1
    row = PatternOccurrence.objects.get(pattern=pattern, close_time=CLOSE)
    assert row.outcome == outcome
    assert row.result_bps == pytest.approx(result, abs=0.05)
    pattern.refresh_from_db()
    assert pattern.live_n >= (outcome != "tie")
    assert watching.judge(run, CLOSE + MINUTE) == 0


def test_without_a_candle_for_a_day_it_is_void_and_counts_for_nothing(run: Run) -> None:
    pattern = promoted(run)
    PatternOccurrence.objects.create(pattern=pattern, instrument_id=ids(run)[0], close_time=CLOSE)
    assert watching.judge(run, CLOSE + timedelta(hours=24)) == 0
    assert watching.judge(run, CLOSE + timedelta(hours=24, minutes=1)) == 1
    pattern.refresh_from_db()
    assert (pattern.live_n, PatternOccurrence.objects.get().outcome) == (0, "void")


@pytest.mark.parametrize(
    ("hits", "n", "why"),
    [
        (0, 29, ""),
        (7, 30, "under the base rate"),
        (12, 30, ""),
        (53, 99, ""),
        (53, 100, "under the break-even 54.1%"),
        (56, 100, ""),
    ],
)
def test_the_rule_of_retirement(hits: int, n: int, why: str) -> None:
    reason = watching.reason_to_retire(hits, n, base_rate=0.49, payout=0.85)
    assert bool(reason) == bool(why)
    assert why in reason


def test_a_pattern_that_stopped_working_is_retired_with_its_reason(run: Run) -> None:
    pattern = promoted(run)
    rows = [
        PatternOccurrence(
            pattern=pattern, instrument_id=ids(run)[0], close_time=CLOSE - MINUTE * (minute + 1),
            outcome="won" if minute < 5 else "lost", result_bps=-1.0,
        )
        for minute in range(35)
    ]  # fmt: skip
    PatternOccurrence.objects.bulk_create(rows)
    watching.watch(run, AT, ids(run)[:1])
    store(instruments_of(run)[0], CLOSE, 100.0, 99.0)
    watching.judge(run, CLOSE + MINUTE)
    pattern.refresh_from_db()
    assert (pattern.state, pattern.retired_at) == ("retired", CLOSE + MINUTE)
    assert "base rate" in pattern.reason
    assert pattern.live_n >= 36
    store(instruments_of(run)[0], CLOSE + MINUTE, 100.0, 101.0)
    assert watching.watch(run, AT + 60, ids(run)) == 0, "a retired pattern is watched no more"


def test_a_promoted_window_confirms_and_a_candidate_does_not(run: Run) -> None:
    panel = load_panel(ids(run), AT, 200)
    pattern = promoted(run, -1)
    said = watching.confirming(run.venue_id, "crypto", panel.open_times, panel.ohlcv)
    assert said[0] == -1
    assert watching.confirming(run.venue_id, "forex", panel.open_times, panel.ohlcv).tolist() == [0, 0]
    Pattern.objects.filter(pk=pattern.pk).update(state="candidate")
    assert watching.confirming(run.venue_id, "crypto", panel.open_times, panel.ohlcv).tolist() == [0, 0]


def test_the_bonus_of_a_minute_comes_from_candlesticks_and_promoted_windows(run: Run) -> None:
    group = instruments_of(run)
    panel = load_panel(ids(run), AT, rounds.BARS)
    named = patterns(panel.ohlcv, rows=1)[:, -1]
    way = 1 if named[0] >= 0 else -1
    promoted(run, way)
    contexts = rounds._contexts(group, panel, np.zeros(2), ({}, {}), news_of(group, AT))
    assert contexts[0].pattern == way
    assert contexts[1].pattern in {int(named[1]), int(np.sign(named[1] + way))}


@pytest.mark.django_db(transaction=True)
def test_the_task_after_a_round_watches_and_judges(run: Run) -> None:
    promoted(run)
    rounds.decide_minute(AT, ids(run), received=time.time())
    numbers = list(Round.objects.values_list("pk", flat=True))
    assert tasks.watch_patterns(AT, numbers) + PatternOccurrence.objects.count() >= 1
    assert tasks.watch_patterns(AT, numbers) == 0
    assert PatternOccurrence.objects.filter(close_time=CLOSE).exists()
