"""Where there is nothing to find nothing is found, and a planted signal is found at its strength."""

from dataclasses import replace

import numpy as np
import pytest

from models_ml.profiles import QUICK
from models_ml.samples import Samples
from models_ml.validation.metrics import rise_given_move
from models_ml.validation.splits import time_ordered
from models_ml.voters.xgb import XgbVoter
from tests.models_ml.worlds import COLUMNS, TOLD, world

PROFILE = replace(QUICK, xgb_trees=60, xgb_depth=3)
DAY = 1440
STRENGTH = 0.5
BEST = 0.5 + np.arcsin(STRENGTH / np.hypot(1, STRENGTH)) / np.pi
"""Accuracy of the sign of one of two Gaussians with this correlation."""


def accuracy(samples: Samples) -> tuple[float, float]:
    """Accuracy of boosted trees on later, purged minutes, and its standard error at one half."""
    minutes = samples.open_times[samples.index[:, 1]]
    train, validation, later = (samples.pick(rows) for rows in time_ordered(minutes))
    voter = XgbVoter(COLUMNS)
    voter.fit(train, validation, PROFILE)
    labels = later.labels()
    use = (labels == 0) | (labels == 2)
    hits = (rise_given_move(voter.predict(later.pick(use))) > 0.5) == (labels[use] == 2)
    return float(hits.mean()), float(0.5 / np.sqrt(len(hits)))


@pytest.fixture(scope="module")
def planted() -> Samples:
    return world(instruments=4, minutes=4 * DAY, strength=STRENGTH, seed=11)


def test_a_planted_signal_is_recovered(planted: Samples) -> None:
    found, error = accuracy(planted)
    assert abs(found - BEST) < 2 * error + 0.01  # 0.01: what trees lose on a smooth edge


def test_shuffled_outcomes_are_not_predictable(planted: Samples) -> None:
    order = np.random.default_rng(3).permutation(planted.ohlcv.shape[1])
    found, error = accuracy(replace(planted, ohlcv=planted.ohlcv[:, order]))
    assert abs(found - 0.5) < 2 * error


def test_features_of_another_day_do_not_help(planted: Samples) -> None:
    found, error = accuracy(replace(planted, features=np.roll(planted.features, DAY, axis=1)))
    assert abs(found - 0.5) < 2 * error


def test_a_leak_stands_out(planted: Samples) -> None:
    """The outcome itself among the features: an accuracy no honest feature reaches."""
    features = planted.features.copy()
    body = planted.ohlcv[:, 1:, 3] - planted.ohlcv[:, 1:, 0]
    features[:, :-1, TOLD] = np.sign(body)
    found, _ = accuracy(replace(planted, features=features))
    assert found > 0.95


def test_a_random_walk_quoted_with_a_spread_scores_one_half() -> None:
    """Trades bounce between bid and ask: close-to-close shows "skill", entry at the next open shows none."""
    rng = np.random.default_rng(5)
    flat = world(instruments=4, minutes=4 * DAY, seed=5)
    mid = 100 * np.exp(np.cumsum(rng.normal(0, 3e-4, (4, 4 * DAY, 2)).reshape(4, -1), axis=1)).reshape(4, -1, 2)
    quoted = mid * (1 + 3e-4 * rng.choice([-1.0, 1.0], mid.shape))
    opened, close = quoted[..., 0], quoted[..., 1]
    ohlcv = np.stack([opened, np.maximum(opened, close), np.minimum(opened, close), close, np.ones_like(close)], -1)
    moves = np.diff(np.log(close), axis=1, prepend=np.log(close[:, :1]))
    features = flat.features.copy()
    features[..., TOLD] = moves
    features[..., TOLD + 1] = np.log(close / opened)

    bounce = np.sign(moves[:, 1:-1]) == -np.sign(moves[:, 2:])
    assert bounce.mean() > 0.55
    found, error = accuracy(replace(flat, ohlcv=ohlcv, features=features))
    assert abs(found - 0.5) < 2 * error
