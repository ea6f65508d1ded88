"""How far prices move just now, against their own last day."""

from dataclasses import dataclass

import numpy as np

from markets.values import FloatArray
from models_ml.features import atr

HOUR, DAY = 60, 1440


@dataclass(frozen=True, slots=True)
class Volatility:
    """Context of I instruments, each array (I,), NaN where the window does not say.

    `sigma` is the standard deviation of 1-minute log returns over the last hour, `percentile` its rank among the
    hourly values of the last day, `range_atr` the last candle's high − low in ATRs.
    """

    atr: FloatArray
    sigma: FloatArray
    percentile: FloatArray
    range_atr: FloatArray


def volatility(ohlcv: FloatArray) -> Volatility:
    """Volatility of the window (I, T, 5) at its last row."""
    true_range = atr(ohlcv)[:, -1]
    last = ohlcv[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.diff(np.log(ohlcv[:, -DAY - 1 :, 3]), axis=1)
        span = (last[:, 1] - last[:, 2]) / true_range
    sigma = _rolling_sigma(returns)
    now = sigma[:, -1]
    known = np.isfinite(sigma)
    rank = (known & (sigma <= now[:, None])).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return Volatility(true_range, now, np.where(np.isfinite(now), rank, np.nan), np.where(true_range > 0, span, np.nan))


def _rolling_sigma(returns: FloatArray) -> FloatArray:
    """Standard deviation over each hour, stepped by five minutes so that a day costs 288 windows; (I, W)."""
    if returns.shape[1] < HOUR:
        return np.full((len(returns), 1), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(returns, HOUR, axis=1)
    return np.asarray(windows[:, (windows.shape[1] - 1) % 5 :: 5].std(axis=-1))
