"""A candidate against the champion on the same minutes: who lost less, and how sure that is. Pure.

Losses are per decided minute over the three outcomes; neighbouring minutes and instruments share their luck, so the
interval of the mean gain is taken over blocks of `BLOCK_S`, all instruments together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.validation.metrics import Labels

BLOCK_S = 600
LEAST_BLOCKS = 12
"""Fewer blocks and there is no interval, so no test is won."""
LEAST_SKILL = 1e-6
"""What a candidate has to gain over the best constant: more than rounding. The database asks the same."""
STRETCHES = 48
"""Parts of a slice over which `gains` tells a mean and its standard error."""
Z95 = 1.959963984540054
OUTCOMES = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean losses on `n` decided minutes. `gain` is the champion's loss less the candidate's.

    `low` is the lower end of the gain's 95 % interval, None under `LEAST_BLOCKS` blocks. `skill` is the candidate's
    gain over the best constant forecast in hindsight, which no constant can beat.
    """

    n: int
    candidate: float | None
    champion: float | None
    gain: float | None
    low: float | None
    skill: float | None

    def wins(self, least_n: int, margin: float) -> bool:
        """Whether a test with this least n and margin is won."""
        if self.gain is None or self.low is None or self.skill is None:
            return False
        return self.n >= least_n and self.low >= margin and self.gain > 0 and self.skill > LEAST_SKILL


def compare(
    metric: str, candidate: FloatArray, champion: FloatArray | None, labels: Labels, times: IntArray
) -> Comparison:
    """Judge two sets of forecasts of the same minutes.

    Args:
        metric: `brier` or `log_loss`.
        candidate: (N, 3) P(down, neutral, up); a row of NaN is an abstention and scored as the base rate, so that
            nobody gains by keeping silent on hard minutes.
        champion: the same of the one in the chair; None where it cannot be read: then the base rate stands in.
        labels: (N,) 0 down, 1 tie, 2 up, −1 unknown: such rows are not counted.
        times: (N,) epoch seconds of the decisions.
    """
    use = labels >= 0
    labels, times = labels[use], times[use]
    if not len(labels):
        return Comparison(0, None, None, None, None, None)
    base = np.tile(np.bincount(labels, minlength=OUTCOMES) / len(labels), (len(labels), 1))
    loss = LOSSES[metric]
    ours = loss(_filled(candidate[use], base), labels)
    theirs = loss(base if champion is None else _filled(champion[use], base), labels)
    gains = theirs - ours
    return Comparison(
        n=len(labels),
        candidate=float(ours.mean()),
        champion=float(theirs.mean()),
        gain=float(gains.mean()),
        low=lower_bound(gains, times),
        skill=float((loss(base, labels) - ours).mean()),
    )


def lower_bound(values: FloatArray, times: IntArray) -> float | None:
    """Lower end of the 95 % interval of the mean of `values` (N,), blocks of minutes being drawn together."""
    _, place = np.unique(times // BLOCK_S, return_inverse=True)
    sums, counts = np.bincount(place, weights=values), np.bincount(place)
    blocks = len(counts)
    if blocks < LEAST_BLOCKS:
        return None
    mean = sums.sum() / counts.sum()
    spread = np.sqrt(((sums - mean * counts) ** 2).sum() * blocks / (blocks - 1)) / counts.sum()
    return float(mean - Z95 * spread)


def brier_rows(probabilities: FloatArray, labels: Labels) -> FloatArray:
    """Squared distance from what happened, (N,), 0 to 2 (G. W. Brier, Monthly Weather Review 1950)."""
    happened = np.eye(OUTCOMES)[labels.astype(np.int64)]
    return np.asarray(((probabilities - happened) ** 2).sum(axis=1))


def log_loss_rows(probabilities: FloatArray, labels: Labels) -> FloatArray:
    """−log p of what happened, (N,), nats."""
    picked = probabilities[np.arange(len(labels)), labels.astype(np.int64)]
    return np.asarray(-np.log(np.maximum(picked, 1e-12)))


LOSSES: dict[str, Callable[[FloatArray, Labels], FloatArray]] = {"brier": brier_rows, "log_loss": log_loss_rows}


def _filled(probabilities: FloatArray, base: FloatArray) -> FloatArray:
    spoke = np.asarray(np.isfinite(probabilities).all(axis=1))
    return np.where(spoke[:, None], probabilities, base)


def gains(differences: FloatArray, errors: float = 1.0) -> bool:
    """Whether the mean of rows (N,) in order of time is above so many standard errors, told over `STRETCHES` of them.

    The minutes of many instruments move together, so a hundred thousand rows may be three days and know very little.
    """
    parts = np.array([part.mean() for part in np.array_split(differences, STRETCHES) if len(part)])
    return bool(parts.mean() > errors * parts.std(ddof=1) / np.sqrt(len(parts))) if len(parts) > 1 else False
