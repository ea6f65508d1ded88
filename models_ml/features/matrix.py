"""`build`: candles in, feature matrix out; the one function of training, replay and live."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lib.errors import CandorError
from markets.values import FloatArray, IntArray
from models_ml.features.registry import FEATURES, LOOKBACK
from models_ml.features.window import BASE_SECONDS, Feature, Window

TIERS = (20, 80, 300, 560, LOOKBACK)
"""Look-backs for which one window is cut; a feature runs in the shortest that holds its own."""

BLOCK = 1 << 18
"""Candles worked on at a time: with more, the series leave the processor's cache."""


class BadCandles(CandorError):
    """Candles that are no regular panel."""


def build(open_times: IntArray, ohlcv: FloatArray, rows: int | None = None) -> FloatArray:
    """Feature matrix of the last `rows` candles.

    Args:
        open_times: (T,) epoch seconds of candle open, strictly ascending whole minutes: the due minutes, a closed
            session left out, a missing candle left in.
        ohlcv: (I, T, 5) open, high, low, close, volume; a candle with a value that is not finite, a price that is not
            positive or a negative volume counts as missing. Not mutated.
        rows: rows wanted, from the end; None for all. Only their own look-back is computed.

    Returns:
        (I, rows, F) in the order of `COLUMNS`. Row t uses candles at or before t only. NaN where a candle of the
        feature's look-back is missing or was before the first, or where the formula has no answer; never infinite.

    Raises:
        BadCandles: shapes that do not fit, times off the grid, or more rows than candles.
    """
    _check(open_times, ohlcv, rows)
    instruments, steps = ohlcv.shape[:2]
    rows = steps if rows is None else rows
    out = np.full((instruments, rows, len(FEATURES)), np.nan)
    used = min(steps, LOOKBACK - 1 + rows)
    size = max(1, BLOCK // max(used, 1))
    # Unknown values arise as NaN and infinity on purpose and are masked at the end, once for all formulas.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        for first in range(0, instruments if rows else 0, size):
            part = slice(first, first + size)
            _fill(out[part], open_times[steps - used :], ohlcv[part, steps - used :], rows)
    return out


def _check(open_times: IntArray, ohlcv: FloatArray, rows: int | None) -> None:
    if ohlcv.ndim != 3 or ohlcv.shape[2] != 5:
        raise BadCandles(f"candles of shape {ohlcv.shape}: pass (instruments, minutes, 5)")
    if open_times.shape != (ohlcv.shape[1],):
        raise BadCandles(f"{open_times.shape} open times for {ohlcv.shape[1]} minutes: pass one for each")
    if np.any(open_times % BASE_SECONDS) or np.any(np.diff(open_times) <= 0):
        raise BadCandles("open times are not strictly ascending whole minutes: sort them and drop duplicates")
    if rows is not None and not 0 <= rows <= len(open_times):
        raise BadCandles(f"{rows} rows wanted of {len(open_times)} minutes: load more candles or ask for fewer rows")


def _fill(out: FloatArray, open_times: IntArray, ohlcv: FloatArray, rows: int) -> None:
    """Write the features of one block of instruments into `out` (I, rows, F)."""
    fields, missing = known_fields(ohlcv)
    masks = _Masks(missing, rows)
    columns = np.empty((len(FEATURES), *out.shape[:2]))
    for window, tier in _windows(open_times, fields, rows):
        for place, feature in tier:
            values = feature.of(window)[..., -rows:]
            np.copyto(columns[place], np.nan)
            np.copyto(columns[place], values, where=np.isfinite(values) & masks.whole(feature.lookback))
    out[...] = np.moveaxis(columns, 0, -1)


def known_fields(ohlcv: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Contiguous fields (5, I, T) with every missing candle NaN in all of them, and where they are missing (I, T)."""
    fields = np.array(np.moveaxis(ohlcv, -1, 0), dtype=np.float64, order="C")
    known = np.isfinite(fields).all(axis=0) & (fields[:4] > 0).all(axis=0) & (fields[4] >= 0)
    fields[:, ~known] = np.nan
    return fields, ~known


class _Masks:
    """For each look-back: the rows all of whose candles are there."""

    def __init__(self, missing: NDArray[np.bool_], rows: int) -> None:
        self.rows = rows
        self.before = np.zeros((missing.shape[0], missing.shape[1] + 1), dtype=np.int64)
        np.cumsum(missing, axis=1, out=self.before[:, 1:])
        self.cache: dict[int, NDArray[np.bool_]] = {}

    def whole(self, lookback: int) -> NDArray[np.bool_]:
        if lookback not in self.cache:
            steps = self.before.shape[1] - 1
            ends = np.arange(steps - self.rows, steps) + 1
            starts = np.maximum(ends - lookback, 0)
            gaps = self.before[:, ends] - self.before[:, starts]
            self.cache[lookback] = (gaps == 0) & (ends >= lookback)
        return self.cache[lookback]


def _windows(
    open_times: IntArray, fields: FloatArray, rows: int
) -> Iterator[tuple[Window, list[tuple[int, Feature]]]]:
    """Windows with the features to compute in each: short ones apart while that saves work."""
    tiers = TIERS if rows < LOOKBACK else TIERS[-1:]
    shorter = -1
    for longest in tiers:
        tier = [(n, f) for n, f in enumerate(FEATURES) if shorter < f.lookback <= longest]
        shorter = longest
        first = max(len(open_times) - (max(longest, 1) - 1 + rows), 0)
        yield Window(open_times[first:], fields[..., first:]), tier
