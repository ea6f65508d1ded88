"""A market with a motif that really says something, and the same market with its minutes shuffled."""

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.patterns.windows import codes
from tests.models_ml.features.walks import minutes
from tests.models_ml.worlds import candle_walk

LENGTH = 15
EVERY = 70
"""Minutes from one motif to the next, one on average."""


def planted(
    seed: int, *, instruments: int = 3, steps: int = 4000, strength: float = 0.95
) -> tuple[IntArray, FloatArray, int]:
    """Open times, candles (I, T, 5), and the commonest name (of `LENGTH` candles) that a motif ends with.

    A motif is a fall of five candles, a rise of five and a fall of five; the candle after it rises with `strength`, or
    else falls.
    """
    rng = np.random.default_rng(seed)
    times, drift = minutes(steps), np.zeros((instruments, steps))
    ends = []
    for instrument in range(instruments):
        for start in range(EVERY + 11 * instrument, steps - LENGTH - 1, EVERY):
            at = start + int(rng.integers(0, EVERY // 2))
            if at + LENGTH < steps:
                drift[instrument, at : at + LENGTH] = np.repeat([-3e-3, 3e-3, -3e-3], LENGTH // 3)
                drift[instrument, at + LENGTH] = 4e-3 if rng.random() < strength else -4e-3
                ends.append((instrument, at + LENGTH - 1))
    ohlcv = candle_walk(rng, instruments, steps, drift)
    ohlcv[..., 4] = 10.0
    ((_, names),) = codes(times, ohlcv, (LENGTH,))
    found = np.array([names[end] for end in ends])
    return times, ohlcv, int(np.bincount(found[found >= 0]).argmax())


def shuffled(rng: np.random.Generator, ohlcv: FloatArray) -> FloatArray:
    """The same candles of each instrument in another order, each opening where the one before closed."""
    out = np.empty_like(ohlcv)
    for place, candles in enumerate(ohlcv):
        order = rng.permutation(len(candles))
        shape = np.log(candles[order, :4] / candles[order, :1])
        start = np.concatenate([[0.0], np.cumsum(shape[:-1, 3])])
        out[place, :, :4] = 100 * np.exp(start[:, None] + shape)
        out[place, :, 4] = candles[order, 4]
    return out
