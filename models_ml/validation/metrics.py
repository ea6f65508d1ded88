"""Figures of direction forecasts, always with n, base rate and interval; no number at n = 0.

The binary view of a vote is q = p_up / (p_up + p_down): a tie is its own outcome, so figures of q leave ties out and
accuracy is given both ways. Shapes: probabilities (N, 3), labels (N,) in {0 down, 1 tie, 2 up}, times (N,) epoch
seconds of the decision.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray

BINS = 15
DRAWS = 2000
DAY_S = 86_400
Z95 = 1.959963984540054

Labels = NDArray[np.int8]
Bools = NDArray[np.bool_]


def evaluate(
    probabilities: FloatArray, labels: Labels, times: IntArray, *, label_delay_s: int = 60, seed: int = 0
) -> dict[str, float | int | None]:
    """All figures of one voter on one slice; rows of NaN probabilities or unknown labels are not counted."""
    use = np.isfinite(probabilities).all(axis=1) & (labels >= 0)
    p, y, t = probabilities[use], labels[use], times[use]
    moved = y != 1
    q, up, when = rise_given_move(p[moved]), y[moved] == 2, t[moved]
    hits = (q > 0.5) == up
    low, high = day_bootstrap(hits.astype(np.float64), when, seed=seed)
    slope, intercept = reliability_line(q, up)
    return {
        "n": len(y),
        "ties": int((~moved).sum()),
        "answered": _mean(use),
        "up_share": _mean(up),
        "accuracy": _mean(hits),
        "accuracy_ties_lost": float(hits.sum() / len(y)) if len(y) else None,
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": balanced_accuracy(q > 0.5, up),
        "mcc": matthews(q > 0.5, up),
        "auc": auc(q, up),
        "log_loss": cross_entropy(p, y),
        "brier_skill": brier_skill(q, up, when, label_delay_s=label_delay_s),
        "ece": calibration_error(q, up),
        "ece_floor": calibration_floor(q),
        "reliability_slope": slope,
        "reliability_intercept": intercept,
        "aurc": area_under_risk_coverage(np.abs(q - 0.5), hits),
    }


def rise_given_move(probabilities: FloatArray) -> FloatArray:
    """The binary view, p_up / (p_up + p_down), (N,); one half where both are zero."""
    both = probabilities[:, 0] + probabilities[:, 2]
    out = np.full(len(both), 0.5)
    np.divide(probabilities[:, 2], both, out=out, where=both > 0)
    return out


def cross_entropy(probabilities: FloatArray, labels: Labels) -> float | None:
    """Mean −log p of what happened, nats over three outcomes."""
    if not len(labels):
        return None
    picked = probabilities[np.arange(len(labels)), labels.astype(np.int64)]
    return float(-np.log(np.maximum(picked, 1e-12)).mean())


def balanced_accuracy(said_up: Bools, up: Bools) -> float | None:
    """Mean of the two recalls; None while one side never happened."""
    if not up.any() or up.all():
        return None
    return float((said_up[up].mean() + (~said_up[~up]).mean()) / 2)


def matthews(said_up: Bools, up: Bools) -> float | None:
    """Matthews correlation; 0 where one side was never said, None where one never happened."""
    if not up.any() or up.all():
        return None
    if not said_up.any() or said_up.all():
        return 0.0
    return float(np.corrcoef(said_up, up)[0, 1])


def auc(scores: FloatArray, up: Bools) -> float | None:
    """Area under the ROC curve by ranks, ties at half."""
    rises = int(up.sum())
    falls = len(up) - rises
    if not rises or not falls:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[up].sum() - rises * (rises + 1) / 2) / (rises * falls))


def climatology(up: Bools, times: IntArray, *, label_delay_s: int = 60) -> FloatArray:
    """Share of rises among the outcomes known at each decision, (N,), with two pseudo-counts at one half."""
    order = np.argsort(times, kind="stable")
    rises = np.concatenate([[0.0], np.cumsum(up[order])])
    seen = np.searchsorted(times[order], times - label_delay_s, side="right")
    return (rises[seen] + 1.0) / (seen + 2.0)


def brier_skill(q: FloatArray, up: Bools, times: IntArray, *, label_delay_s: int = 60) -> float | None:
    """1 − Brier(q) / Brier(expanding climatology)."""
    if not len(q):
        return None
    reference = ((climatology(up, times, label_delay_s=label_delay_s) - up) ** 2).sum()
    return float(1 - ((q - up) ** 2).sum() / reference)


def calibration_error(q: FloatArray, up: Bools, bins: int = BINS) -> float | None:
    """Expected calibration error over equal-mass bins."""
    if len(q) < bins:
        return None
    parts = np.array_split(np.argsort(q, kind="stable"), bins)
    return float(sum(abs(q[part].mean() - up[part].mean()) * len(part) for part in parts) / len(q))


def calibration_floor(q: FloatArray, bins: int = BINS) -> float | None:
    """The error that a perfectly calibrated model with these forecasts would show: Σ share · √(2/π) · s.e. of a bin."""
    if len(q) < bins:
        return None
    parts = np.array_split(np.sort(q), bins)
    return float(
        sum(np.sqrt(2 / np.pi * (part * (1 - part)).mean() / len(part)) * len(part) for part in parts) / len(q)
    )


def reliability_line(q: FloatArray, up: Bools, bins: int = BINS) -> tuple[float | None, float | None]:
    """Slope and intercept of what happened against what was said, over equal-mass bins; 1 and 0 are perfect."""
    if len(q) < bins:
        return None, None
    parts = np.array_split(np.argsort(q, kind="stable"), bins)
    said = np.array([q[part].mean() for part in parts])
    came = np.array([up[part].mean() for part in parts])
    spread = ((said - said.mean()) ** 2).sum()
    if spread < 1e-12:
        return None, None
    slope = float(((said - said.mean()) * (came - came.mean())).sum() / spread)
    return slope, float(came.mean() - slope * said.mean())


def area_under_risk_coverage(confidence: FloatArray, hits: Bools) -> float | None:
    """Mean error rate over all coverages, the most confident first."""
    if not len(hits):
        return None
    misses = ~hits[np.argsort(-confidence, kind="stable")]
    return float((np.cumsum(misses) / np.arange(1, len(misses) + 1)).mean())


def threshold_for(confidence: FloatArray, coverage: float) -> float:
    """The confidence that a share `coverage` of the rows of the validation slice reaches; then it is frozen."""
    return float(np.quantile(confidence, 1 - coverage)) if len(confidence) else float("inf")


def accuracy_above(confidence: FloatArray, hits: Bools, threshold: float) -> tuple[float | None, float | None]:
    """Accuracy over the rows at or above a frozen threshold, and the coverage really reached."""
    sure = confidence >= threshold
    return _mean(hits[sure]), _mean(sure)


def day_bootstrap(
    values: FloatArray, times: IntArray, *, draws: int = DRAWS, seed: int = 0
) -> tuple[float | None, float | None]:
    """95 % interval of the mean of `values` by resampling whole UTC days; None under two days.

    For a paired comparison pass the difference of the two models' values.
    """
    days, place = np.unique(times // DAY_S, return_inverse=True)
    if len(days) < 2:
        return None, None
    sums = np.bincount(place, weights=values)
    counts = np.bincount(place)
    drawn = np.random.default_rng(seed).integers(0, len(days), (draws, len(days)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def wilson(won: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927); (0, 1) at n = 0: nothing is known."""
    if n <= 0:
        return 0.0, 1.0
    low, high = wilson_bounds(np.array([won / n]), np.array([float(n)]), z)
    return float(low[0]), float(high[0])


def wilson_bounds(share: FloatArray, n: FloatArray, z: float = Z95) -> tuple[FloatArray, FloatArray]:
    """Wilson's interval of many shares (N,) of n > 0 cases each; NaN where the share is."""
    centre = share + z * z / (2 * n)
    reach = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return np.maximum(0.0, (centre - reach) / scale), np.minimum(1.0, (centre + reach) / scale)


def error_correlation(wrong: NDArray[Any]) -> FloatArray:
    """Pairwise correlation of errors, (V, V), of `wrong` (V, N) 0/1 with NaN where a voter was silent.

    NaN where two voters share under two rows or one of them is never, or always, wrong there.
    """
    wrong = wrong.astype(np.float64)
    voters = len(wrong)
    out = np.full((voters, voters), np.nan)
    for first in range(voters):
        for second in range(first, voters):
            both = np.isfinite(wrong[first]) & np.isfinite(wrong[second])
            left, right = wrong[first, both], wrong[second, both]
            if len(left) > 1 and left.std() > 0 and right.std() > 0:
                out[first, second] = out[second, first] = np.corrcoef(left, right)[0, 1]
    return out


def _mean(values: Bools) -> float | None:
    return float(values.mean()) if len(values) else None
