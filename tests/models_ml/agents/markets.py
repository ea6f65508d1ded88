"""Markets of known volatility, made here."""

from functools import cache

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.agents.base import History

START = 1_700_006_400  # a UTC midnight


def candles(returns: FloatArray, seed: int = 0) -> FloatArray:
    """Candles (I, T, 5) of log returns (I, T): highs and lows reach beyond the body by up to half of it."""
    rng = np.random.default_rng(seed)
    close = np.log(100) + np.cumsum(returns, axis=1)
    opened = np.concatenate([close[:, :1] - returns[:, :1], close[:, :-1]], axis=1)
    size = np.abs(returns) + 1e-9
    high = np.maximum(opened, close) + size * rng.uniform(0, 0.5, size.shape)
    low = np.minimum(opened, close) - size * rng.uniform(0, 0.5, size.shape)
    volume = rng.lognormal(3, 0.3, size.shape) * size
    return np.stack([*np.exp([opened, high, low, close]), volume], axis=-1)


def times_of(minutes: int) -> IntArray:
    """Open times of consecutive minutes."""
    return START + 60 * np.arange(minutes, dtype=np.int64)


def day_shape(times: IntArray) -> FloatArray:
    """A true profile of variance: three times as much at noon as at midnight, mean 1."""
    return 1 - 0.5 * np.cos(2 * np.pi * (times % 86_400) / 86_400)


@cache
def market(instruments: int = 2, days: int = 12, seed: int = 0) -> History:
    """Persistent log variance, shared in part, times a profile: what a HAR forecast is made for."""
    rng = np.random.default_rng(seed)
    minutes = days * 1440
    slow = [walk(rng, minutes, 0.999, 0.02) for _ in range(instruments + 1)]
    level = np.stack([0.7 * slow[0] + 0.7 * own for own in slow[1:]])
    times = times_of(minutes)
    deviation = 5e-4 * np.exp(level / 2) * np.sqrt(day_shape(times))
    returns = deviation * rng.normal(size=deviation.shape)
    return History(times, candles(returns, seed), np.arange(instruments) + 7)


def walk(rng: np.random.Generator, steps: int, stays: float, shock: float) -> FloatArray:
    """An autoregression of first order from 0."""
    out, value = np.empty(steps), 0.0
    for step, push in enumerate((shock * rng.normal(size=steps)).tolist()):
        value = stays * value + push
        out[step] = value
    return out
