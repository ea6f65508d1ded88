"""Regularised logistic regression by Newton's method: a page of numpy instead of a library at every decision."""

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray

STEPS = 25
ENOUGH = 1e-9
"""Change of the mean loss under which a fit is done."""


def sigmoid(log_odds: FloatArray) -> FloatArray:
    """Probability of log-odds, without overflow."""
    half = np.tanh(np.clip(log_odds, -700.0, 700.0) / 2)
    return np.asarray((1 + half) / 2)


def logit(probability: FloatArray, edge: float = 1e-6) -> FloatArray:
    """Log-odds of probabilities, those at 0 and 1 taken as `edge` from it."""
    inside = np.clip(probability, edge, 1 - edge)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def mean_loss(log_odds: FloatArray, up: NDArray[np.bool_], weight: FloatArray | None = None) -> float:
    """Mean −log p of what happened, nats."""
    return float(np.average(row_losses(log_odds, up), weights=weight))


def row_losses(log_odds: FloatArray, up: NDArray[np.bool_]) -> FloatArray:
    """−log p of what happened in each row (N,), nats."""
    return np.asarray(np.logaddexp(0.0, np.where(up, -log_odds, log_odds)))


def fit_logistic(
    columns: FloatArray,
    up: NDArray[np.bool_],
    ridge: FloatArray | float,
    *,
    offset: FloatArray | None = None,
    weight: FloatArray | None = None,
) -> FloatArray:
    """Weights (C,) that minimise mean loss(offset + columns · w) + ½ Σ ridge · w².

    Args:
        columns: (N, C), finite; N ≥ 1.
        up: (N,) outcomes.
        ridge: penalty of each column (C,), or one for all; more than zero keeps a copied or constant column harmless.
        offset: (N,) log-odds known beforehand: the weights then say what is to be added to them.
        weight: (N,) of each row, default equal.
    """
    rows, width = columns.shape
    penalty = np.broadcast_to(np.asarray(ridge, dtype=np.float64), (width,))
    base = np.zeros(rows) if offset is None else offset
    share = np.full(rows, 1 / rows) if weight is None else weight / weight.sum()
    found, before = np.zeros(width), np.inf
    for _ in range(STEPS):
        log_odds = base + columns @ found
        loss = mean_loss(log_odds, up, share) + 0.5 * float(penalty @ found**2)
        if before - loss < ENOUGH:
            break
        before = loss
        said = sigmoid(log_odds)
        slope = columns.T @ (share * (said - up)) + penalty * found
        bend = share * np.maximum(said * (1 - said), 1e-6)
        curve = (columns * bend[:, None]).T @ columns + np.diag(penalty + 1e-12)
        found = found - np.linalg.solve(curve, slope)
    return np.asarray(found)
