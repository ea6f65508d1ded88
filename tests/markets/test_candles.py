"""The store: once each, in any order, corrections kept, refusals counted, windows as they were known."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib import clock
from markets.candles import (
    Source,
    StoreReport,
    WindowError,
    find_gaps,
    latest,
    load_ohlcv,
    load_panel,
    newest_open_times,
    read_window,
    store_closed,
)
from markets.models import Candle, CandleRevision, Instrument, Refusal
from markets.validation import CandleRows
from markets.values import Ohlcv, TaintFlag
from tests.markets.worlds import START, at, candle, make_instrument, series, walk

pytestmark = pytest.mark.django_db
NOW = at(START + 86_400)


@pytest.fixture
def btc() -> Instrument:
    return make_instrument()


def put(*pairs: tuple[int, Ohlcv], seen: float = START + 86_400, flags: int = 0) -> StoreReport:
    return store_closed(CandleRows.of(pairs, flags), source=Source.STREAM, observed_at=at(seen), now=NOW)


def test_closed_candles_are_stored_once(btc: Instrument) -> None:
    rows = series(btc, 100)
    first = store_closed(rows, source=Source.REST, now=NOW)
    again = store_closed(rows, source=Source.REST, now=NOW)
    assert (first, again) == (StoreReport(stored=100), StoreReport(duplicates=100))
    times, ohlcv = load_ohlcv(btc.pk, START, START + 6000)
    assert np.array_equal(times, rows.open_times)
    assert np.array_equal(ohlcv, rows.ohlcv)
    assert Candle.objects.filter(instrument=btc, source=Source.REST).count() == 100


def test_an_empty_batch_is_no_work() -> None:
    assert store_closed([], source=Source.REST, now=NOW) == StoreReport()


@pytest.mark.parametrize("times", [1, 2, 3, 4, 5])
def test_duplicates_within_one_batch_count_once(btc: Instrument, times: int) -> None:
    assert put(*[(btc.pk, candle())] * times) == StoreReport(stored=1, duplicates=times - 1)


def test_of_two_values_in_one_batch_the_last_received_counts(btc: Instrument) -> None:
    put((btc.pk, candle(close=101)), (btc.pk, candle(close=102)))
    assert load_ohlcv(btc.pk, START, START + 60)[1][0, 3] == 102


def test_a_repetition_makes_no_candle_later_than_it_was(btc: Instrument) -> None:
    rows = CandleRows.of([(btc.pk, candle(close=c)) for c in (100.0, 101.0, 102.0, 102.0, 102.0)], 0)
    store_closed(rows, source=Source.STREAM, observed_at=START + 61.0 + np.arange(5), now=NOW)
    row = Candle.objects.get(instrument=btc)
    assert (row.close, row.observed_at) == (102.0, at(START + 63))


def test_a_correction_keeps_the_key_and_the_replaced_values(btc: Instrument) -> None:
    put((btc.pk, candle(close=101)), seen=START + 61, flags=int(TaintFlag.OUT_OF_ORDER))
    assert put((btc.pk, candle(close=102)), seen=START + 500) == StoreReport(corrected=1)
    row = Candle.objects.get(instrument=btc)
    old = CandleRevision.objects.get(instrument=btc)
    assert (row.close, row.observed_at, row.flags) == (102, at(START + 500), 0)
    assert (old.close, old.observed_at, old.replaced_at) == (101, at(START + 61), at(START + 500))
    assert (old.source, old.flags) == (Source.STREAM, TaintFlag.OUT_OF_ORDER)


def test_a_batch_may_hold_new_known_corrected_and_bad_rows(btc: Instrument) -> None:
    put((btc.pk, candle(START)), (btc.pk, candle(START + 60)))
    report = put(
        (btc.pk, candle(START)),
        (btc.pk, candle(START + 60, close=103)),
        (btc.pk, candle(START + 120)),
        (btc.pk, candle(START + 181)),
    )
    assert report == StoreReport(stored=1, duplicates=1, corrected=1, refused={"off_grid": 1})


REFUSED: list[tuple[Ohlcv, str]] = [
    (Ohlcv("X", START, float("nan"), 2, 1, 1, 1), "nan"),
    (Ohlcv("X", START, 1, float("inf"), 1, 1, 1), "nan"),
    (Ohlcv("X", START, 1, 1, 1, 1, float("nan")), "nan"),
    (Ohlcv("X", START, 1, 1, 2, 1, 1), "impossible"),
    (Ohlcv("X", START, 3, 2, 1, 1, 1), "impossible"),
    (Ohlcv("X", START, 2, 3, 2, 1, 1), "impossible"),
    (Ohlcv("X", START, 1, 1, 1, 1, -1), "negative_volume"),
    (Ohlcv("X", START, 1, 1, 0, 1, 1), "nonpositive_price"),
    (Ohlcv("X", START, -1, 1, -1, 1, 1), "nonpositive_price"),
    (candle(START + 30), "off_grid"),
    (candle(START, closed=False), "unfinished"),
    (candle(START + 86_400), "unfinished"),
    (candle(START + 86_460), "future"),
    (candle(START + 86_400 * 366), "future"),
]


@pytest.mark.parametrize(("bad", "reason"), REFUSED)
def test_what_cannot_be_true_is_refused_and_counted(btc: Instrument, bad: Ohlcv, reason: str) -> None:
    put((btc.pk, bad))
    assert put((btc.pk, bad), (btc.pk, candle(START + 600))) == StoreReport(stored=1, refused={reason: 1})
    refusal = Refusal.objects.get(instrument=btc)
    assert (refusal.reason, refusal.count, refusal.day) == (reason, 2, NOW.date())
    assert refusal.sample["open_time"] == bad.open_time


def test_two_seconds_of_clock_difference_are_forgiven(btc: Instrument) -> None:
    now = at(START + 58)
    assert store_closed([(btc.pk, candle(START))], source=Source.STREAM, now=now).stored == 1
    assert store_closed([(btc.pk, candle(START + 60))], source=Source.STREAM, now=now).refused == {"unfinished": 1}
    assert store_closed([(btc.pk, candle(START + 120))], source=Source.STREAM, now=now).refused == {"future": 1}


def test_months_get_their_partitions(btc: Instrument) -> None:
    times = np.array([at(START).replace(year=y, month=m).timestamp() for y in (2023, 2024) for m in (2, 12)], np.int64)
    rows = CandleRows.series(btc.pk, times, np.tile([1.0, 2.0, 0.5, 1.5, 1.0], (4, 1)))
    assert store_closed(rows, source=Source.IMPORT, now=NOW).stored == 4


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_order_and_any_repetition_give_the_same_rows(btc: Instrument, data: st.DataObject) -> None:
    rows = series(btc, 12, seed=data.draw(st.integers(0, 9)))
    order = data.draw(st.permutations([*range(12)] * data.draw(st.integers(1, 5))))
    Candle.objects.filter(instrument=btc).delete()
    reports = StoreReport()
    while order:
        cut = data.draw(st.integers(1, len(order)))
        reports += store_closed(rows.pick(np.array(order[:cut])), source=Source.STREAM, now=NOW)
        order = order[cut:]
    times, ohlcv = load_ohlcv(btc.pk, START, START + 720)
    assert np.array_equal(times, rows.open_times)
    assert np.array_equal(ohlcv, rows.ohlcv)
    assert (reports.stored, reports.corrected, reports.refused) == (12, 0, {})


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(*[st.floats() | st.floats(1, 10)] * 5, st.integers(-5, 1500)), min_size=1, max_size=8))
def test_only_sound_candles_ever_come_back(btc: Instrument, raw: list[tuple[float, ...]]) -> None:
    Candle.objects.filter(instrument=btc).delete()
    rows = [(btc.pk, Ohlcv("X", START + 60 * int(t), o, h, low, c, v)) for o, h, low, c, v, t in raw]
    report = store_closed(rows, source=Source.STREAM, now=NOW)
    assert report.stored + report.duplicates + report.corrected + sum(report.refused.values()) == len(rows)
    _, ohlcv = load_ohlcv(btc.pk, 0, 2**32)
    assert np.isfinite(ohlcv).all()
    assert (ohlcv[:, :4] > 0).all()
    assert (ohlcv[:, 2] <= ohlcv[:, [0, 3]].min(axis=1)).all()
    assert (ohlcv[:, 1] >= ohlcv[:, [0, 3]].max(axis=1)).all()


# ---- reading


def test_latest_is_the_end_oldest_first(btc: Instrument) -> None:
    rows = series(btc, 50)
    store_closed(rows, source=Source.REST, now=NOW)
    found = latest(btc.pk, 5)
    assert found["open_time"].tolist() == rows.open_times[-5:].tolist()
    assert found["close"].tolist() == rows.ohlcv[-5:, 3].tolist()
    assert latest(btc.pk, 5, until=START + 600)["open_time"][-1] == START + 540
    assert len(latest(btc.pk + 1, 5)) == 0


def test_newest_open_times(btc: Instrument) -> None:
    eth = make_instrument("ETH/USDT")
    store_closed(series(btc, 3), source=Source.REST, now=NOW)
    assert newest_open_times([btc.pk, eth.pk]) == {btc.pk: START + 120}


def test_gaps_are_found_by_their_edges(btc: Instrument) -> None:
    rows = series(btc, 20)
    keep = np.array([t for t in range(20) if t not in (0, 5, 6, 7, 19)])
    store_closed(rows.pick(keep), source=Source.REST, now=NOW)
    found = [((a - START) // 60, (b - START) // 60) for a, b in find_gaps(btc.pk, START, START + 1200)]
    assert found == [(0, 1), (5, 8), (19, 20)]


def test_a_weekend_is_no_gap_for_currencies(btc: Instrument) -> None:
    friday = START + 4 * 86_400 + 22 * 3600  # 17:00 New York in winter
    sunday = START + 6 * 86_400 + 21 * 3600  # and on the day summer time began
    times = np.r_[np.arange(friday - 600, friday, 60), np.arange(sunday, sunday + 600, 60)]
    rows = CandleRows.series(btc.pk, times, walk(20)[1])
    store_closed(rows, source=Source.REST, now=at(sunday + 3600))
    assert find_gaps(btc.pk, friday - 600, sunday + 600, calendar="fx") == []
    assert len(find_gaps(btc.pk, friday - 600, sunday + 600)) == 1


# ---- the window


def test_a_panel_lays_instruments_on_one_axis(btc: Instrument) -> None:
    eth = make_instrument("ETH/USDT")
    a, b = series(btc, 30), series(eth, 30, seed=2)
    store_closed(a, source=Source.REST, now=NOW)
    store_closed(b.pick(np.array([t for t in range(30) if t != 12])), source=Source.REST, now=NOW)
    panel = load_panel([eth.pk, btc.pk], START + 1800, 20)
    assert panel.open_times.tolist() == list(range(START + 600, START + 1800, 60))
    assert np.array_equal(panel.ohlcv[1], a.ohlcv[10:])
    assert np.isnan(panel.ohlcv[0, 2]).all()
    assert np.array_equal(panel.ohlcv[0, 3:], b.ohlcv[13:])
    assert np.isnan(panel.observed_at[0, 2])
    assert panel.observed_at[1, 0] == NOW.timestamp()
    assert panel.taint.tolist() == [TaintFlag.GAP, 0]
    assert load_panel([eth.pk], START + 1800, 20, taint_bars=17).taint.tolist() == [0]


@pytest.mark.parametrize("at_once", [1, 2, 14, 22, 59, 60, 61])
def test_a_window_read_in_stretches_is_the_same(btc: Instrument, at_once: int) -> None:
    eth = make_instrument("ETH/USDT")
    a, b = series(btc, 30), series(eth, 30, seed=2)
    store_closed(a, source=Source.REST, now=NOW)
    store_closed(b.pick(np.array([t for t in range(30) if t not in {0, 12, 13, 29}])), source=Source.IMPORT, now=NOW)
    ids, panel = np.array([eth.pk, btc.pk]), load_panel([eth.pk, btc.pk], START + 1800, 30)
    ohlcv, observed, flags = read_window(ids, panel.open_times, None, at_once=at_once)
    np.testing.assert_array_equal(ohlcv, panel.ohlcv)
    np.testing.assert_array_equal(observed, panel.observed_at)
    np.testing.assert_array_equal(flags, panel.flags)
    np.testing.assert_array_equal(ohlcv[1], a.ohlcv)


def test_a_missing_last_candle_is_stale(btc: Instrument) -> None:
    store_closed(series(btc, 10), source=Source.REST, now=NOW)
    assert load_panel([btc.pk], START + 660, 5).taint[0] == TaintFlag.GAP | TaintFlag.STALE
    assert load_panel([btc.pk], START + 600, 5).taint[0] == 0


@pytest.mark.parametrize(("minute", "bars", "tainted"), [(29, 30, True), (15, 30, True), (14, 30, False)])
def test_a_repaired_candle_marks_windows_for_a_while(btc: Instrument, minute: int, bars: int, tainted: bool) -> None:
    rows = series(btc, 30)
    flags = np.where(np.arange(30) == minute, int(TaintFlag.REPAIRED), 0)
    rows = CandleRows(rows.instrument_ids, rows.open_times, rows.ohlcv, rows.closed, flags)
    store_closed(rows, source=Source.REST, now=NOW)
    assert bool(load_panel([btc.pk], START + 1800, bars).taint[0] & TaintFlag.REPAIRED) is tainted


def test_a_spike_is_kept_and_not_trusted(btc: Instrument) -> None:
    rows = series(btc, 30)
    rows.ohlcv[12, :4] *= 1.6
    store_closed(rows, source=Source.REST, now=NOW)
    assert load_panel([btc.pk], START + 1800, 30).taint[0] == TaintFlag.SUSPECT
    assert Candle.objects.get(instrument=btc, open_time=at(START + 720)).flags == TaintFlag.SUSPECT


def test_a_spike_between_batches_is_seen_in_the_window(btc: Instrument) -> None:
    rows = series(btc, 30)
    rows.ohlcv[12:, :4] *= 1.6
    for minute in range(30):
        store_closed(rows.pick(np.array([minute])), source=Source.STREAM, now=NOW)
    assert load_panel([btc.pk], START + 1800, 30).taint[0] == TaintFlag.SUSPECT


def test_volume_that_falls_silent_is_suspect_but_a_market_without_volume_is_not(btc: Instrument) -> None:
    rows, fx = series(btc, 60), make_instrument("EUR/USD")
    rows.ohlcv[45:, 4] = 0
    quiet = series(fx, 60)
    quiet.ohlcv[:, 4] = 0
    for part in (rows, quiet):
        store_closed(part, source=Source.REST, now=NOW)
    assert load_panel([btc.pk, fx.pk], START + 3600, 60).taint.tolist() == [TaintFlag.SUSPECT, 0]


def test_a_window_as_it_was_known_then(btc: Instrument) -> None:
    rows = series(btc, 10)
    seen = rows.open_times + 61.0
    store_closed(rows, source=Source.STREAM, observed_at=seen, now=NOW)
    fixed = rows.ohlcv[4].copy()
    fixed[3] = fixed[1]
    for minute, close in ((8, fixed[3]), (9, fixed[3] - 1e-6)):
        fixed[3] = close
        change = CandleRows.series(btc.pk, rows.open_times[[4]], fixed[None])
        store_closed(change, source=Source.REST, observed_at=at(START + minute * 60), now=NOW)
    assert CandleRevision.objects.filter(instrument=btc).count() == 2
    for as_of, expected in (
        (START + 7.5 * 60, rows.ohlcv[4, 3]),
        (START + 8.5 * 60, fixed[1]),
        (START + 9.0 * 60, fixed[1] - 1e-6),
    ):
        panel = load_panel([btc.pk], START + 600, 10, as_of=at(as_of))
        assert panel.ohlcv[0, 4, 3] == expected
        known = int((seen <= as_of).sum())
        assert np.isfinite(panel.ohlcv[0, :known]).all()
        assert np.isnan(panel.ohlcv[0, known:]).all()
    assert np.array_equal(load_panel([btc.pk], START + 600, 10).ohlcv[0, 4], fixed)


@pytest.mark.parametrize(("until", "bars"), [(START + 30, 5), (START, 0)])
def test_impossible_windows_are_refused(btc: Instrument, until: int, bars: int) -> None:
    with pytest.raises(WindowError, match=str(until)):
        load_panel([btc.pk], until, bars)


def test_the_market_clock_is_the_default_now(btc: Instrument) -> None:
    clock.follow(lambda: at(START + 120))
    try:
        assert store_closed(series(btc, 3), source=Source.REPLAY).stored == 2
    finally:
        clock.release()
    assert Candle.objects.filter(observed_at=at(START + 120)).count() == 2
