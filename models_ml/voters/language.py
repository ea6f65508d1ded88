"""What the two language-model seats share while no model is asked."""

from pathlib import Path
from typing import Self

import numpy as np

from markets.values import FloatArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters.base import FitReport, NotEnoughData, OnStep, Voter
from models_ml.votes import AbstainReason


class LanguageVoter(Voter):
    """A seat without a key: it abstains on every row. Nothing is learned and nothing is written."""

    silence = AbstainReason.NO_KEY

    def fit(
        self, train: Samples, validation: Samples, profile: Profile, *, seed: int = 0, on_step: OnStep | None = None
    ) -> FitReport:
        """Always raises: a language model is asked, not trained here."""
        raise NotEnoughData(f"voter {self.key!r} is a language model and is not trained here: leave it out of training")

    def predict(self, samples: Samples) -> FloatArray:
        """NaN for every row, (N, 3)."""
        return np.full((len(samples), 3), np.nan)

    def save(self, folder: Path) -> None:
        """Nothing to write."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Nothing to read."""
        return cls(())
