"""The stacker's regression: the mean vote, what single voters add to it, and what single instruments add to that."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.logistic import fit_logistic, row_losses
from models_ml.targets import even_weights
from models_ml.validation.comparison import gains

CLIP = 5.0
"""Deviations beyond which a value of the context says no more."""
NOTHING = 1e6
"""A penalty that leaves nothing but the mean vote."""
RIDGES = (NOTHING, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
OWN_RIDGES = (np.inf, 1.0, 0.3, 0.1, 0.03)
"""Penalties tried for what all instruments share, and for what one adds of its own; infinite means nothing. A weaker
one is taken only where later hours gain by it, by more than the standard error of that gain over hours: the minutes of
many instruments move together, so a hundred thousand rows may be three days and know very little."""
DRIFT_RIDGE = 10.0
"""Of the constant: the drift of the days learned from is no forecast."""
BELIEF, BELIEF_ROWS = 0.5, 20_000.0
"""The share of the mean vote's log-odds that is believed beforehand, and the rows that this belief counts for."""
LEAST_BELIEF = 0.05
"""However wrong a few days were, the mean vote is not turned round."""
FOLDS = 3
CHOICE_ROWS = 60_000
"""Rows, evenly spaced in time, on which penalties are compared."""
LEAST_OWN = 500
"""Rows of an instrument from which on it may have a say of its own."""


@dataclass(frozen=True, slots=True)
class Columns:
    """How votes and context become columns of about unit size: mean vote, each voter, its silence, context, one."""

    vote_scale: FloatArray  # (S,) root mean square log-odds
    mean_scale: float
    centre: FloatArray  # (K,)
    spread: FloatArray  # (K,)

    @classmethod
    def learn(cls, odds: FloatArray, context: FloatArray) -> "Columns":
        """Scales from log-odds (N, S) and context (N, K); both may hold NaN."""
        known = np.isfinite(context)
        count = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, context, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, context - centre, 0.0) ** 2).sum(axis=0) / count)
        return cls(_size(odds), float(_size(_mean(odds)[:, None])[0]), centre, np.where(spread > 0, spread, 1.0))

    def of(self, odds: FloatArray, context: FloatArray) -> FloatArray:
        """(N, 2 S + K + 2), finite: a silent voter has log-odds 0 and says so, an unknown context is average."""
        silent = ~np.isfinite(odds)
        around = np.clip(np.nan_to_num((context - self.centre) / self.spread), -CLIP, CLIP)
        mean = _mean(odds)[:, None] / self.mean_scale
        ones = np.ones((len(odds), 1))
        return np.concatenate([mean, np.nan_to_num(odds) / self.vote_scale, silent, around, ones], axis=1)

    def ridge(self, strength: float, rows: int) -> FloatArray:
        """Penalties of the columns; the mean vote's is the curvature of `BELIEF_ROWS` more rows."""
        width = 2 * len(self.vote_scale) + len(self.centre)
        return np.concatenate([[0.25 * BELIEF_ROWS / rows], np.full(width, strength), [DRIFT_RIDGE]])


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights shared by all instruments (C,), and what single instruments add to them."""

    columns: Columns
    shared: FloatArray
    own: dict[int, FloatArray]
    strength: float
    own_strength: float

    @classmethod
    def choose(
        cls, columns: Columns, odds: FloatArray, context: FloatArray, market: IntArray, up: NDArray[np.bool_]
    ) -> "Linear":
        """Penalties by the loss on the blocks that follow what was learned from; rows must be in order of time."""
        blank = cls(columns, np.zeros(0), {}, RIDGES[0], np.inf)
        step = max(1, -(-len(up) // CHOICE_ROWS))
        rows = columns.of(odds[::step], context[::step])
        some, outcomes = market[::step], up[::step]
        best = _worth([replace(blank, strength=strength) for strength in RIDGES], rows, some, outcomes)
        best = _worth([replace(best, own_strength=strength) for strength in OWN_RIDGES], rows, some, outcomes)
        return best.again(odds, context, market, up)

    def again(self, odds: FloatArray, context: FloatArray, market: IntArray, up: NDArray[np.bool_]) -> "Linear":
        """The same scales and penalties, learned from these rows."""
        return self._learned(self.columns.of(odds, context), market, up)

    def __call__(self, odds: FloatArray, context: FloatArray, market: IntArray) -> FloatArray:
        """Log-odds (N,)."""
        return self._say(self.columns.of(odds, context), market)

    def seat_weights(self) -> list[float]:
        """What one unit of each voter's log-odds moves, its part in the mean vote included."""
        seats = len(self.columns.vote_scale)
        through_mean = self.shared[0] / self.columns.mean_scale / seats
        return [float(own + through_mean) for own in self.shared[1 : 1 + seats] / self.columns.vote_scale]

    def as_json(self) -> dict[str, Any]:
        """Plain figures."""
        return {
            "vote_scale": self.columns.vote_scale.tolist(),
            "mean_scale": self.columns.mean_scale,
            "centre": self.columns.centre.tolist(),
            "spread": self.columns.spread.tolist(),
            "shared": self.shared.tolist(),
            "own": {str(market): weights.tolist() for market, weights in self.own.items()},
            "strength": self.strength,
            "own_strength": None if np.isinf(self.own_strength) else self.own_strength,
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> "Linear":
        """What `as_json` wrote."""
        arrays = {
            name: np.array(facts[name], dtype=np.float64) for name in ("vote_scale", "centre", "spread", "shared")
        }
        columns = Columns(arrays["vote_scale"], float(facts["mean_scale"]), arrays["centre"], arrays["spread"])
        own = {int(market): np.array(weights, dtype=np.float64) for market, weights in facts["own"].items()}
        own_strength = np.inf if facts["own_strength"] is None else float(facts["own_strength"])
        return cls(columns, arrays["shared"], own, float(facts["strength"]), own_strength)

    def _learned(self, rows: FloatArray, market: IntArray, up: NDArray[np.bool_]) -> "Linear":
        even = even_weights(up)
        belief = BELIEF * self.columns.mean_scale
        offset = belief * rows[:, 0]
        shared = fit_logistic(rows, up, self.columns.ridge(self.strength, len(up)), offset=offset, weight=even)
        shared[0] = max(shared[0] + belief, LEAST_BELIEF * self.columns.mean_scale)
        base, own = rows @ shared, {}
        for one in np.unique(market) if np.isfinite(self.own_strength) else ():
            mine = market == one
            if mine.sum() >= LEAST_OWN:
                added = fit_logistic(rows[mine, :-1], up[mine], self.own_strength, offset=base[mine], weight=even[mine])
                own[int(one)] = np.append(added, 0.0)
        return replace(self, shared=shared, own=own)

    def _say(self, rows: FloatArray, market: IntArray) -> FloatArray:
        said = rows @ self.shared
        for one, weights in self.own.items():
            mine = market == one
            said[mine] += rows[mine] @ weights
        return np.asarray(said)

    def later_losses(self, rows: FloatArray, market: IntArray, up: NDArray[np.bool_]) -> FloatArray:
        """Loss of each later row on the fold before which it was learned, in order of time."""
        edges = np.linspace(0.4 * len(up), len(up), FOLDS + 1).astype(int)
        losses = []
        for start, stop in pairwise(edges):
            fitted = self._learned(rows[:start], market[:start], up[:start])
            losses.append(row_losses(fitted._say(rows[start:stop], market[start:stop]), up[start:stop]))
        return np.concatenate(losses)


def _worth(candidates: list[Linear], rows: FloatArray, market: IntArray, up: NDArray[np.bool_]) -> Linear:
    """The first candidate, or a later one that gains more on later rows than its standard error over blocks of time."""
    best, best_losses = candidates[0], candidates[0].later_losses(rows, market, up)
    for one in candidates[1:]:
        losses = one.later_losses(rows, market, up)
        if gains(best_losses - losses):
            best, best_losses = one, losses
    return best


def _mean(odds: FloatArray) -> FloatArray:
    """Mean log-odds (N,) of the voters that spoke, 0 where none did."""
    spoke = np.isfinite(odds).sum(axis=1)
    return np.asarray(np.nan_to_num(odds).sum(axis=1) / np.maximum(spoke, 1))


def _size(values: FloatArray) -> FloatArray:
    """Root mean square of the known values of each column; 1 for a column of zeros."""
    known = np.isfinite(values)
    size = np.sqrt((np.nan_to_num(values) ** 2).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    return np.where(size > 0, size, 1.0)
