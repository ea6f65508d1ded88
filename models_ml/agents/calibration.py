"""From a score to the probability that was true of such scores lately, with what is not known about it.

The map is the mean of a logistic line and an isotonic step function (Zadrozny and Elkan 2002) in bins of equal mass.
An edge of a percent or two is smaller than the noise of a bin, so the line carries most of it and the steps correct it
as far as the rows of a bin deserve. Isotonic bins were preferred to Venn–Abers predictors (Vovk and Petej 2014): the
pair p₀, p₁ of those says how much one more case would move the fit, and shrinks with 1/n; a tier needs to know how far
the share of a bin may lie from its truth, which shrinks with 1/√n. `lower` and `upper` are therefore Wilson's 95 %
interval for the pooled block.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.agents.logistic import fit_logistic, sigmoid
from models_ml.validation.metrics import wilson_bounds

BIN_ROWS, MOST_BINS = 100, 20
LINE_MINUTES = 2_000.0
"""Minutes that a bin must hold before its steps count as much as the line."""
PRIOR_MINUTES = 5_000.0
"""Minutes that the former slope and intercept count for. Evidence is counted in minutes, not in rows: the instruments
of a venue move together, and a day of thirteen of them is no fortnight."""
STEADY = 10.0
"""How much firmer the former intercept stands than the former slope: a week that rose is no forecast of the next."""
LEAST_SLOPE = 0.05
"""A bad stretch makes scores mean little; it does not make them all the same."""


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A rising map from log-odds to probability. Without knots it is the line alone and knows no bounds."""

    intercept: float = 0.0
    slope: float = 1.0
    knots: FloatArray = field(default_factory=lambda: np.empty(0))  # (B,) log-odds of the line, rising
    steps: FloatArray = field(default_factory=lambda: np.empty(0))  # (B,) isotonic share of rises
    rows: FloatArray = field(default_factory=lambda: np.empty(0))  # (B,) cases in the pooled block
    weight: float = 0.0  # of the steps against the line

    @classmethod
    def learn(
        cls,
        scores: FloatArray,
        up: NDArray[np.bool_],
        former: "Calibrator | None" = None,
        *,
        minutes: int | None = None,
    ) -> "Calibrator":
        """From log-odds (N,) and what happened in so many different minutes, one a row by default.

        Few minutes change little of `former`, the identity by default.
        """
        former, minutes = former or cls(), len(scores) if minutes is None else minutes
        if not len(scores):
            return former
        start = former.intercept + former.slope * scores
        spread = float(np.mean(scores**2))
        ridge = 0.25 * PRIOR_MINUTES * np.array([STEADY, spread]) / minutes + 1e-12
        added = fit_logistic(np.stack([np.ones(len(scores)), scores], axis=1), up, ridge, offset=start)
        intercept, slope = former.intercept + added[0], max(former.slope + added[1], LEAST_SLOPE)
        return cls(float(intercept), float(slope), *_steps(intercept + slope * scores, up, minutes))

    def __call__(self, scores: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Probability of a rise and its 95 % bounds, (N,) each; NaN where the score is; bounds 0 and 1 if unknown."""
        line = self.intercept + self.slope * scores
        if not len(self.knots):
            blind = np.isnan(scores)
            return sigmoid(line), np.where(blind, np.nan, 0.0), np.where(blind, np.nan, 1.0)
        steps = np.interp(line, self.knots, self.steps)
        probability = self.weight * steps + (1 - self.weight) * sigmoid(line)
        low, high = wilson_bounds(probability, np.interp(line, self.knots, self.rows))
        return probability, low, high

    def as_json(self) -> dict[str, Any]:
        """Plain figures."""
        return {
            "intercept": self.intercept,
            "slope": self.slope,
            "knots": self.knots.tolist(),
            "steps": self.steps.tolist(),
            "rows": self.rows.tolist(),
            "weight": self.weight,
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "Calibrator":
        """What `as_json` wrote."""
        knots, steps, rows = (np.array(facts[name], dtype=np.float64) for name in ("knots", "steps", "rows"))
        return cls(float(facts["intercept"]), float(facts["slope"]), knots, steps, rows, float(facts["weight"]))


def _steps(line: FloatArray, up: NDArray[np.bool_], minutes: int) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Knots, isotonic shares, rows of their pooled blocks, and the weight that bins of this size deserve."""
    bins = min(MOST_BINS, len(line) // BIN_ROWS)
    if bins < 2:
        return np.empty(0), np.empty(0), np.empty(0), 0.0
    parts = np.array_split(np.argsort(line, kind="stable"), bins)
    knots = np.array([line[part].mean() for part in parts])
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    shares, blocks = pooled(np.array([up[part].mean() for part in parts]), counts)
    mass = minutes / bins
    return knots, shares, blocks, mass / (mass + LINE_MINUTES)


def pooled(values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rising fit (B,) of `values` by pooling adjacent violators, and the weight of the block that each stands in."""
    blocks: list[tuple[float, float, int]] = []  # value, weight, bins
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (a, p, m), (b, q, n) = blocks[-2:]
            blocks[-2:] = [((a * p + b * q) / (p + q), p + q, m + n)]
    sizes = [size for _, _, size in blocks]
    return np.repeat([value for value, _, _ in blocks], sizes), np.repeat([mass for _, mass, _ in blocks], sizes)


def nonconformity(probability: FloatArray, up: NDArray[np.bool_]) -> FloatArray:
    """Quantiles 0, 1, … 100 % of 1 − p of what happened, (101,): what `abstention_band` reads."""
    return np.asarray(np.quantile(np.where(up, 1 - probability, probability), np.linspace(0, 1, 101)))


def abstention_band(quantiles: FloatArray, level: float) -> float:
    """Half-width around ½ in which both directions belong to the conformal set of coverage `level`.

    A label is in the set while its 1 − p is at most the `level` quantile of past nonconformities (Vovk, Gammerman and
    Shafer 2005); outside the band one label remains. 0 where the set never holds both.
    """
    return max(float(np.interp(level, np.linspace(0, 1, len(quantiles)), quantiles)) - 0.5, 0.0)
