"""Voter 4: gradient boosting over engineered features, asked two questions: which way, and how far by itself."""

from pathlib import Path

import numpy as np
import xgboost
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters.base import CROSS_GROUP, CorruptArtifact, OnStep, columns_of
from models_ml.voters.leaning import USUAL
from models_ml.voters.trees import Lesson, TreeVoter

SIGN, SIZE = "sign.ubj", "size.ubj"
BINS = 64
IMPORTANT = 20
"""Features whose weight is kept."""
LEAVES = 1500
"""Smallest leaf: one in so many rows."""
SCARCE = 1e-3
"""Least share of rises and falls that is made up for."""
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
        moved = lesson.labels != 1
        up = (lesson.labels[moved] == 2).astype(np.float32)
        even = np.where(up == 1, 0.5 / max(up.mean(), SCARCE), 0.5 / max(1 - up.mean(), SCARCE))  # drift is no forecast
        half, trees = profile.xgb_trees // 2, profile.xgb_trees
        self.sign = _boosted("binary:logistic", lesson.rows[moved], up, half, (profile, seed, on_step, 0), even)
        self.size = _boosted("reg:squarederror", lesson.rows, lesson.own, trees - half, (profile, seed, on_step, half))
        return trees

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


def _boosted(
    objective: str,
    rows: NDArray[np.float32],
    goal: NDArray[np.float32],
    trees: int,
    how: tuple[Profile, int, OnStep | None, int],
    weight: FloatArray | None = None,
) -> xgboost.Booster:
    """`trees` trees; `how` are sizes, seed, whom to tell, and the trees grown before."""
    profile, seed, on_step, before = how
    sign = objective == "binary:logistic"
    settings = {
        "objective": objective,
        "tree_method": "hist",
        "max_bin": BINS,
        "max_depth": profile.xgb_depth,
        "eta": profile.xgb_rate,
        "min_child_weight": max(20.0, len(goal) / LEAVES) * (FLAT if sign else 1.0),
        "subsample": 0.5,
        "colsample_bytree": 0.4,
        "lambda": 10.0,
        "nthread": 1,
        "base_score": 0.5 if sign else 0.0,
        "seed": seed,
    }
    return xgboost.train(
        settings,
        xgboost.QuantileDMatrix(rows, goal, weight=weight, max_bin=BINS, nthread=1),
        num_boost_round=trees,
        callbacks=[_Progress(on_step, before, profile.xgb_trees)] if on_step else None,
    )
