"""How far features have moved from what a model learned from: population stability index per column. Pure.

PSI compares shares of ten equal-mass bins, Σ (a − e) · ln(a / e), with "unknown" as an eleventh bin. A day never looks
like three months: slow columns stay in one bin for hours. The usual rule of thumb (0.25) would therefore always ring,
so a slice also remembers how far its own days lie from the whole of it, and a later day counts as drifted only when it
lies `WORSE` times as far as the worst of them.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray

BINS = 10
RULE_OF_THUMB = 0.25
WORSE = 1.5
DAY_S = 86_400
LEAST_ROWS = 200
"""A day with fewer rows says nothing."""
FLOOR = 1e-3
"""An empty bin counts as this share, so that one lost bin is not infinitely far away."""

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FeatureSlice:
    """What a training slice looked like: `edges` (F, 9) deciles, `shares` (F, 11), `usual` the worst day's distance."""

    columns: tuple[str, ...]
    edges: FloatArray
    shares: FloatArray
    usual: float

    @classmethod
    def learn(cls, columns: tuple[str, ...], features: Features, times: IntArray) -> Self:
        """From rows (N, F) and their decision times (N,)."""
        edges = _deciles(features)
        shares = _shares(features, edges)
        days = [features[times // DAY_S == day] for day in np.unique(times // DAY_S)]
        distances = [_typical(_shares(day, edges), shares) for day in days if len(day) >= LEAST_ROWS]
        return cls(columns, edges, shares, max(distances, default=0.0))

    def distance(self, features: Features) -> float:
        """Median PSI over the columns of rows (N, F)."""
        return _typical(_shares(features, self.edges), self.shares)

    @property
    def limit(self) -> float:
        """The distance from which a day has drifted."""
        return max(RULE_OF_THUMB, WORSE * self.usual)

    def as_json(self) -> dict[str, Any]:
        """Plain figures, four significant digits."""
        return {
            "columns": self.columns,
            "edges": [[float(f"{value:.4g}") for value in row] for row in self.edges.tolist()],
            "shares": [[round(value, 4) for value in row] for row in self.shares.tolist()],
            "usual": self.usual,
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        """What `as_json` wrote."""
        return cls(tuple(facts["columns"]), np.array(facts["edges"]), np.array(facts["shares"]), float(facts["usual"]))


def _deciles(features: Features) -> FloatArray:
    """Inner edges (F, 9); zeros for a column that is never known."""
    levels = np.linspace(0, 1, BINS + 1)[1:-1]
    known = [column[np.isfinite(column)] for column in features.T.astype(np.float64)]
    return np.stack([np.quantile(column, levels) if len(column) else np.zeros(BINS - 1) for column in known])


def _shares(features: Features, edges: FloatArray) -> FloatArray:
    """Share of rows in each bin, unknown last, (F, 11), none under `FLOOR`."""
    rows = max(len(features), 1)
    counts = np.empty((len(edges), BINS + 1))
    for place, (column, cuts) in enumerate(zip(features.T.astype(np.float64), edges, strict=True)):
        known = column[np.isfinite(column)]
        counts[place, :BINS] = np.bincount(np.searchsorted(cuts, known, side="right"), minlength=BINS)
        counts[place, BINS] = len(column) - len(known)
    return np.maximum(counts / rows, FLOOR)


def _typical(actual: FloatArray, expected: FloatArray) -> float:
    return float(np.median(((actual - expected) * np.log(actual / expected)).sum(axis=1))) if len(actual) else 0.0
