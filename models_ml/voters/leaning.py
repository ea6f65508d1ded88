"""From an expected move to the chance of a rise."""

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray

USUAL = 2.9
"""Log-odds of a rise per σ of expected clipped move: a clipped normal move of mean m rises with 1/2 + m / 1.37."""
WEIGHT = 5.0
"""How many nats of evidence the usual slope counts for."""
LEAST, MOST = 0.3, 6.0
STEPS = 20


def slope_of(lean: FloatArray, rose: NDArray[np.bool_]) -> float:
    """Slope of the log-odds of a rise on the expected move (N,), by Newton's method, shrunk to `USUAL`.

    There is no intercept: an even market is called evenly.
    """
    slope = USUAL
    for _ in range(STEPS):
        p = chance(lean, slope)
        pull = ((rose - p) * lean).sum() - WEIGHT * (slope - USUAL)
        slope += pull / ((p * (1 - p) * lean * lean).sum() + WEIGHT)
    return float(np.clip(slope, LEAST, MOST))


def chance(lean: FloatArray, slope: float) -> FloatArray:
    """P(rise | moved), (N,)."""
    return np.asarray(1 / (1 + np.exp(-np.clip(slope * lean, -30, 30))))
