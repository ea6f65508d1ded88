"""The three models of the table: each learns, chooses on later rows, and learns again with the choices made.

A forecast is a pair of score arrays in log-odds of up against down, (rows, targets): of the choosing rows before they
were learned from, for thresholds, and of the test rows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.evaluation.book_figures import LEAST
from models_ml.evaluation.book_quotes import CLOCK
from models_ml.evaluation.book_set import TARGETS, BookSet, joined
from models_ml.features.book_frames import PATH, SUMMARY
from models_ml.profiles import Profile
from models_ml.voters.book_net import BookNet
from models_ml.voters.book_training import Choices, Lesson, Pace, learn, logits, repeat

Scores = tuple[FloatArray, FloatArray]
Model = Callable[[BookSet, BookSet, BookSet, int], Scores]
"""(learn, choose, test, seed) → scores of the choosing and of the test rows."""

LEANS = tuple(TARGETS.index(("10s", late)) if horizon == "60s" else None for horizon, late in TARGETS)
"""A minute starts from its ten seconds."""
LAGS = tuple(CLOCK.index(age) for age in (120.0, 60.0, 15.0, 5.0, 1.0))
TREES: dict[str, Any] = {
    "max_depth": 4,
    "learning_rate": 0.05,
    "subsample": 0.7,
    "colsample_bytree": 0.7,
    "min_child_weight": 50,
    "reg_lambda": 10,
    "tree_method": "hist",
    "n_jobs": 1,
}
MOST_TREES, PATIENCE = 400, 30
INPUTS = 34


def imbalance(learned: BookSet, choose: BookSet, test: BookSet, seed: int) -> Scores:
    """Logistic of the queue imbalance, one an instrument and target."""
    both = joined(learned, choose)
    return _logistic(learned, choose), _logistic(both, test)


def imbalance_odd(learned: BookSet, choose: BookSet, test: BookSet, seed: int) -> Scores:
    """The same without an intercept: equal queues are even odds, and the drift of the learned days is no forecast."""
    both = joined(learned, choose)
    return _logistic(learned, choose, drift=False), _logistic(both, test, drift=False)


def boosting(learned: BookSet, choose: BookSet, test: BookSet, seed: int) -> Scores:
    """Gradient boosting on 34 inputs of the instrument's own book; the later rows choose the number of trees."""
    return _boosted(learned, choose, test, seed, narrow)


def boosting_wide(learned: BookSet, choose: BookSet, test: BookSet, seed: int) -> Scores:
    """The same with what the other instruments' books sum up to, which the voter sees too."""
    return _boosted(learned, choose, test, seed, wide)


def voter(profile: Profile) -> Model:
    """The net of `cnn_lstm_book` at the sizes of a profile, learning as it does live."""

    def run(learned: BookSet, choose: BookSet, test: BookSet, seed: int) -> Scores:
        first, choices = _chosen(profile, learned, choose, seed)
        again = _again(profile, joined(learned, choose), choices, seed)
        return _leaning(first, choose), _leaning(again, test)

    return run


def narrow(rows: BookSet) -> NDArray[np.float32]:
    """The 34 inputs: sums, state, imbalance and distance of five frames, last flows, variability, instrument."""
    _, path, sums = rows.tensors
    channel = {name: path[:, :, place] for place, name in enumerate(PATH)}
    columns = [sums[:, : len(SUMMARY)]]
    columns += [channel[name][:, -1:] for name in ("spread", "depth", "gap")]
    columns += [channel[name][:, list(LAGS)] for name in ("imbalance", "distance")]
    columns += [channel["flow"][:, -3:], channel["spread"].mean(axis=1, keepdims=True)]
    columns += [channel["move"].std(axis=1, keepdims=True), rows.numbers[:, None].astype(np.float32)]
    return np.concatenate(columns, axis=1)


def wide(rows: BookSet) -> NDArray[np.float32]:
    """The 34 inputs and the market's sums."""
    return np.concatenate([narrow(rows), rows.tensors[2][:, len(SUMMARY) :]], axis=1)


def _moved(labels: NDArray[np.int8]) -> NDArray[np.bool_]:
    return np.asarray((labels == 0) | (labels == 2))


def _logistic(train: BookSet, asked: BookSet, *, drift: bool = True) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    out = np.zeros((len(asked), len(TARGETS)))
    seen, given = train.tensors[2][:, :1], asked.tensors[2][:, :1]
    for target in range(len(TARGETS)):
        labels, moved = train.labels[:, target], _moved(train.labels[:, target])
        for number in np.unique(asked.numbers):
            use = moved & (train.numbers == number)
            use = use if use.sum() >= LEAST else moved  # an instrument that was never met is like all
            if len(np.unique(labels[use])) == 2:
                rows = asked.numbers == number
                fitted = LogisticRegression(C=1e3, fit_intercept=drift).fit(seen[use], labels[use] == 2)
                out[rows, target] = fitted.decision_function(given[rows])
    return out


def _boosted(
    learned: BookSet, choose: BookSet, test: BookSet, seed: int, inputs: Callable[[BookSet], NDArray[np.float32]]
) -> Scores:
    from xgboost import XGBClassifier

    both = joined(learned, choose)
    first, later, whole, asked = (inputs(part) for part in (learned, choose, both, test))
    out = np.zeros((len(choose), len(TARGETS))), np.zeros((len(test), len(TARGETS)))
    for target in range(len(TARGETS)):
        old, new, all_ = (part.labels[:, target] for part in (learned, choose, both))
        if any(len(np.unique(labels[_moved(labels)])) < 2 for labels in (old, new)):
            continue
        watched = [(later[_moved(new)], new[_moved(new)] == 2)]
        model = XGBClassifier(n_estimators=MOST_TREES, early_stopping_rounds=PATIENCE, random_state=seed, **TREES)
        model.fit(first[_moved(old)], old[_moved(old)] == 2, eval_set=watched, verbose=False)
        again = XGBClassifier(n_estimators=model.best_iteration + 1, random_state=seed, **TREES)
        again.fit(whole[_moved(all_)], all_[_moved(all_)] == 2)
        out[0][:, target] = model.predict(later, output_margin=True)
        out[1][:, target] = again.predict(asked, output_margin=True)
    return out


def _chosen(profile: Profile, learned: BookSet, choose: BookSet, seed: int) -> tuple[BookNet, Choices]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = _net(profile, learned)
        return net, learn(net, _lesson(learned), _lesson(choose), _pace(profile)).choices


def _again(profile: Profile, rows: BookSet, choices: Choices, seed: int) -> BookNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = _net(profile, rows)
        repeat(net, _lesson(rows), choices, _pace(profile))
        return net


def _net(profile: Profile, rows: BookSet) -> BookNet:
    torch.set_num_threads(1)
    levels = rows.tensors[0].shape[-1]
    return BookNet(profile.book_channels, profile.book_width, int(rows.numbers.max()) + 1, levels, len(TARGETS))


def _pace(profile: Profile) -> Pace:
    return Pace(profile.epochs, profile.patience, profile.batch, profile.learning_rate, profile.max_rows)


def _lesson(rows: BookSet) -> Lesson:
    return Lesson(rows.read, rows.labels, rows.numbers, LEANS)


def _leaning(net: BookNet, rows: BookSet) -> FloatArray:
    said = logits(net, _lesson(rows))
    lean: FloatArray = said[..., 2] - said[..., 0]
    return lean
