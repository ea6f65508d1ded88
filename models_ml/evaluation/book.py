"""The whole measurement of the order-book voter: files in, one table out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from markets.values import FloatArray
from models_ml.evaluation import book_models, book_set
from models_ml.evaluation.book_figures import COVERAGES, Blocks, Cell, Figures
from models_ml.evaluation.book_models import Model, Scores
from models_ml.evaluation.book_quotes import BadQuotes, Session, read_sessions
from models_ml.evaluation.book_set import TARGETS, BookSet, Stretch
from models_ml.profiles import Profile
from models_ml.validation.metrics import threshold_for

POOLED = "all"
VOTER = "cnn_lstm_book"
CERTAIN = {"imbalance", "imbalance_odd"}
"""Models without chance: one seed is all."""
OnStep = Callable[[int, int, str], None]
"""Progress: steps done, steps in all, what was done."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Learn, choose and test, and the instruments that the first two know."""

    learn: BookSet
    choose: BookSet
    test: BookSet
    names: tuple[str, ...]


def parts_of(train: Sequence[Path], test: Sequence[Path], every_s: float, before: datetime | None) -> Parts:
    """Read and cut the files; without `test` the training files are split by time. Raises `BadQuotes`."""
    first, last = (_sessions(paths, before) for paths in (train, test))
    learn, choose, asked = (*book_set.halve(first), book_set.whole(last)) if test else book_set.divide(first)
    names = tuple(sorted({stretch.session.instrument for stretch in (*learn, *choose)}))

    def rows(stretches: Sequence[Stretch]) -> BookSet:
        return book_set.build(stretches, names, every_s)

    return Parts(rows(learn), rows(choose), rows(asked), names)


def measure(
    parts: Parts, profile: Profile, *, seeds: int, targets: Sequence[str] | None = None, on_step: OnStep | None = None
) -> dict[str, Any]:
    """The table: per model, target and instrument its figures; per baseline what the voter has more.

    Equal for equal seeds.
    """
    models = _models(profile)
    runs = {name: 1 if name in CERTAIN else seeds for name in models}
    steps, done, scores = sum(runs.values()), 0, {name: _Kept() for name in models}
    for name, model in models.items():
        for seed in range(runs[name]):
            scores[name].add(model(parts.learn, parts.choose, parts.test, seed), parts.choose)
            done += 1
            if on_step:
                on_step(done, steps, f"{name}, seed {seed}")
    return {
        "rows": {name: len(part) for name, part in _named(parts)},
        "from": {name: _day(part.times.min()) for name, part in _named(parts)},
        "instruments": list(parts.names),
        "seeds": seeds,
        "models": {name: _table(kept, parts, targets) for name, kept in scores.items()},
        "voter_less": {name: _table(scores[VOTER], parts, targets, scores[name]) for name in models if name != VOTER},
    }


def titles() -> list[str]:
    """Names of the targets: horizon, and entry after so many seconds."""
    return [f"{horizon}+{late:g}s" for horizon, late in TARGETS]


class _Kept:
    """Scores of one model over its seeds, and the thresholds that the choosing rows set."""

    def __init__(self) -> None:
        self.scores: list[FloatArray] = []
        self.frozen: list[list[dict[str, float]]] = []

    def add(self, scores: Scores, choose: BookSet) -> None:
        """Keep one seed."""
        chosen, asked = scores
        self.scores.append(asked)
        moved = (choose.labels == 0) | (choose.labels == 2)
        self.frozen.append(
            [
                {
                    name: threshold_for(np.abs(chosen[moved[:, target], target]), share)
                    for name, share in COVERAGES.items()
                }
                for target in range(len(TARGETS))
            ]
        )

    def cell(self, parts: Parts, target: int, rows: FloatArray, blocks: Blocks) -> Cell:
        """One target over some rows of the test."""
        scores = np.stack([score[rows, target] for score in self.scores])
        frozen = tuple(frozen[target] for frozen in self.frozen)
        return Cell(scores, parts.test.labels[rows, target], blocks, frozen)


def _models(profile: Profile) -> dict[str, Model]:
    return {
        "imbalance": book_models.imbalance,
        "imbalance_odd": book_models.imbalance_odd,
        "boosting": book_models.boosting,
        "boosting_wide": book_models.boosting_wide,
        VOTER: book_models.voter(profile),
    }


def _table(
    kept: _Kept, parts: Parts, targets: Sequence[str] | None, other: _Kept | None = None
) -> dict[str, dict[str, Figures]]:
    """Target → instrument (and all) → figures, or what `kept` has more than `other`."""
    blocks = Blocks.of(parts.test.times)
    out: dict[str, dict[str, Figures]] = {}
    for target, (title, (horizon, _)) in enumerate(zip(titles(), TARGETS, strict=True)):
        if targets is not None and horizon not in targets:
            continue
        out[title] = {}
        for name, rows in _groups(parts):
            cell = kept.cell(parts, target, rows, blocks.pick(rows))
            found = other.cell(parts, target, rows, blocks.pick(rows)) if other else None
            out[title][name] = cell.less(found) if found else cell.figures()
    return out


def _groups(parts: Parts) -> list[tuple[str, Any]]:
    numbers = parts.test.numbers
    each = [(name, numbers == place + 1) for place, name in enumerate(parts.names)]
    return [(POOLED, np.ones(len(numbers), dtype=bool)), *((name, rows) for name, rows in each if rows.any())]


def _named(parts: Parts) -> list[tuple[str, BookSet]]:
    return [("learn", parts.learn), ("choose", parts.choose), ("test", parts.test)]


def _sessions(paths: Sequence[Path], before: datetime | None) -> list[Session]:
    found = [session for path in paths for session in read_sessions(path)]
    if before is not None:
        found = [session for session in found if session.times[0] < before.timestamp()]
    if paths and not found:
        raise BadQuotes(f"no quotes before {before:%Y-%m-%d}: leave --before out or give an earlier file")
    return found


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(float(moment), UTC):%Y-%m-%d %H:%M}"
