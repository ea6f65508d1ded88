"""What the two tree voters share: their view of the features and the tie.

A tie is rare (1 to 8 % of minutes) and hardly predictable, so the trees learn the direction of the minutes that moved
and the chance of a tie is its shrunk rate in the instrument:
P(down, neutral, up) = ((1 − tie)·(1 − up), tie, (1 − tie)·up). Rises and falls weigh the same in training: the drift
of the training days is no forecast.
"""

import json
import time
from abc import abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters.base import (
    FitReport,
    NotEnoughData,
    OnStep,
    Voter,
    known_labels,
    log_loss,
    readable_rows,
    thin,
    usable_columns,
)

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
    ties: TieRates

    @abstractmethod
    def view(self) -> IntArray:
        """The candidate columns of this voter, as positions in `columns`."""

    @abstractmethod
    def grow(
        self,
        train: tuple[NDArray[np.float32], NDArray[np.float32]],
        validation: tuple[NDArray[np.float32], NDArray[np.float32]],
        profile: Profile,
        seed: int,
        on_step: OnStep | None,
    ) -> int:
        """Learn P(up | moved) from (rows, columns) and 0/1 outcomes; the number of trees kept."""

    @abstractmethod
    def rise(self, rows: NDArray[np.float32]) -> FloatArray:
        """P(up | moved), (N,)."""

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
        if not len(self.chosen):
            raise NotEnoughData(f"voter {self.key!r}: no feature column is known: load more candles")
        train, labels = known_labels(train, self._known(train))
        validation, held = known_labels(validation, self._known(validation))
        if len(labels) < profile.min_rows or not len(held):
            raise NotEnoughData(
                f"voter {self.key!r}: {len(labels)} training and {len(held)} validation rows are known, "
                f"{profile.min_rows} and 1 are needed: load more candles"
            )
        self.ties = TieRates.learn(train.market[train.index[:, 0]], labels)
        trees = self.grow(self._moved(train, labels), self._moved(validation, held), profile, seed, on_step)
        return FitReport(
            len(labels),
            trees,
            log_loss(self.predict(train), labels),
            log_loss(self.predict(validation), held),
            time.perf_counter() - started,
        )

    def predict(self, samples: Samples) -> FloatArray:
        """See `Voter.predict`."""
        self.check(samples)
        out = np.full((len(samples), 3), np.nan)
        known = self._known(samples)
        if known.any():
            up = np.clip(self.rise(self._rows(samples.pick(known))), 0.0, 1.0)
            tie = self.ties.of(samples.market[samples.index[known, 0]])
            out[known] = np.stack([(1 - tie) * (1 - up), tie, (1 - tie) * up], axis=1)
        return out

    def save(self, folder: Path) -> None:
        """See `Voter.save`."""
        meta = {"columns": self.columns, "chosen": self.chosen.tolist(), "ties": asdict(self.ties)}
        (folder / "voter.json").write_text(json.dumps(meta))
        self.store(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See `Voter.load`."""
        meta = json.loads((folder / "voter.json").read_text())
        voter = cls(tuple(meta["columns"]))
        voter.chosen = np.array(meta["chosen"], dtype=np.int64)
        ties = meta["ties"]
        voter.ties = TieRates(tuple(ties["markets"]), tuple(ties["rates"]), ties["overall"])
        voter.restore(folder)
        return voter

    def reads(self) -> IntArray:
        """See `Voter.reads`."""
        return self.chosen

    def _rows(self, samples: Samples) -> NDArray[np.float32]:
        """(N, columns + 1): the chosen features, NaN where unknown, then the instrument's number."""
        market = samples.market[samples.index[:, 0], None].astype(np.float32)
        return np.concatenate([samples.matrix(self.chosen), market], axis=1)

    def _known(self, samples: Samples) -> NDArray[np.bool_]:
        return readable_rows(samples.matrix(self.chosen))

    def _moved(self, samples: Samples, labels: NDArray[np.int8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        moved = labels != 1
        return self._rows(samples.pick(moved)), (labels[moved] == 2).astype(np.float32)


def even_weights(up: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights (N,) with which rises and falls have the same mass and the mean weight is 1."""
    share = float(np.clip(up.mean(), 1e-6, 1 - 1e-6))
    return np.where(up == 1, 0.5 / share, 0.5 / (1 - share)).astype(np.float32)
