"""The timeframes Candor speaks, and how one grows out of minutes."""

import numpy as np
from numpy.typing import NDArray

from lib.errors import CandorError

TIMEFRAMES: dict[str, int] = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1440}
"""Timeframe → minutes. Only `1m` is stored; the others are aggregated from it."""


class UnknownTimeframe(CandorError):
    """A timeframe outside `TIMEFRAMES`."""


def minutes_of(timeframe: str) -> int:
    """Minutes in `timeframe`; raises `UnknownTimeframe` with the choices."""
    try:
        return TIMEFRAMES[timeframe]
    except KeyError:
        raise UnknownTimeframe(f"unknown timeframe {timeframe!r}: use one of {', '.join(TIMEFRAMES)}") from None


def aggregate(
    open_times: NDArray[np.int64], ohlcv: NDArray[np.float64], minutes: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Fold 1-minute candles into aligned candles of `minutes`.

    Args:
        open_times: (T,) epoch seconds, ascending.
        ohlcv: (..., T, 5), NaN where a minute is missing.

    Returns:
        Open times (B,) and candles (..., B, 5). A bucket's open is its first known open, its close its last known
        close; a bucket without a single known minute is NaN. The last bucket may still be forming: whoever needs
        closed candles only compares its end with the last minute.
    """
    if minutes == 1 or not len(open_times):
        return open_times, ohlcv
    buckets = open_times // (minutes * 60)
    starts = np.flatnonzero(np.r_[True, np.diff(buckets) > 0])
    out = np.empty((*ohlcv.shape[:-2], len(starts), 5))
    known = np.isfinite(ohlcv[..., 3])
    order = np.arange(len(open_times))
    first = np.minimum.reduceat(np.where(known, order, len(order)), starts, axis=-1)
    last = np.maximum.reduceat(np.where(known, order, -1), starts, axis=-1)
    empty = last < 0
    out[..., 0] = np.take_along_axis(ohlcv[..., 0], np.where(empty, 0, first), -1)
    out[..., 3] = np.take_along_axis(ohlcv[..., 3], np.maximum(last, 0), -1)
    out[..., 1] = np.fmax.reduceat(ohlcv[..., 1], starts, axis=-1)
    out[..., 2] = np.fmin.reduceat(ohlcv[..., 2], starts, axis=-1)
    out[..., 4] = np.add.reduceat(np.nan_to_num(ohlcv[..., 4]), starts, axis=-1)
    out[empty] = np.nan
    return buckets[starts] * minutes * 60, out
