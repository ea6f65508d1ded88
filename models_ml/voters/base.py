"""What every voter promises."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lib.errors import CandorError
from markets.values import FloatArray
from models_ml.profiles import Profile
from models_ml.samples import UNKNOWN_LABEL, Samples
from models_ml.votes import AbstainReason

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
