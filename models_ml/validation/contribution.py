"""What each voter adds to the others, and how much two of them err together. Pure.

Leave-one-out: a ridge regression on the log-odds of all votes, learned on the earlier half of the judged minutes and
scored on the later one, loses so much when a voter is taken away and the rest is learned anew. The copy of a voter has
its say already, so it adds nothing; a mean of votes would count it twice.
"""

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.logistic import fit_logistic, mean_loss
from models_ml.validation.metrics import error_correlation

RIDGE_ROWS = 200.0
"""Rows that the belief "this voter knows nothing" counts for."""
LEAST_ROWS = 400
"""Judged minutes under which nothing is said about contributions."""


def leave_one_out(odds: FloatArray, up: NDArray[np.bool_], times: IntArray) -> FloatArray | None:
    """Gain in log loss (nats) that each voter brings to the others, (V,); None under `LEAST_ROWS` rows.

    Args:
        odds: (N, V) log-odds of up against down; NaN where a voter was silent, which counts as no evidence.
        up: (N,) what happened; ties left out.
        times: (N,) epoch seconds of the decisions.
    """
    if len(up) < LEAST_ROWS:
        return None
    votes = np.where(np.isfinite(odds), odds, 0.0)
    early = times < np.median(times)
    if not early.any() or early.all():
        return None
    together = _later_loss(votes, up, early)
    voters = range(votes.shape[1])
    return np.array([_later_loss(np.delete(votes, one, axis=1), up, early) - together for one in voters])


def errors_together(odds: FloatArray, up: NDArray[np.bool_]) -> FloatArray:
    """Pairwise correlation of being wrong, (V, V), over rows where both spoke; NaN where it cannot be told."""
    wrong = np.where(np.isfinite(odds), (odds > 0) != up[:, None], np.nan)
    return error_correlation(wrong.T)


def _later_loss(votes: FloatArray, up: NDArray[np.bool_], early: NDArray[np.bool_]) -> float:
    columns = np.concatenate([np.ones((len(votes), 1)), votes], axis=1)
    rows = float(early.sum())
    ridge = 0.25 * RIDGE_ROWS / rows * np.maximum((columns[early] ** 2).mean(axis=0), 1e-9)
    weights = fit_logistic(columns[early], up[early], ridge)
    return mean_loss(columns[~early] @ weights, up[~early])
