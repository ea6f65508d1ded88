"""The sentiment agent: what headlines say, from −1 (bad) to 1 (good), and what that adds up to for an instrument.

Three readers with one contract: the lexicon that is shipped, a linear model that an operator trained
(`sentiment_linear`), and FinBERT from a local folder (`finbert`). An instrument without a headline has no tone: that
is no zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lib.errors import CandorError
from markets.values import FloatArray
from models_ml.agents.polarity import label_of, polarity

LABELS = ("negative", "neutral", "positive")
"""The order of probabilities everywhere."""
MANIFEST = "sentiment.json"
"""File that tells where a trained reader came from."""


class SentimentError(CandorError):
    """A reader that cannot be used, or labelled sentences that cannot be learned from."""


class Reader(Protocol):
    """Reads headlines; the same text has the same score whatever stands beside it."""

    key: str

    def scores(self, texts: Sequence[str]) -> FloatArray:
        """(N,) from −1 to 1."""


class LexiconReader:
    """The shipped reader: no training, no files."""

    key = "lexicon"

    def scores(self, texts: Sequence[str]) -> FloatArray:
        """See `Reader.scores`."""
        return np.array([polarity(text).score for text in texts], dtype=np.float64)

    def labels(self, texts: Sequence[str]) -> list[str]:
        """The word for each score."""
        return [label_of(score) for score in self.scores(texts)]


def balance(probabilities: FloatArray) -> FloatArray:
    """P(positive) − P(negative) of probabilities (N, 3) in the order of `LABELS`."""
    apart: FloatArray = probabilities[:, 2] - probabilities[:, 0]
    return apart


@dataclass(frozen=True, slots=True)
class Tone:
    """Context of I instruments: how many headlines speak of each, and their mean score (NaN without one)."""

    count: NDArray[np.int64]  # (I,)
    mean: FloatArray  # (I,)


def tone(scores: FloatArray, about: NDArray[np.bool_]) -> Tone:
    """Scores (N,) of headlines and which instruments each is about (N, I) as the tone of each instrument."""
    count = about.sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, (about * scores[:, None]).sum(axis=0) / np.maximum(count, 1), np.nan)
    return Tone(count, mean)
