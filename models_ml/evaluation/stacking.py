"""The stack over a test part: fitted before it, then refitted each day from outcomes that have come by then."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.calibration import Calibrator
from models_ml.agents.meta import Stack

DAY_S = 86_400
REVEALED_S = 120
"""Time from a decision until its outcome is known here: the minute itself, and one for its candle to arrive."""
REFIT_ROWS = 150_000
"""The latest rows that the regression learns from each day."""
CALIBRATED_DAYS = 14
"""Days of revealed outcomes that the map follows."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Votes with what belongs to them: (N, S, 3), (N, K), and (N,) each of instrument, label, decision instant."""

    votes: FloatArray
    context: FloatArray
    market: IntArray
    labels: NDArray[np.int8]
    times: IntArray

    def pick(self, rows: IntArray | NDArray[np.bool_]) -> "Heard":
        """Some rows."""
        return Heard(self.votes[rows], self.context[rows], self.market[rows], self.labels[rows], self.times[rows])

    def without(self, seat: int) -> "Heard":
        """The same with one seat silent."""
        votes = self.votes.copy()
        votes[:, seat] = np.nan
        return replace(self, votes=votes)

    def joined(self, other: "Heard") -> "Heard":
        """The rows of both."""
        return Heard(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in FIELDS))


FIELDS = tuple(Heard.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Walked:
    """What the stack said on the test rows, (N,) each, in their order, and the stacks of the first and last day."""

    probability: FloatArray
    lower: FloatArray
    upper: FloatArray
    outcomes: FloatArray  # (N, 3)
    first: Stack
    last: Stack


def fit_stack(late: Heard, seats: Sequence[str], seed: int) -> Stack:
    """The stack as it stands before the test part."""
    return Stack.fit(late.votes, late.context, late.market, late.labels, late.times, seats=seats, seed=seed)


def walk(stack: Stack, late: Heard, test: Heard, *, refits: bool = True) -> Walked:
    """Answer the test day by day; before each, learn from what the past days have revealed."""
    rows = len(test.times)
    probability, lower, upper, scores = (np.full(rows, np.nan) for _ in range(4))
    outcomes = np.full((rows, 3), np.nan)
    days = test.times // DAY_S
    current = stack
    for day in np.unique(days):
        if refits:
            current = _refitted(current, stack.calibrator, late, test, scores, int(day) * DAY_S)
        today = np.flatnonzero(days == day)
        asked = test.pick(today)
        scores[today] = current.score(asked.votes, asked.context, asked.market)
        probability[today], lower[today], upper[today] = current.calibrator(scores[today])
        outcomes[today] = current.outcomes(probability[today], asked.market)
    return Walked(probability, lower, upper, outcomes, stack, current)


def _refitted(current: Stack, base: Calibrator, late: Heard, test: Heard, scores: FloatArray, at: int) -> Stack:
    """The stack with the regression and the map of what is revealed at `at`; the map sees scores as they were given."""
    revealed = np.flatnonzero((test.times <= at - REVEALED_S) & (test.labels >= 0))
    if not len(revealed):
        return current
    revealed = revealed[np.argsort(test.times[revealed], kind="stable")][-REFIT_ROWS:]
    room = REFIT_ROWS - len(revealed)
    older = np.argsort(late.times, kind="stable")[len(late.times) - min(room, len(late.times)) :]
    past = late.pick(older).joined(test.pick(revealed))
    current = current.refit_weights(past.votes, past.context, past.market, past.labels, past.times)
    recent = revealed[(test.times[revealed] > at - CALIBRATED_DAYS * DAY_S) & (test.labels[revealed] != 1)]
    recent = recent[np.isfinite(scores[recent])]
    minutes = len(np.unique(test.times[recent]))
    calibrator = Calibrator.learn(scores[recent], test.labels[recent] == 2, base, minutes=minutes)
    return replace(current, calibrator=calibrator)
