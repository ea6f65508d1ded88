"""Figures of book forecasts: each with n and interval, and the paired difference of two models on the same rows.

One test day is one draw for a bootstrap of days. The intervals resample blocks of five minutes within the day instead,
all instruments of a block together, so that what moves them at once stays together; they say nothing about other days.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.validation.metrics import accuracy_above, auc, calibration_error, calibration_floor

BLOCK_S = 300
DRAWS = 2000
LEAST = 15
"""Moved rows under which a cell stays empty."""
COVERAGES = {"20": 0.2, "5": 0.05}

Bools = NDArray[np.bool_]
Figures = dict[str, float | int | list[float] | None]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Which block each row lies in (N,), and how often each block is in each draw (draws, blocks)."""

    place: IntArray
    counts: FloatArray

    @classmethod
    def of(cls, times: FloatArray, *, draws: int = DRAWS, seed: int = 0) -> "Blocks":
        """Blocks of the clock with replacement, as many as there are."""
        found, place = np.unique(times // BLOCK_S, return_inverse=True)
        even = np.full(len(found), 1 / len(found))
        return cls(place, np.random.default_rng(seed).multinomial(len(found), even, draws).astype(np.float64))

    def pick(self, rows: Bools) -> "Blocks":
        """The same draws over fewer rows."""
        return Blocks(self.place[rows], self.counts)

    def mean(self, values: FloatArray) -> FloatArray:
        """Mean of the values (N,) in every draw."""
        blocks = self.counts.shape[1]
        sums, rows = np.bincount(self.place, values, blocks), np.bincount(self.place, minlength=blocks)
        means: FloatArray = self.counts @ sums / np.maximum(self.counts @ rows, 1e-12)
        return means

    def auc(self, score: FloatArray, up: Bools) -> FloatArray:
        """Area under the ROC curve in every draw, ties at half.

        The area of a draw is a quadratic form of its block counts, so the pairs of blocks are counted once for all.
        """
        blocks = self.counts.shape[1]
        wins, falls = np.zeros((blocks, blocks)), np.zeros(blocks)
        rises, where = score[up], self.place[up]
        for block in range(blocks):
            below = np.sort(score[~up & (self.place == block)])
            over = np.searchsorted(below, rises, side="left") + np.searchsorted(below, rises, side="right")
            wins[:, block] = np.bincount(where, over / 2, blocks)
            falls[block] = len(below)
        pairs = (self.counts @ np.bincount(where, minlength=blocks)) * (self.counts @ falls)
        won: FloatArray = (self.counts @ wins * self.counts).sum(axis=1)
        out: FloatArray = np.full(len(won), np.nan)
        np.divide(won, pairs, out=out, where=pairs > 0)
        return out


@dataclass(frozen=True)
class Cell:
    """One model on one horizon: scores (seeds, N) in log-odds of up, outcomes (N,), blocks, thresholds per seed."""

    scores: FloatArray
    labels: NDArray[np.int8]
    blocks: Blocks
    thresholds: tuple[dict[str, float], ...] = ()

    @cached_property
    def moved(self) -> Bools:
        """Rows that ended higher or lower."""
        return np.asarray((self.labels == 0) | (self.labels == 2))

    @cached_property
    def up(self) -> Bools:
        """Which of the moved rows ended higher."""
        return np.asarray(self.labels[self.moved] == 2)

    @cached_property
    def empty(self) -> bool:
        """Too few rows, or one side only."""
        return len(self.up) < LEAST or bool(self.up.all()) or not self.up.any()

    @cached_property
    def areas(self) -> FloatArray:
        """Area of every draw, mean over the seeds."""
        blocks = self.blocks.pick(self.moved)
        mean: FloatArray = np.mean([blocks.auc(score[self.moved], self.up) for score in self.scores], axis=0)
        return mean

    @cached_property
    def area(self) -> FloatArray:
        """Area of every seed."""
        return np.array([auc(score[self.moved], self.up) for score in self.scores], dtype=np.float64)

    @cached_property
    def losses(self) -> FloatArray:
        """Log loss of the moved rows in nats, mean over the seeds (n,)."""
        said = self.scores[:, self.moved]
        mean: FloatArray = np.logaddexp(0, np.where(self.up, -said, said)).mean(axis=0)
        return mean

    def figures(self) -> Figures:
        """All figures, mean over the seeds; ties are left out but of `n`, `ties` and `acc_ties_lost`."""
        known = int((self.labels >= 0).sum())
        out: Figures = {"n": known, "ties": known - len(self.up)}
        if self.empty:
            return out
        said = self.scores[:, self.moved]
        hits = (said > 0) == self.up
        rises = 1 / (1 + np.exp(-said))
        low, high = interval(self.areas)
        return out | {
            "up_share": float(self.up.mean()),
            "acc": float(hits.mean()),
            "acc_ties_lost": float(hits.sum(axis=1).mean() / known),
            "auc": float(self.area.mean()),
            "auc_sd": float(self.area.std(ddof=1)) if len(self.area) > 1 else None,
            "ci": [low, high],
            "log_loss": float(self.losses.mean()),
            "ece": _mean([calibration_error(q, self.up) for q in rises]),
            "ece_floor": _mean([calibration_floor(q) for q in rises]),
            **self._covered(said, hits),
        }

    def less(self, other: "Cell") -> Figures:
        """AUC and log loss less those of another model on the same rows, with 95 % intervals."""
        if self.empty:
            return {"n": len(self.up)}
        loss = self.losses - other.losses
        return {
            "n": len(self.up),
            "auc": float(self.area.mean() - other.area.mean()),
            "auc_ci": interval(self.areas - other.areas),
            "log_loss": float(loss.mean()),
            "log_loss_ci": interval(self.blocks.pick(self.moved).mean(loss)),
        }

    def _covered(self, said: FloatArray, hits: Bools) -> Figures:
        out: Figures = {}
        for name in COVERAGES:
            pairs = [
                accuracy_above(np.abs(score), hit, frozen[name])
                for score, hit, frozen in zip(said, hits, self.thresholds, strict=True)
            ]
            out[f"acc{name}"], out[f"cov{name}"] = (_mean(list(column)) for column in zip(*pairs, strict=True))
        return out


def interval(values: FloatArray) -> list[float]:
    """The middle 95 % of the draws."""
    return [float(edge) for edge in np.nanquantile(values, [0.025, 0.975])]


def _mean(values: list[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None
