"""What the two tree voters share: what they learn, their view of the features, and the tie.

The trees learn the size of the next move beside its sign, and only the part that the other instruments do not share
(`targets`): rows are nearly independent there. The shared part is forecast by a ridge regression, for the few
independent minutes bear no tree. The expected move is their sum; a slope from the validation rows makes it
P(up | moved). A tie is rare (1 to 8 % of minutes) and hardly predictable: its chance is its shrunk rate in the
instrument, P(down, neutral, up) = ((1 − tie)·(1 − up), tie, (1 − tie)·up). Targets are centred: the drift of the
training days is no forecast. Unknown features stay unknown: trees send them to the side that they deserve.
"""

import json
import time
from abc import abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.targets import targets
from models_ml.voters.base import (
    CROSS_GROUP,
    FitReport,
    NotEnoughData,
    OnStep,
    Voter,
    columns_of,
    core_columns,
    known_labels,
    readable_rows,
    thin,
    usable_columns,
)
from models_ml.voters.leaning import chance, slope_of
from models_ml.voters.linear import Linear


@dataclass(frozen=True, slots=True)
class Lesson:
    """What trees learn from: rows (N, columns + 1), the own part of each move, centred, σ, and its label, (N,) each."""

    rows: NDArray[np.float32]
    own: NDArray[np.float32]
    labels: NDArray[np.int8]


LINE_GROUPS = (CROSS_GROUP, "footing")
"""What the ridge reads: few columns that say much. The newest days say most, so it is fitted again with them."""
SHRINK_ROWS = 200.0
"""Rows of the pooled tie rate that an instrument's own rate is mixed with."""


@dataclass(frozen=True, slots=True)
class TieRates:
    """Chance of an exact tie for each instrument."""

    markets: tuple[int, ...]
    rates: tuple[float, ...]
    overall: float

    @classmethod
    def learn(cls, markets: IntArray, labels: NDArray[np.int8]) -> "TieRates":
        """From instrument numbers (N,) and labels (N,)."""
        ties = labels == 1
        overall = float((ties.sum() + 1) / (len(ties) + 100))
        known, place = np.unique(markets, return_inverse=True)
        rows = np.bincount(place, minlength=len(known))
        tied = np.bincount(place, weights=ties, minlength=len(known))
        rates = (tied + SHRINK_ROWS * overall) / (rows + SHRINK_ROWS)
        return cls(tuple(known.tolist()), tuple(rates.tolist()), overall)

    def of(self, markets: IntArray) -> FloatArray:
        """Rates (N,); an instrument never seen gets the pooled rate."""
        table = dict(zip(self.markets, self.rates, strict=True))
        return np.array([table.get(int(market), self.overall) for market in markets], dtype=np.float64)


class TreeVoter(Voter):
    """Trees over a set of engineered features and the instrument's number."""

    chosen: IntArray
    core: IntArray
    """Those of the chosen columns of which a row must have most."""
    straight: IntArray
    """Columns of the ridge regression."""
    ties: TieRates
    line: Linear
    slope: float

    @abstractmethod
    def view(self) -> IntArray:
        """The candidate columns of this voter, as positions in `columns`."""

    @abstractmethod
    def grow(self, lesson: Lesson, profile: Profile, seed: int, on_step: OnStep | None) -> int:
        """Learn the own part of the move; the number of trees."""

    @abstractmethod
    def own(self, rows: NDArray[np.float32]) -> FloatArray:
        """Expected own part of the move, σ, (N,)."""

    def lean(self, rows: NDArray[np.float32], shared: FloatArray) -> FloatArray:
        """Expected move (N,), σ, of rows and the shared part that the line expects."""
        return self.own(rows) + shared

    @abstractmethod
    def store(self, folder: Path) -> None:
        """Write the trees."""

    @abstractmethod
    def restore(self, folder: Path) -> None:
        """Read the trees."""

    def fit(
        self, train: Samples, validation: Samples, profile: Profile, *, seed: int = 0, on_step: OnStep | None = None
    ) -> FitReport:
        """See `Voter.fit`."""
        self.check(train)
        started = time.perf_counter()
        train = thin(train, profile.tree_rows, seed)
        self.chosen = usable_columns(train, self.view())
        self.core = core_columns(train, self.chosen, self.columns)
        self.straight = usable_columns(train, columns_of(self.columns, LINE_GROUPS))
        if not len(self.chosen):
            raise NotEnoughData(f"voter {self.key!r}: no feature column is known: load more candles")
        train, labels = known_labels(train, self._learnable(train))
        validation, held = known_labels(validation, self._learnable(validation))
        if len(labels) < profile.min_rows or not len(held):
            raise NotEnoughData(
                f"voter {self.key!r}: {len(labels)} training and {len(held)} validation rows are known, "
                f"{profile.min_rows} and 1 are needed: load more candles"
            )
        self.ties = TieRates.learn(train.market[train.index[:, 0]], labels)
        self.renew(train)
        own = targets(train).own
        lesson = Lesson(self._rows(train), (own - own.mean()).astype(np.float32), labels)
        trees = self.grow(lesson, profile, seed, on_step)
        moved = validation.pick(held != 1)
        self.slope = slope_of(self._lean(moved), held[held != 1] == 2)
        self.renew(train, validation)
        return FitReport(
            len(labels),
            trees,
            self.told(train, labels, seed),
            self.told(validation, held, seed),
            time.perf_counter() - started,
        )

    def predict(self, samples: Samples) -> FloatArray:
        """See `Voter.predict`."""
        self.check(samples)
        out = np.full((len(samples), 3), np.nan)
        known = self._known(samples)
        if known.any():
            up = chance(self._lean(samples.pick(known)), self.slope)
            tie = self.ties.of(samples.market[samples.index[known, 0]])
            out[known] = np.stack([(1 - tie) * (1 - up), tie, (1 - tie) * up], axis=1)
        return out

    def save(self, folder: Path) -> None:
        """See `Voter.save`."""
        meta: dict[str, Any] = {"columns": self.columns, "ties": asdict(self.ties)}
        meta |= {"chosen": self.chosen.tolist(), "core": self.core.tolist()}
        meta |= {"straight": self.straight.tolist(), "line": self.line.plain(), "slope": self.slope}
        (folder / "voter.json").write_text(json.dumps(meta))
        self.store(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See `Voter.load`."""
        meta = json.loads((folder / "voter.json").read_text())
        voter = cls(tuple(meta["columns"]))
        voter.chosen, voter.core = (np.array(meta[name], dtype=np.int64) for name in ("chosen", "core"))
        voter.straight = np.array(meta["straight"], dtype=np.int64)
        voter.line, voter.slope = Linear.of_plain(meta["line"]), float(meta["slope"])
        ties = meta["ties"]
        voter.ties = TieRates(tuple(ties["markets"]), tuple(ties["rates"]), ties["overall"])
        voter.restore(folder)
        return voter

    def renew(self, *parts: Samples) -> None:
        """See `Voter.renew`: the ridge on all rows of `parts` whose outcome is known."""
        rows, goals = [], []
        for part in parts:
            found = targets(part)
            goal = np.stack([found.own, found.shared], axis=1)
            known = np.flatnonzero(np.isfinite(goal).all(axis=1))
            rows.append(part.pick(known).matrix(self.straight))
            goals.append(goal[known])
        goal = np.concatenate(goals)
        self.line = Linear.learn(np.concatenate(rows), goal, (1.0, float(len(parts[0].market))))

    def reads(self) -> IntArray:
        """See `Voter.reads`."""
        return self.chosen

    def _rows(self, samples: Samples) -> NDArray[np.float32]:
        """(N, columns + 1): the chosen features, NaN where unknown, then the instrument's number."""
        market = samples.market[samples.index[:, 0], None].astype(np.float32)
        return np.concatenate([samples.matrix(self.chosen), market], axis=1)

    def _learnable(self, samples: Samples) -> NDArray[np.bool_]:
        return np.asarray(self._known(samples) & np.isfinite(targets(samples).own))

    def _known(self, samples: Samples) -> NDArray[np.bool_]:
        return readable_rows(samples.matrix(self.core), samples.matrix(self.chosen))

    def _lean(self, samples: Samples) -> FloatArray:
        """Expected move, σ, (N,)."""
        shared: FloatArray = self.line.answer(samples.matrix(self.straight))[:, 1]
        return self.lean(self._rows(samples), shared)
