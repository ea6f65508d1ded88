"""What a forecast has to beat: rules of thumb, plain regressions, and an untuned model everybody would try first.

A rule says a side; its probability is ½ and as much more as the side came true in the training part, so that rules and
models are told in the same figures. Silence is NaN.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.logistic import fit_logistic, logit, sigmoid
from models_ml.evaluation.plan import Slices
from models_ml.features import VECTOR
from models_ml.samples import Samples

KNOWN = "known_baseline"
MOST_ROWS = 2_500_000
"""Rows that the fitted ones learn from, evenly drawn."""
LEAST_LEAN = 1e-4
RIDGE = 1e-4
CLIP = 8.0

PLAIN: tuple[str, ...] = (
    "return_1", "return_2", "return_3", "return_5", "return_10", "return_15", "return_30", "return_60",
    "body_share", "upper_share", "lower_share", "body_size", "opening_gap", "streak",
    "ema_gap_5", "ema_gap_10", "ema_gap_20", "ema_gap_50", "sma_gap_20", "sma_gap_60", "sma_gap_200",
    "macd_histogram", "rsi_7", "rsi_14", "stochastic_k_14_3", "cci_20", "rate_of_change_12", "channel_20", "channel_60",
    "score_20", "score_60", "band_place_20", "band_width_20", "natr_14", "deviation_10", "deviation_60",
    "deviation_ratio_10_60", "range_ratio_14", "relative_volume_20", "relative_volume_60", "on_balance_20",
    "hour_sine", "hour_cosine", "day_sine", "day_cosine",
)  # fmt: skip
"""45 candle features that any tutorial computes."""

PATIENT = {
    "max_iter": 200,
    "learning_rate": 0.05,
    "min_samples_leaf": 200,
    "l2_regularization": 1.0,
    "early_stopping": False,
}
"""Settings that suit a weak signal, chosen on nothing."""

Rule = Callable[[Samples], FloatArray]


def kept_at(folder: Path) -> Path:
    """Where the forecasts of the test part are kept."""
    return folder / "baselines.npz"


def keep(folder: Path, samples: Samples, slices: Slices) -> None:
    """Fit all on the training part and write P(up | moved) of every test row, by name."""
    draft = folder / "baselines.part.npz"
    said = {name: one.astype(np.float32) for name, one in forecasts(samples, slices).items()}
    np.savez(draft, allow_pickle=False, **said)
    draft.rename(kept_at(folder))


def read(folder: Path) -> dict[str, FloatArray]:
    """What `keep` wrote."""
    with np.load(kept_at(folder)) as kept:
        return {name: kept[name].astype(np.float64) for name in kept.files}


def forecasts(samples: Samples, slices: Slices) -> dict[str, FloatArray]:
    """Name → P(up | moved) (N,) on the test rows, NaN where it says nothing; nothing of the test part is learned."""
    learned = np.concatenate([slices.train_again, slices.validation_again])
    if len(learned) > MOST_ROWS:
        learned = np.sort(np.random.default_rng(0).choice(learned, MOST_ROWS, replace=False))
    labels = samples.pick(learned).labels()
    learned, labels = learned[(labels == 0) | (labels == 2)], labels[(labels == 0) | (labels == 2)]
    train, test, up = samples.pick(learned), samples.pick(slices.test), labels == 2
    share = float(up.mean())
    said = {"train_majority": np.full(len(test), share)}
    for name, rule in RULES.items():
        said[name] = _believed(rule(train), up, rule(test))
    said["logistic_five_returns"] = _logistic(_returns(train), up, _returns(test))
    rows, asked = _plain(train), _plain(test)
    said["default_boosting"] = _boosted(rows, up, asked)
    whole, whole_asked = (np.concatenate([x, _instruments(s)], axis=1) for x, s in ((rows, train), (asked, test)))
    three = _logistic(whole, up, whole_asked), _boosted(rows, up, asked, **PATIENT), _xgboost(rows, up, asked)
    said[KNOWN] = sigmoid(np.mean([logit(one) for one in three], axis=0))
    return said


def _sign(values: FloatArray) -> FloatArray:
    """−1, 0 or 1; 0 where unknown: no side."""
    return np.nan_to_num(np.sign(values))


def _closes(samples: Samples, bars: int) -> FloatArray:
    """The last `bars` closes of each row (N, bars), oldest first; NaN before the first candle."""
    rows = samples.index[:, 1, None] + np.arange(1 - bars, 1)
    found = samples.ohlcv[samples.index[:, 0, None], np.maximum(rows, 0), 3]
    return np.where(rows >= 0, found, np.nan)


def _last_move(samples: Samples) -> FloatArray:
    closes = _closes(samples, 2)
    return closes[:, 1] - closes[:, 0]


def _moved_over_20(samples: Samples) -> FloatArray:
    closes = _closes(samples, 21)
    return closes[:, -1] - closes[:, 0]


def _averages_apart(samples: Samples) -> FloatArray:
    """Mean of the last 10 closes less that of the last 50, which must all be there."""
    closes = _closes(samples, 50)
    return np.asarray(closes[:, -10:].mean(axis=1) - closes.mean(axis=1))


RULES: dict[str, Rule] = {
    "always_up": lambda samples: np.ones(len(samples)),
    "buy_and_hold": lambda samples: np.ones(len(samples)),
    "last_sign": lambda samples: _sign(_last_move(samples)),
    "anti_last_sign": lambda samples: -_sign(_last_move(samples)),
    "reversal_20": lambda samples: -_sign(_moved_over_20(samples)),
    "sma_10_50": lambda samples: _sign(_averages_apart(samples)),
}
"""Rules of thumb: the side of each row. Buy and hold says what always up says and never trades."""

HELD = frozenset({"buy_and_hold"})
"""Positions that are entered once: no minute of them costs anything."""

NAMES: tuple[str, ...] = ("train_majority", *RULES, "logistic_five_returns", "default_boosting", KNOWN)


def _believed(before: FloatArray, up: NDArray[np.bool_], side: FloatArray) -> FloatArray:
    """½ and as much more towards the side as it came true before; a rule that was wrong is still heard as itself."""
    spoke = before != 0
    right = float(((before > 0) == up)[spoke].mean()) if spoke.any() else 0.5
    return np.where(side != 0, 0.5 + side * max(right - 0.5, LEAST_LEAN), np.nan)


def _returns(samples: Samples) -> FloatArray:
    """The last five one-minute returns in units of their volatility (N, 5)."""
    column = VECTOR.index("return_1")
    first = len(samples.open_times) - samples.features.shape[1]
    rows = samples.index[:, 1, None] - first - np.arange(5)
    found = samples.features[samples.index[:, 0, None], np.maximum(rows, 0), column].astype(np.float64)
    return np.where(rows >= 0, found, np.nan)


def _plain(samples: Samples) -> FloatArray:
    return samples.matrix(np.array([VECTOR.index(name) for name in PLAIN])).astype(np.float64)


def _instruments(samples: Samples) -> FloatArray:
    """One column an instrument (N, I)."""
    return np.asarray((samples.index[:, 0, None] == np.arange(len(samples.ohlcv))).astype(np.float64))


def _telling(rows: FloatArray) -> NDArray[np.bool_]:
    """Columns (F,) with more than one known value: currencies have no volume."""
    return np.asarray(np.fmin.reduce(rows, axis=0) < np.fmax.reduce(rows, axis=0))


def _logistic(rows: FloatArray, up: NDArray[np.bool_], asked: FloatArray) -> FloatArray:
    """Logistic regression on columns of unit size, unknown values at their mean."""
    told = _telling(rows)
    rows, asked = rows[:, told], asked[:, told]
    centre, spread = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)

    def ready(values: FloatArray) -> FloatArray:
        scaled = np.clip(np.nan_to_num((values - centre) / spread), -CLIP, CLIP)
        return np.concatenate([scaled, np.ones((len(values), 1))], axis=1)

    return sigmoid(ready(asked) @ fit_logistic(ready(rows), up, RIDGE))


def _boosted(rows: FloatArray, up: NDArray[np.bool_], asked: FloatArray, **settings: float) -> FloatArray:
    """Histogram gradient boosting of scikit-learn, as it comes where nothing is set."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # seconds to import, and only evaluations need it
    from threadpoolctl import threadpool_limits

    told = _telling(rows)
    rows, asked = rows[:, told], asked[:, told]
    with threadpool_limits(1):  # on a busy machine its threads wait for each other and do nothing else
        model = HistGradientBoostingClassifier(random_state=0, **settings).fit(rows, up)
        return np.asarray(model.predict_proba(asked)[:, 1], dtype=np.float64)


def _xgboost(rows: FloatArray, up: NDArray[np.bool_], asked: FloatArray) -> FloatArray:
    import xgboost  # seconds to import, and only workers need it

    settings = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": 5,
        "eta": 0.03,
        "subsample": 0.7,
        "colsample_bytree": 0.7,
        "min_child_weight": 100,
        "nthread": 1,
        "seed": 0,
    }
    model = xgboost.train(settings, xgboost.DMatrix(rows, up.astype(np.float32), nthread=1), num_boost_round=300)
    return np.asarray(model.predict(xgboost.DMatrix(asked, nthread=1)), dtype=np.float64)


def sides(said: FloatArray) -> IntArray:
    """Sides (N,) of P(up | moved): −1, 1, and 0 where it is silent or exactly ½."""
    return np.nan_to_num(np.sign(said - 0.5)).astype(np.int64)
