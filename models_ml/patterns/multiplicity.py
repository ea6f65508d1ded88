"""The arithmetic of many trials: exact tails, and how many discoveries they leave."""

import numpy as np

from markets.values import FloatArray, IntArray


def at_least(hits: IntArray, n: IntArray, rate: FloatArray) -> FloatArray:
    """P(X ≥ hits) for X binomial(n, rate), exactly, (N,); 1 where nothing was tried."""
    from scipy.special import bdtrc  # a worker's library

    tail = np.where(hits <= 0, 1.0, bdtrc(np.maximum(hits - 1, 0), np.maximum(n, 1), rate))
    return np.where(n > 0, tail, 1.0)


def benjamini_hochberg(p: FloatArray, tried: int) -> FloatArray:
    """Adjusted values q (N,) of the p values (N,) among `tried` trials; those that are not listed count as p = 1.

    Rejecting q ≤ a keeps the expected share of false discoveries at a (Benjamini, Hochberg: JRSS B 57, 1995).

    Raises:
        ValueError: fewer trials than p values.
    """
    if tried < len(p):
        raise ValueError(f"{len(p)} p values of {tried} trials: count every candidate that was tried")
    order = np.argsort(p, kind="stable")
    raised = p[order] * tried / (1 + np.arange(len(p)))
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return q
