"""Candles drawn through turning points, so that a test knows which shape is in them."""

from collections.abc import Sequence

import numpy as np

from markets.values import FloatArray, IntArray
from tests.models_ml.features.walks import minutes

LEG = 6
"""Candles from one turning point to the next."""
QUIET = 20
"""Calm candles before the first turning point, that say what a usual range is."""


def drawn(turns: Sequence[float], *, leg: int = LEG, quiet: int = QUIET) -> tuple[IntArray, FloatArray]:
    """Open times and candles (T, 5) whose closes run straight from turn to turn; each wick is 0.125 on both sides."""
    lines = [np.linspace(a, b, leg, endpoint=False) for a, b in zip(turns, [*turns[1:], turns[-1]], strict=True)]
    sway = turns[0] + np.tile([0.0, 0.25], quiet // 2)
    close = np.concatenate([sway, *lines[:-1], [turns[-1]]])
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) + 0.125, np.minimum(opened, close) - 0.125
    return minutes(len(close)), np.stack([opened, high, low, close, np.ones_like(close)], axis=1)


def turned(ohlcv: FloatArray, axis: float = 200.0) -> FloatArray:
    """The same market upside down; exact on prices that are sums of a few powers of two."""
    out = 2 * axis - ohlcv
    out[:, 1], out[:, 2], out[:, 4] = 2 * axis - ohlcv[:, 2], 2 * axis - ohlcv[:, 1], ohlcv[:, 4]
    return out
