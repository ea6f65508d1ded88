"""Sessions cut into learn, choose and test, and what a model is given of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.evaluation.book_quotes import HORIZONS, LATE_S, BadQuotes, Session, decisions, frames_at, outcomes
from models_ml.features.book_frames import Tensors, others, tensors

TARGETS: tuple[tuple[str, float], ...] = tuple((name, late) for name in HORIZONS for late in LATE_S)
"""Horizon and seconds of delay of each column of outcomes."""
SHARES = (0.6, 0.2)
"""Learn and choose of a recording under three days, by time within sessions; the rest tests."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Decisions in [start, end) of a session: they may look back past the start, no outcome looks past the end."""

    session: Session
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class BookSet:
    """N rows: what is seen, what came of it (N, targets), when, and of which instrument (1 .., 0 is an unknown one)."""

    tensors: Tensors
    labels: NDArray[np.int8]
    times: FloatArray
    numbers: IntArray

    def __len__(self) -> int:
        return len(self.times)

    def read(self, rows: IntArray) -> Tensors:
        """The tensors of some rows."""
        heat, path, sums = self.tensors
        return heat[rows], path[rows], sums[rows]


def divide(sessions: Sequence[Session]) -> tuple[list[Stretch], list[Stretch], list[Stretch]]:
    """Learn, choose, test: the last day tests, the day before chooses; under three days, 60/20/20 % of the time."""
    days = sorted({session.day for session in sessions})
    if len(days) >= 3:
        test = [session for session in sessions if session.day == days[-1]]
        return *halve([session for session in sessions if session.day < days[-1]]), whole(test)
    chooses, tests = (_moment(sessions, share) for share in np.cumsum(SHARES).tolist())
    return _within(sessions, -np.inf, chooses), _within(sessions, chooses, tests), _within(sessions, tests, np.inf)


def halve(sessions: Sequence[Session]) -> tuple[list[Stretch], list[Stretch]]:
    """Learn and choose of recordings tested elsewhere: the last day chooses, or the last quarter of a single one."""
    days = sorted({session.day for session in sessions})
    if len(days) >= 2:
        return whole([s for s in sessions if s.day < days[-1]]), whole([s for s in sessions if s.day == days[-1]])
    cut = _moment(sessions, 0.75)
    return _within(sessions, -np.inf, cut), _within(sessions, cut, np.inf)


def whole(sessions: Sequence[Session]) -> list[Stretch]:
    """All of the sessions."""
    return [Stretch(session, -np.inf, np.inf) for session in sessions]


def build(stretches: Sequence[Stretch], names: Sequence[str], every_s: float) -> BookSet:
    """Rows on the clock's grid; `names` give the numbers of the instruments. Raises `BadQuotes` where there is none."""
    parts = [_rows(stretch, every_s) for stretch in stretches]
    if not sum(len(times) for _, _, times in parts):
        raise BadQuotes("a part of the recording is too short: two minutes of quotes lie before the first decision")
    numbers = [names.index(s.session.instrument) + 1 if s.session.instrument in names else 0 for s in stretches]
    heat, path, sums = (np.concatenate([seen[place] for seen, _, _ in parts]) for place in range(3))
    times = np.concatenate([times for _, _, times in parts])
    return BookSet(
        (heat, path, np.concatenate([sums, others(sums, times)], axis=1)),
        np.concatenate([labels for _, labels, _ in parts]),
        times,
        np.repeat(np.array(numbers, dtype=np.int64), [len(times) for _, _, times in parts]),
    )


def joined(first: BookSet, second: BookSet) -> BookSet:
    """The rows of both."""
    heat, path, sums = (np.concatenate(pair) for pair in zip(first.tensors, second.tensors, strict=True))
    return BookSet(
        (heat, path, sums),
        np.concatenate([first.labels, second.labels]),
        np.concatenate([first.times, second.times]),
        np.concatenate([first.numbers, second.numbers]),
    )


def _rows(stretch: Stretch, every_s: float) -> tuple[Tensors, NDArray[np.int8], FloatArray]:
    at = decisions(stretch.session, every_s)
    at = at[(at >= stretch.start) & (at < stretch.end)]
    known = stretch.session.between(-np.inf, stretch.end)
    labels = [outcomes(known, at, HORIZONS[name], late) for name, late in TARGETS]
    return tensors(frames_at(stretch.session, at)), np.stack(labels, axis=1), at


def _moment(sessions: Sequence[Session], share: float) -> float:
    """When this share of all the sessions' seconds is over; nights count nothing."""
    return float(np.quantile(np.concatenate([np.arange(s.times[0], s.times[-1]) for s in sessions]), share))


def _within(sessions: Sequence[Session], start: float, end: float) -> list[Stretch]:
    return [Stretch(s, start, end) for s in sessions if s.times[0] < end and s.times[-1] >= start]
