"""Higher timeframes: their own candles, complete ones only, on the clock's grid."""

import numpy as np
import pytest

from markets.values import FloatArray, IntArray
from models_ml.features import COLUMNS, LOOKBACK, build
from models_ml.features.multi_timeframe import CONTEXT, TIMEFRAMES
from tests.models_ml.features.walks import MONDAY, minutes, walk


def folded(times: IntArray, candles: FloatArray, length: int, row: int) -> FloatArray:
    """Complete candles of `length` minutes (I, B, 5) at the close of `row`, folded in plain Python."""
    end = int(times[row]) + 60
    starts = sorted({int(t) // (length * 60) * length * 60 for t in times[: row + 1]})
    bars = []
    for start in starts:
        inside = (times >= start) & (times < start + length * 60)
        if start + length * 60 <= end and inside.any():
            part = candles[:, inside]
            extremes = [part[:, 0, 0], part[:, :, 1].max(1), part[:, :, 2].min(1), part[:, -1, 3], part[:, :, 4].sum(1)]
            bars.append(np.stack(extremes, axis=-1))
    return np.stack(bars, axis=1)


@pytest.fixture(scope="module")
def market() -> tuple[IntArray, FloatArray]:
    return minutes(LOOKBACK + 130), walk(2, LOOKBACK + 130, seed=11)


@pytest.mark.parametrize(("label", "length"), TIMEFRAMES.items())
def test_context_by_independent_folding(market: tuple[IntArray, FloatArray], label: str, length: int) -> None:
    times, candles = market
    built = build(times, candles)
    for row in range(LOOKBACK, len(times), 7):
        bars = folded(times, candles, length, row)
        close = bars[..., 3]
        path = np.abs(np.diff(close[:, -11:])).sum(1)
        expected = {
            "efficiency_10": (close[:, -1] - close[:, -11]) / path,
            "body_share": (close - bars[..., 0])[:, -1] / (bars[..., 1] - bars[..., 2])[:, -1],
            "relative_volume_20": np.log1p(bars[:, -1, 4] / bars[:, -20:, 4].mean(1)),
            "deviation_20": np.sqrt(np.mean(np.diff(np.log(close[:, -21:])) ** 2, axis=1)) * 1e4,
        }
        for name, values in expected.items():
            column = COLUMNS.index(f"{name}_{label}")
            np.testing.assert_allclose(built[:, row, column], values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize(("label", "length"), TIMEFRAMES.items())
def test_value_stands_still_until_the_next_bar_is_complete(
    market: tuple[IntArray, FloatArray], label: str, length: int
) -> None:
    times, candles = market
    built = build(times, candles)[:, LOOKBACK:, COLUMNS.index(f"deviation_20_{label}")]
    moved = np.any(np.diff(built, axis=1) != 0, axis=0)
    closes = (times[LOOKBACK + 1 :] + 60) % (length * 60) == 0
    np.testing.assert_array_equal(moved, closes)


@pytest.mark.parametrize(("label", "length"), TIMEFRAMES.items())
def test_forming_bar_never_enters(market: tuple[IntArray, FloatArray], label: str, length: int) -> None:
    times, candles = market
    row = int(np.flatnonzero((times + 60) % 3600 == 0)[-1]) + length - 1  # one minute before the bar is complete
    columns = [n for n, name in enumerate(COLUMNS) if name.endswith(f"_{label}") and "likeness" not in name]
    other = candles.copy()
    other[:, row - length + 2 : row + 1] *= 1.5
    left = build(times[: row + 1], candles[:, : row + 1], 1)[..., columns]
    right = build(times[: row + 1], other[:, : row + 1], 1)[..., columns]
    np.testing.assert_array_equal(left, right)


def test_closed_session_leaves_bars_of_due_minutes_only() -> None:
    """A weekend is not on the time axis: bars before and after it are neighbours, and none is made up."""
    before = minutes(LOOKBACK, MONDAY + 5 * 86400 - 60 * LOOKBACK)
    after = minutes(200, MONDAY + 7 * 86400)
    times = np.concatenate([before, after])
    candles = walk(1, len(times), seed=12)
    built = build(times, candles)[0]
    assert not np.isnan(built[LOOKBACK - 1 :]).any()
    bars = folded(times, candles, 60, len(times) - 1)
    close = bars[0, :, 3]
    expected = (close[-1] - close[-11]) / np.abs(np.diff(close[-11:])).sum()
    assert built[-1, COLUMNS.index("efficiency_10_1h")] == pytest.approx(expected)


def test_every_context_feature_has_every_timeframe() -> None:
    assert {f"{feature.name}_{label}" for feature in CONTEXT for label in TIMEFRAMES} <= set(COLUMNS)
