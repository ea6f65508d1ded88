"""The window in memory equals the store, whatever happened in between."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from markets.candles import Source, load_panel, store_closed
from markets.models import Candle, CandleRevision, Instrument
from markets.validation import CandleRows
from markets.values import Panel, TaintFlag
from markets.window import LiveWindow
from tests.markets.worlds import START, at, make_instrument, series

pytestmark = pytest.mark.django_db
NOW = at(START + 86_400)


@pytest.fixture
def pair() -> list[Instrument]:
    return [make_instrument("ETH/USDT"), make_instrument("BTC/USDT")]


def same(one: Panel, other: Panel) -> None:
    assert np.array_equal(one.open_times, other.open_times)
    assert np.array_equal(one.ohlcv, other.ohlcv, equal_nan=True)
    assert np.array_equal(one.observed_at, other.observed_at, equal_nan=True)
    assert np.array_equal(one.taint, other.taint)


def test_minutes_are_appended_without_a_reload(pair: list[Instrument]) -> None:
    ids = [row.pk for row in pair]
    both = [series(row, 60, seed=seed) for seed, row in enumerate(pair)]
    for rows in both:
        store_closed(rows.pick(np.arange(40)), source=Source.REST, now=NOW)
    window = LiveWindow(ids, 30)
    for minute in range(40, 60):
        for rows in both:
            store_closed(rows.pick(np.array([minute])), source=Source.STREAM, now=NOW)
        same(window.panel(START + 60 * minute + 60), load_panel(ids, START + 60 * minute + 60, 30))
    assert window.reloads == 1


def test_its_arrays_are_the_callers_own(pair: list[Instrument]) -> None:
    store_closed(series(pair[0], 10), source=Source.REST, now=NOW)
    window = LiveWindow([pair[0].pk], 10)
    window.panel(START + 600).ohlcv[:] = 0
    same(window.panel(START + 600), load_panel([pair[0].pk], START + 600, 10))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_gaps_late_candles_corrections_and_jumps_are_seen(pair: list[Instrument], data: st.DataObject) -> None:
    Candle.objects.all().delete()
    ids = [row.pk for row in pair]
    window = LiveWindow(ids, data.draw(st.integers(1, 25)))
    rows = [series(row, 40, seed=seed) for seed, row in enumerate(pair)]
    bars, minute = window._bars, 10
    for _ in range(data.draw(st.integers(1, 12))):
        for part in rows:
            chosen = np.array(sorted(data.draw(st.sets(st.integers(0, 39), max_size=12))), np.int64)
            some = part.pick(chosen)
            moved = some.ohlcv.copy()
            moved[:, 4] += data.draw(st.sampled_from([0.0, 0.0, 1.0]))
            flags = some.flags | data.draw(st.sampled_from([0, int(TaintFlag.REPAIRED)]))
            store_closed(
                CandleRows(some.instrument_ids, some.open_times, moved, some.closed, flags), source=Source.REST, now=NOW
            )
        minute += data.draw(st.sampled_from([0, 1, 1, 2, 7, -3]))
        until = START + 60 * max(minute, 1)
        same(window.panel(until), load_panel(ids, until, bars))


def test_a_correction_reloads(pair: list[Instrument]) -> None:
    rows = series(pair[0], 10)
    store_closed(rows, source=Source.REST, now=NOW)
    window = LiveWindow([pair[0].pk], 10)
    window.panel(START + 600)
    rows.ohlcv[2, 4] += 1
    store_closed(rows, source=Source.REST, now=NOW)
    assert CandleRevision.objects.count() == 1
    same(window.panel(START + 600), load_panel([pair[0].pk], START + 600, 10))
    assert window.reloads == 2
