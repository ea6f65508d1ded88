"""Intervals by resampling whole days, the same days for every model, so that differences are paired.

A day enters a draw as often as it was drawn, so a mean needs only the sum of each day, and an area under the curve only
the share of (rise, fall) pairs ranked rightly between each two days: 2,000 draws cost a matrix product.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray

DAY_S = 86_400
DRAWS = 2000
RANKS = 8192
"""Scores are compared in that many equal-mass steps; pairs inside one count half: the area moves by < 1e-5."""

Bools = NDArray[np.bool_]
Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class DayDraws:
    """Which rows belong to which day, and how often each day stands in each draw."""

    place: IntArray  # (N,) number of the row's day
    counts: FloatArray  # (draws, days)

    @classmethod
    def of(cls, times: IntArray, *, draws: int = DRAWS, seed: int = 0) -> "DayDraws":
        """From decision instants (N,), epoch seconds UTC. Under two days nothing can be drawn: all draws are NaN."""
        days, place = np.unique(times // DAY_S, return_inverse=True)
        drawn = np.random.default_rng(seed).integers(0, max(len(days), 1), (draws, len(days)))
        counts = np.zeros((draws, len(days)))
        if len(days) > 1:
            np.add.at(counts, (np.arange(draws)[:, None], drawn), 1.0)
        return cls(place.astype(np.int64), counts)

    def means(self, values: FloatArray, use: Bools) -> FloatArray:
        """Mean of the used values in each draw, (draws,); NaN in a draw without any."""
        days = self.counts.shape[1]
        sums = np.bincount(self.place[use], weights=values[use], minlength=days)
        rows = np.bincount(self.place[use], minlength=days)
        return _ratio(self.counts @ sums, self.counts @ rows)

    def aucs(self, scores: FloatArray, up: Bools, use: Bools) -> FloatArray:
        """Area under the ROC curve in each draw, (draws,); NaN in a draw of one outcome."""
        right, pairs = self._pairs(scores[use], up[use], self.place[use])
        return _ratio(_double(self.counts, right), _double(self.counts, pairs))

    def _pairs(self, scores: FloatArray, up: Bools, place: IntArray) -> tuple[FloatArray, FloatArray]:
        """(rise, fall) pairs of each two days ranked rightly, ties half, and all of them, (days, days)."""
        days = self.counts.shape[1]
        ranks = _ranks(scores)
        width = int(ranks.max()) + 1 if len(ranks) else 1
        rises, falls = (
            np.bincount(place[some] * width + ranks[some], minlength=days * width).reshape(days, width).astype(float)
            for some in (up, ~up)
        )
        below = np.cumsum(falls, axis=1) - falls / 2
        return rises @ below.T, np.outer(rises.sum(axis=1), falls.sum(axis=1))


def interval(draws: FloatArray, share: float = 0.95) -> Interval:
    """The middle `share` of the draws; None where a draw has no answer or all are one day."""
    if not len(draws) or not np.isfinite(draws).all():
        return None
    low, high = np.quantile(draws, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def _ranks(scores: FloatArray) -> IntArray:
    """Rank of each score among the distinct ones, coarsened to `RANKS` steps of equal mass."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    if len(counts) <= RANKS:
        return place.astype(np.int64)
    steps = (np.cumsum(counts) - 1) * RANKS // len(scores)
    return np.asarray(steps[place], dtype=np.int64)


def _double(counts: FloatArray, table: FloatArray) -> FloatArray:
    return np.asarray(((counts @ table) * counts).sum(axis=1))


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    out = np.full(len(above), np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out
