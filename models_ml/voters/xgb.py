"""Voter 4: gradient boosting over engineered features, asked two questions: which way, and how far by itself."""

from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.targets import even_weights
from models_ml.voters.base import CROSS_GROUP, CorruptArtifact, OnStep, columns_of
from models_ml.voters.leaning import USUAL
from models_ml.voters.trees import Lesson, TreeVoter

SIGN, SIZE = "sign.ubj", "size.ubj"
BINS = 64
IMPORTANT = 20
"""Features whose weight is kept."""
LEAVES = 1500
"""Smallest leaf: one in so many rows."""
FLAT = 0.25
"""Weight of a row in the logistic loss, p · (1 − p)."""
GROUPS = ("structure", "momentum", "volatility", "candlesticks", "footing", "calendar", CROSS_GROUP)


class _Progress(xgboost.callback.TrainingCallback):
    """Tells how many rounds are done."""

    def __init__(self, on_step: OnStep, before: int, rounds: int) -> None:
        super().__init__()
        self.on_step, self.before, self.rounds = on_step, before, rounds

    def after_iteration(self, model: object, epoch: int, evals_log: object) -> bool:
        self.on_step(self.before + epoch + 1, self.rounds)
        return False


class XgbVoter(TreeVoter):
    """500 trees of depth 8 (`standard`), histogram method: half learn the sign of the move, half its own part.

    The sign is what is asked, the size says more about what drives it, and the two are wrong at different minutes. All
    trees are kept: validation rows of a few days stopped the growth after a handful where later days wanted hundreds.
    A small rate, heavy leaves and thin samples keep them from learning noise.
    """

    key = "xgb"
    sign: xgboost.Booster
    size: xgboost.Booster

    def view(self) -> IntArray:
        """The groups of `GROUPS`."""
        return columns_of(self.columns, GROUPS)

    def grow(self, lesson: Lesson, profile: Profile, seed: int, on_step: OnStep | None) -> int:
        """See `TreeVoter.grow`."""
        moved, half = lesson.labels != 1, profile.xgb_trees // 2
        up = lesson.labels[moved] == 2
        sign = _matrix(lesson.rows[moved], up.astype(np.float32), even_weights(up))
        size = _matrix(lesson.rows, lesson.own)

        def tellers(before: int) -> list[xgboost.callback.TrainingCallback]:
            return [_Progress(on_step, before, profile.xgb_trees)] if on_step else []

        settings = _settings(profile, seed)
        self.sign = xgboost.train(settings | _logistic(len(up)), sign, half, callbacks=tellers(0))
        self.size = xgboost.train(
            settings | _squared(len(lesson.own)), size, profile.xgb_trees - half, callbacks=tellers(half)
        )
        return profile.xgb_trees

    def own(self, rows: NDArray[np.float32]) -> FloatArray:
        """See `TreeVoter.own`."""
        return np.asarray(self.size.inplace_predict(rows), dtype=np.float64)

    def lean(self, rows: NDArray[np.float32], shared: FloatArray) -> FloatArray:
        """See `TreeVoter.lean`: the mean of both answers, a chance taken for the move that usually has it."""
        odds = np.asarray(self.sign.inplace_predict(rows, predict_type="margin"), dtype=np.float64)
        return (super().lean(rows, shared) + odds / USUAL) / 2

    def importances(self, samples: Samples) -> dict[str, float]:
        """See `Voter.importances`: mean absolute contribution to the log-odds, scaled to sum 1 (Lundberg 2018)."""
        known = samples.pick(self._known(samples))
        if not len(known):
            return {}
        table = xgboost.DMatrix(self._rows(known), nthread=1)
        parts = self.sign.predict(table, pred_contribs=True) / USUAL + self.size.predict(table, pred_contribs=True)
        weights = np.abs(parts[:, :-1]).mean(axis=0)  # the last column is the bias
        names = [*(self.columns[place] for place in self.chosen), "instrument"]
        order = np.argsort(-weights, kind="stable")[:IMPORTANT]
        return {names[place]: float(weights[place] / max(weights.sum(), 1e-12)) for place in order}

    def store(self, folder: Path) -> None:
        """See `TreeVoter.store`."""
        self.sign.save_model(folder / SIGN)
        self.size.save_model(folder / SIZE)

    def restore(self, folder: Path) -> None:
        """See `TreeVoter.restore`."""
        try:
            self.sign, self.size = (xgboost.Booster({"nthread": 1}, model_file=folder / name) for name in (SIGN, SIZE))
        except (xgboost.core.XGBoostError, ValueError) as error:
            raise CorruptArtifact(f"{folder} holds no booster of ours: train again") from error


def _matrix(
    rows: NDArray[np.float32], goal: NDArray[np.float32], weight: FloatArray | None = None
) -> xgboost.QuantileDMatrix:
    return xgboost.QuantileDMatrix(rows, goal, weight=weight, max_bin=BINS, nthread=1)


def _settings(profile: Profile, seed: int) -> dict[str, Any]:
    """Thin samples and a firm penalty, because the signal is a percent or two."""
    return {
        "tree_method": "hist",
        "max_bin": BINS,
        "max_depth": profile.xgb_depth,
        "eta": profile.xgb_rate,
        "subsample": 0.5,
        "colsample_bytree": 0.4,
        "lambda": 10.0,
        "nthread": 1,
        "seed": seed,
    }


def _squared(rows: int) -> dict[str, Any]:
    return {"objective": "reg:squarederror", "min_child_weight": max(20.0, rows / LEAVES), "base_score": 0.0}


def _logistic(rows: int) -> dict[str, Any]:
    leaf = FLAT * max(20.0, rows / LEAVES)
    return {"objective": "binary:logistic", "min_child_weight": leaf, "base_score": 0.5}
