"""A ridge regression: the part of a voter that is best when the signal is small and straight."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray

CLIP = 5.0
"""Standard deviations from the mean beyond which an input says no more than "far"."""
STRENGTH = 1 / 50
"""Ridge penalty on standardised inputs, as a share of the rows."""
CHUNK = 1 << 15
"""Rows standardised at a time: bounds the memory beside the rows themselves."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights (outputs, F) · clipped (x − centre) / scale; unknown inputs are 0."""

    centre: FloatArray
    scale: FloatArray
    weights: FloatArray

    @classmethod
    def learn(cls, rows: NDArray[np.float32], target: FloatArray, times: Sequence[float] = ()) -> Self:
        """Fit to rows (N, F) and targets (N, outputs), whose means are left out: drift is no forecast.

        `times` (outputs,) is what the penalty of each output is multiplied with, 1 by default: rows that share what
        they are to say are fewer than they look.
        """
        known = np.isfinite(rows)
        count = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, rows, 0).sum(axis=0, dtype=np.float64) / count
        spread = np.sqrt(
            np.where(known, (rows - centre.astype(np.float32)) ** 2, 0).sum(axis=0, dtype=np.float64) / count
        )
        start = cls(centre, np.where(spread > 0, spread, 1.0), np.zeros((target.shape[1], rows.shape[1])))
        goal = target - target.mean(axis=0)
        gram, moment = np.zeros((rows.shape[1],) * 2), np.zeros((rows.shape[1], target.shape[1]))
        for first in range(0, len(rows), CHUNK):
            x = start.standard(rows[first : first + CHUNK]).astype(np.float64)
            gram += x.T @ x
            moment += x.T @ goal[first : first + CHUNK]
        weights = np.empty((target.shape[1], rows.shape[1]))
        for output, factor in enumerate(times or np.ones(target.shape[1])):
            penalty = factor * STRENGTH * len(rows) * np.eye(len(gram))
            weights[output] = np.linalg.solve(gram + penalty, moment[:, output])
        return cls(start.centre, start.scale, weights)

    def standard(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inputs (N, F) in standard deviations, 0 where unknown."""
        scaled = (rows - self.centre.astype(np.float32)) / self.scale.astype(np.float32)
        return np.nan_to_num(np.clip(scaled, -CLIP, CLIP)).astype(np.float32)

    def answer(self, rows: NDArray[np.float32]) -> FloatArray:
        """Outputs (N, outputs)."""
        # One input after the other: a batch then has the bits of each row alone.
        return np.asarray(np.einsum("nf,of->no", self.standard(rows).astype(np.float64), self.weights))

    def plain(self) -> dict[str, list[float] | list[list[float]]]:
        """As JSON."""
        return {"centre": self.centre.tolist(), "scale": self.scale.tolist(), "weights": self.weights.tolist()}

    @classmethod
    def of_plain(cls, plain: dict[str, list[float]]) -> Self:
        """From JSON."""
        return cls(np.array(plain["centre"]), np.array(plain["scale"]), np.atleast_2d(plain["weights"]))
