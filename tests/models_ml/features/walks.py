"""Candles for the tests of features: random walks on a tick grid, with ties, flats and gaps where asked for."""

import numpy as np

from markets.values import FloatArray, IntArray

MONDAY = 1_746_403_200
"""2025-05-05 00:00 UTC, a Monday, epoch seconds."""


def minutes(steps: int, start: int = MONDAY + 7 * 60) -> IntArray:
    """Regular open times; by default they begin off every higher grid."""
    return start + 60 * np.arange(steps, dtype=np.int64)


def walk(instruments: int, steps: int, seed: int = 1, tick: float = 0.01) -> FloatArray:
    """Random candles (I, T, 5) around 100 whose prices lie on a grid, so that ties and flat candles occur."""
    rng = np.random.default_rng(seed)
    shape = (instruments, steps)
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, shape) * 3e-4, axis=1))
    first = np.concatenate([np.full((instruments, 1), 100.0), close[:, :-1]], axis=1)
    first *= np.exp(rng.normal(0, 5e-5, shape))
    high = np.maximum(first, close) * np.exp(np.abs(rng.normal(0, 1e-4, shape)))
    low = np.minimum(first, close) * np.exp(-np.abs(rng.normal(0, 1e-4, shape)))
    prices = np.round(np.stack([first, high, low, close], axis=-1) / tick) * tick
    return np.concatenate([prices, rng.gamma(2, 5, shape)[..., None]], axis=-1)


def flat(instruments: int, steps: int, price: float = 100.1, volume: float = 3.3) -> FloatArray:
    """A market that does not move."""
    return np.broadcast_to(np.array([price] * 4 + [volume]), (instruments, steps, 5)).copy()
