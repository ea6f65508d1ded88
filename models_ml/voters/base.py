"""What every voter promises."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lib.errors import CandorError
from markets.values import FloatArray, IntArray
from models_ml.features import FEATURE_GROUPS
from models_ml.features.cross_asset import CROSS_COLUMNS
from models_ml.profiles import Profile
from models_ml.samples import UNKNOWN_LABEL, Samples
from models_ml.votes import AbstainReason

FINITE_SHARE = 0.05
"""A column is read when it is known in this share of the last quarter of the training rows: where quiet minutes have no
candle, the long look-backs are known in a third of them and say much there."""
CORE_SHARE = 0.9
"""Columns that are known in this share of them are the core of what a voter reads."""
MISSING_SHARE = 0.5
"""Share of its core that a row may lack: a lost candle blinds some columns for an hour, which is no reason for silence,
but a row that lacks more than half of what nearly every row has is not read."""

TOLD_ROWS = 20_000
"""Rows of each slice on which the losses of a report are counted."""

CROSS_GROUP = "cross_asset"
"""What the group of columns is called that needs the other instruments."""

OnStep = Callable[[int, int], None]
"""Progress of one fit: (steps done, steps in all)."""


class NotEnoughData(CandorError):
    """Too few usable rows to learn from: the seat stays untrained."""


class FeatureMismatch(CandorError):
    """Samples whose feature columns are not those the voter learned from."""


class CorruptArtifact(CandorError):
    """Model files that are missing, changed, of a foreign format or not readable."""


@dataclass(frozen=True, slots=True)
class FitReport:
    """How one fit went; losses are mean log loss in nats over the three outcomes."""

    rows: int
    steps: int
    train_loss: float
    validation_loss: float
    seconds: float


class Voter(ABC):
    """One seat of the panel: an independent opinion on the next minute.

    A voter is seeded, leaves its inputs alone, answers a batch as it answers each row alone (within 1e-5), and answers
    a row it cannot read with NaN.
    """

    key: ClassVar[str]
    silence: ClassVar[AbstainReason] = AbstainReason.BAD_INPUT
    """What a NaN row of this voter means."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        """`columns` are the names of the feature columns, in order, of every `Samples` it will meet."""
        self.columns = columns

    @abstractmethod
    def fit(
        self, train: Samples, validation: Samples, profile: Profile, *, seed: int = 0, on_step: OnStep | None = None
    ) -> FitReport:
        """Learn from `train`, stop early on `validation`; raises `NotEnoughData`."""

    def update(
        self, train: Samples, validation: Samples, profile: Profile, *, seed: int = 0, on_step: OnStep | None = None
    ) -> FitReport:
        """Learn on from what is known, where that takes seconds; other voters are fitted anew. Raises as `fit` does."""
        return self.fit(train, validation, profile, seed=seed, on_step=on_step)

    @classmethod
    def begins(cls, samples: Samples) -> float:
        """Epoch second from which the source it reads was recorded; before, there is nothing to learn or to judge."""
        return float(samples.open_times[0])

    @abstractmethod
    def predict(self, samples: Samples) -> FloatArray:
        """Raw P(down, neutral, up), (N, 3); a row of NaN is an abstention."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model into an existing empty folder: JSON, safetensors, `.ubj` and `.skops` files only."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""

    def told(self, samples: Samples, labels: NDArray[np.int8], seed: int) -> float:
        """Log loss of its votes on as many of these rows as say it, nats."""
        rows = np.arange(len(labels))
        if len(rows) > TOLD_ROWS:
            rows = np.random.default_rng(seed).choice(rows, TOLD_ROWS, replace=False)
        return log_loss(self.predict(samples.pick(rows)), labels[rows])

    def renew(self, *parts: Samples) -> None:
        """Learn again what is learned in seconds, from rows of later days too; a voter may have nothing of the kind."""
        del parts

    def reads(self) -> IntArray:
        """Positions in `columns` of the features it reads; none for a voter that looks at candles or books only."""
        return np.empty(0, dtype=np.int64)

    def importances(self, samples: Samples) -> dict[str, float]:
        """Feature → mean share of its votes on `samples` that it moved, the weightiest first; empty where unknown."""
        return {}

    def check(self, samples: Samples) -> None:
        """Raise `FeatureMismatch` unless the samples carry as many feature columns as were learned from."""
        given = samples.features.shape[-1]
        if given != len(self.columns):
            raise FeatureMismatch(
                f"voter {self.key!r} learned from {len(self.columns)} feature columns, not {given}: train again"
            )


def known_labels(samples: Samples, known: NDArray[np.bool_]) -> tuple[Samples, NDArray[np.int8]]:
    """The rows that are readable and have an outcome, with their labels."""
    labels = samples.labels()
    use = known & (labels != UNKNOWN_LABEL)
    return samples.pick(use), labels[use]


def thin(samples: Samples, most: int, seed: int) -> Samples:
    """At most `most` rows, drawn without replacement and kept in order."""
    if len(samples) <= most:
        return samples
    rows = np.random.default_rng(seed).choice(len(samples), most, replace=False)
    return samples.pick(np.sort(rows))


def log_loss(probabilities: FloatArray, labels: NDArray[np.int8]) -> float:
    """Mean negative log likelihood, nats; NaN for no rows."""
    if not len(labels):
        return float("nan")
    picked = probabilities[np.arange(len(labels)), labels.astype(np.int64)]
    return float(-np.log(np.maximum(picked, 1e-12)).mean())


def usable_columns(train: Samples, view: IntArray, share: float = FINITE_SHARE) -> IntArray:
    """The columns of `view` that are known in at least `share` of the last quarter of the training rows.

    The first rows of a history lack the long look-backs, and a venue without volume lacks volume columns for ever:
    the last quarter tells the two apart.
    """
    if not len(train):
        return view[:0]
    late = train.pick(np.argsort(train.index[:, 1], kind="stable")[-max(len(train) // 4, 1) :])
    chosen: IntArray = view[np.isfinite(late.matrix(view)).mean(axis=0) >= share]
    return chosen


def core_columns(train: Samples, chosen: IntArray, columns: tuple[str, ...]) -> IntArray:
    """Those of the chosen columns that nearly every row knows, and an instrument knows by itself.

    A shard without others is no reason for silence, so columns of other instruments are not among them.
    """
    own = np.array([columns[place] not in CROSS_COLUMNS for place in chosen], dtype=bool)
    return usable_columns(train, chosen[own], CORE_SHARE)


def columns_of(columns: tuple[str, ...], groups: tuple[str, ...]) -> IntArray:
    """Positions of the columns that belong to these feature groups."""
    names = {feature.name for group in groups if group != CROSS_GROUP for feature in FEATURE_GROUPS[group]}
    names |= set(CROSS_COLUMNS) if CROSS_GROUP in groups else set()
    return np.array([place for place, name in enumerate(columns) if name in names], dtype=np.int64)


def readable_rows(core: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Rows (N,) that lack few of their `core` columns and have no infinite feature."""
    few = np.isnan(core).mean(axis=1) <= MISSING_SHARE if core.shape[1] else np.ones(len(core), dtype=bool)
    return np.asarray(few & ~np.isinf(features).any(axis=1))
