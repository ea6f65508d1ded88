"""What the two language-model seats share: they are asked once a candle for everybody, live only."""

from pathlib import Path
from typing import ClassVar, Self

from lib.errors import CandorError
from markets.values import FloatArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters.base import FitReport, NotEnoughData, OnStep, Voter
from models_ml.voters.llm.client import Client
from models_ml.votes import AbstainReason


class NoRecordedVote(CandorError):
    """A backtest or replay wants the vote of a language model that was not asked when the minute was live."""


class LanguageVoter(Voter):
    """A seat that learns nothing here. `models_ml.asking` asks its `client` and records what was said."""

    silence = AbstainReason.NO_KEY
    client: ClassVar[type[Client]]

    def fit(
        self, train: Samples, validation: Samples, profile: Profile, *, seed: int = 0, on_step: OnStep | None = None
    ) -> FitReport:
        """Always raises: a language model is asked, not trained here."""
        raise NotEnoughData(f"voter {self.key!r} is a language model and is not trained here: leave it out of training")

    def predict(self, samples: Samples) -> FloatArray:
        """Always raises `NoRecordedVote`.

        The model may know what happened after these candles, so its answer would prove nothing, and candles alone are
        not the question that is put live.
        """
        raise NoRecordedVote(
            f"voter {self.key!r} is a language model and votes live only: leave it out of this backtest, or read its"
            " recorded votes (models_ml.asking.recorded)"
        )

    def save(self, folder: Path) -> None:
        """Nothing to write."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Nothing to read."""
        return cls(())
