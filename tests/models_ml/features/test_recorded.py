"""Recorded markets: two weeks of BTCUSDT without a gap, and EURUSD with weekends, holes and no volume."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from markets.values import FloatArray, IntArray
from models_ml.features import COLUMNS, FEATURE_GROUPS, FEATURES, LOOKBACK, build, patterns

FIELDS = ("open", "high", "low", "close", "volume")
ROWS = 20_000


def recorded(path: Path, first: int = 0) -> tuple[IntArray, FloatArray]:
    """Open times and candles (1, T, 5) of a recording, as they lie in the file."""
    table = pq.read_table(path).slice(first, ROWS)
    times = table["ts"].cast(pa.timestamp("s", "UTC")).cast("int64").to_numpy()
    return times, np.stack([table[field].to_numpy() for field in FIELDS], axis=-1)[None]


def due(times: IntArray, candles: FloatArray, session: int = 3600) -> tuple[IntArray, FloatArray]:
    """The same on its due minutes: short holes are missing candles, breaks longer than `session` are not due."""
    grid = np.arange(times[0], times[-1] + 60, 60)
    nearest = np.searchsorted(times, grid)
    inside = times[nearest] - times[np.maximum(nearest - 1, 0)] <= session
    grid = grid[inside | (times[nearest] == grid)]
    out = np.full((1, len(grid), 5), np.nan)
    out[:, np.isin(grid, times)] = candles
    return grid, out


@pytest.fixture(scope="module")
def bitcoin(candor_data: Path) -> tuple[IntArray, FloatArray]:
    return recorded(candor_data / "crypto_1m" / "binance_usdm_BTCUSDT_2025.parquet")


@pytest.fixture(scope="module")
def euro(candor_data: Path) -> tuple[IntArray, FloatArray]:
    return due(*recorded(candor_data / "fx_1m" / "histdata_EURUSD.parquet", first=40_000))


def test_bitcoin_is_known_on_every_row_and_in_every_column(bitcoin: tuple[IntArray, FloatArray]) -> None:
    built = build(*bitcoin)
    assert not np.isnan(built[:, LOOKBACK - 1 :]).any()
    assert not np.isinf(built).any()


def test_columns_are_of_modest_size(bitcoin: tuple[IntArray, FloatArray]) -> None:
    """A price level would stand out by orders of magnitude; basis points and z-scores do not."""
    built = build(*bitcoin)[0, LOOKBACK:]
    large = {COLUMNS[n]: float(size) for n, size in enumerate(np.abs(built).max(axis=0)) if size > 100}
    levels = ("deviation", "band_width", "keltner_width", "rate_of_change")  # in basis points of the price
    assert all(name.startswith(levels) for name in large), large


def test_no_column_is_constant(bitcoin: tuple[IntArray, FloatArray]) -> None:
    spread = build(*bitcoin)[0, LOOKBACK:].std(axis=0)
    assert [COLUMNS[n] for n in np.flatnonzero(spread == 0)] == []


def test_live_rows_equal_history(bitcoin: tuple[IntArray, FloatArray]) -> None:
    times, candles = bitcoin
    built = build(times, candles)
    for row in range(LOOKBACK, len(times), 997):
        seen = slice(row + 1 - LOOKBACK, row + 1)
        np.testing.assert_array_equal(build(times[seen], candles[:, seen], 1)[:, 0], built[:, row])


def test_every_pattern_occurs_and_none_is_common(bitcoin: tuple[IntArray, FloatArray]) -> None:
    built = build(*bitcoin)[0, LOOKBACK:]
    for n, name in enumerate(COLUMNS):
        if name.startswith("pattern_"):
            assert {-1, 0, 1} == set(np.unique(built[:, n])), name
            assert np.mean(built[:, n] != 0) < 0.25, name
    assert {-1, 0, 1} == set(np.unique(patterns(bitcoin[1])))


def test_euro_without_volume_is_known_but_for_volume(euro: tuple[IntArray, FloatArray]) -> None:
    times, candles = euro
    assert (np.diff(times) > 86_400).sum() >= 1, "no weekend in the sample"
    assert (np.nansum(candles[..., 4])) == 0
    built = build(times, candles)[0]
    assert not np.isinf(built).any()
    volume = {feature.name for feature in FEATURE_GROUPS["volume"]}
    missing = np.isnan(candles[0, :, 3])
    for n, feature in enumerate(FEATURES):
        known = ~np.isnan(built[:, n])
        if feature.name in volume or feature.name.startswith("relative_volume"):
            assert not known.any(), feature.name
            continue
        if feature.parts:
            parts = [COLUMNS.index(part) for part in feature.parts]
            np.testing.assert_array_equal(known, ~np.isnan(built[:, parts]).any(axis=1), err_msg=feature.name)
            continue
        length = feature.lookback
        if feature.holes:
            share = np.convolve(missing, np.ones(length), "full")[: len(missing)] / length
            assert not known[share > feature.holes].any(), feature.name
            assert not known[: length - 1].any(), feature.name
            continue
        holes = np.convolve(missing, np.ones(length), "full")[: len(missing)] > 0 if length else np.zeros_like(missing)
        holes[: max(length - 1, 0)] = True
        np.testing.assert_array_equal(known, ~holes, err_msg=feature.name)


def test_overwritten_future_changes_no_recorded_row(bitcoin: tuple[IntArray, FloatArray]) -> None:
    times, candles = bitcoin
    t = 9_000
    noisy = candles.copy()
    noisy[:, t + 1 :] *= np.random.default_rng(1).uniform(0.9, 1.1, noisy[:, t + 1 :].shape)
    np.testing.assert_array_equal(build(times, noisy)[:, : t + 1], build(times, candles)[:, : t + 1])
