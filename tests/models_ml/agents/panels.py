"""Panels of made-up voters whose knowledge is known."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.logistic import sigmoid

START = 1_700_006_400


@dataclass(frozen=True)
class Cast:
    """What a stack learns from."""

    votes: FloatArray
    context: FloatArray
    market: IntArray
    labels: NDArray[np.int8]
    times: IntArray
    truth: FloatArray  # log-odds of what was really known

    def pick(self, rows: slice | NDArray[np.bool_] | IntArray) -> "Cast":
        """A copy of these rows."""
        return Cast(*(getattr(self, name)[rows].copy() for name in self.__dataclass_fields__))

    def given(self) -> tuple[FloatArray, FloatArray, IntArray, NDArray[np.int8], IntArray]:
        return self.votes, self.context, self.market, self.labels, self.times

    def asked(self) -> tuple[FloatArray, FloatArray, IntArray]:
        return self.votes, self.context, self.market

    def with_copy(self, seat: int) -> "Cast":
        return replace(self, votes=np.concatenate([self.votes, self.votes[:, [seat]]], axis=1))


def cast(
    rows: int = 6_000,
    strengths: tuple[float, ...] = (0.3, 0.2, 0.0),
    *,
    seed: int = 0,
    boldness: float = 1.0,
    ties: float = 0.03,
    silent: float = 0.0,
    context: int = 2,
    own: dict[int, float] | None = None,
) -> Cast:
    """`rows` minutes of four instruments; voter s knows one independent part of the truth, of `strengths[s]` log-odds.

    A voter without strength votes at random. `boldness` multiplies what voters say, `own` is what the first column
    of the context is worth in single instruments, and in no other.
    """
    rng = np.random.default_rng(seed)
    known = rng.normal(size=(rows, len(strengths)))
    around = rng.normal(size=(rows, context))
    market = rng.integers(0, 4, rows)
    truth = known @ np.array(strengths)
    for number, worth in (own or {}).items():
        truth += np.where(market == number, worth * around[:, 0], 0.0)
    up = rng.random(rows) < sigmoid(truth)
    q = sigmoid(boldness * known * np.where(np.array(strengths) > 0, strengths, 0.2))
    votes = np.stack([(1 - ties) * (1 - q), np.full_like(q, ties), (1 - ties) * q], axis=2)
    votes[rng.random((rows, len(strengths))) < silent] = np.nan
    labels = np.where(rng.random(rows) < ties, 1, np.where(up, 2, 0)).astype(np.int8)
    return Cast(votes, around, market, labels, START + 60 * np.arange(rows), truth)
