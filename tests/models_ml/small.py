"""A panel small enough to be trained inside a test run."""

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.panel import PanelVotes
from models_ml.profiles import QUICK
from models_ml.samples import Samples
from models_ml.voters import voter_class
from models_ml.voters.base import Voter
from tests.models_ml.worlds import COLUMNS, world

TINY = replace(
    QUICK,
    name="tiny",
    max_rows=800,
    epochs=2,
    patience=2,
    min_rows=100,
    xgb_trees=20,
    forest_trees=20,
    forest_leaf=30,
    lstm_width=16,
    gru_width=16,
    transformer_width=16,
    cnn_channels=(4, 8, 8),
    book_channels=4,
    book_width=8,
    book_hours=1.0,
)


@cache
def market() -> Samples:
    """One small market with books, shared by tests that only read it."""
    return world(instruments=2, minutes=1200, strength=0.5, with_books=True)


def parts() -> tuple[Samples, Samples, Samples]:
    """Training, validation and later rows of `market`."""
    samples = market()
    minute = samples.index[:, 1]
    return samples.pick(minute < 800), samples.pick((minute >= 805) & (minute < 1000)), samples.pick(minute >= 1005)


@cache
def fitted(seat: str, seed: int = 0) -> Voter:
    """A trained voter of this seat; not to be changed."""
    train, validation, _ = parts()
    voter = voter_class(seat)(COLUMNS)
    voter.fit(train, validation, TINY, seed=seed)
    return voter


def majority(votes: PanelVotes) -> tuple[NDArray[np.int8], FloatArray]:
    """A consensus for tests: the side of the majority, scored by its margin."""
    margin = votes.direction.sum(axis=1)
    return np.sign(margin).astype(np.int8), np.abs(margin) / votes.direction.shape[1]
