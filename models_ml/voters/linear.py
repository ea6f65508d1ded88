"""A ridge regression: the part of a voter that is best when the signal is small and straight."""

from collections.abc import Iterable, Sequence
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

        `times` as in `fitted`.
        """
        goal = target - target.mean(axis=0)
        blocks = ((rows[first : first + CHUNK], goal[first : first + CHUNK]) for first in range(0, len(rows), CHUNK))
        return cls.scaled(rows).fitted(blocks, times or [1.0] * target.shape[1])

    @classmethod
    def scaled(cls, rows: NDArray[np.float32]) -> Self:
        """Centre and scale of rows (N, F), and no output yet."""
        known = np.isfinite(rows)
        count = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, rows, 0).sum(axis=0, dtype=np.float64) / count
        spread = np.sqrt(
            np.where(known, (rows - centre.astype(np.float32)) ** 2, 0).sum(axis=0, dtype=np.float64) / count
        )
        return cls(centre, np.where(spread > 0, spread, 1.0), np.zeros((0, rows.shape[1])))

    def fitted(self, blocks: Iterable[tuple[NDArray[np.float32], FloatArray]], times: Sequence[float]) -> Self:
        """The same scale with weights for blocks of rows (n, F) and centred targets (n, outputs), each read once.

        `times` (outputs,) is what the penalty of each output is multiplied with: rows that share what they are to say
        are fewer than they look.
        """
        width, count = len(self.centre), 0
        gram, moment = np.zeros((width, width)), np.zeros((width, len(times)))
        for rows, target in blocks:
            x = self.standard(rows)
            gram += x.T @ x  # summed in double precision; a block is short enough for single
            moment += x.T.astype(np.float64) @ target
            count += len(rows)
        weights = np.empty((len(times), width))
        for output, factor in enumerate(times):
            weights[output] = np.linalg.solve(gram + factor * STRENGTH * count * np.eye(width), moment[:, output])
        return type(self)(self.centre, self.scale, weights)

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
