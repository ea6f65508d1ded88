"""Voter 4: gradient boosting over all engineered features."""

from pathlib import Path

import numpy as np
import xgboost
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters.base import CorruptArtifact, OnStep
from models_ml.voters.trees import Learned, TreeVoter

FILE = "trees.ubj"
BINS = 64
EARLY_STOP_ROUNDS = 60
IMPORTANT = 20
"""Features whose weight is kept."""


class _Progress(xgboost.callback.TrainingCallback):
    """Tells how many rounds are done."""

    def __init__(self, on_step: OnStep, rounds: int) -> None:
        super().__init__()
        self.on_step, self.rounds = on_step, rounds

    def after_iteration(self, model: object, epoch: int, evals_log: object) -> bool:
        self.on_step(epoch + 1, self.rounds)
        return False


class XgbVoter(TreeVoter):
    """500 trees of depth 8 (`standard`), histogram method, early stop on the validation slice."""

    key = "xgb"
    on_line = True
    booster: "xgboost.Booster"

    def view(self) -> IntArray:
        """All columns."""
        return np.arange(len(self.columns))

    def grow(self, train: Learned, validation: Learned, profile: Profile, seed: int, on_step: OnStep | None) -> int:
        """See `TreeVoter.grow`; heavy leaves and thin samples because the signal is a percent or two."""
        settings = {
            "objective": "reg:squarederror",
            "tree_method": "hist",
            "max_bin": BINS,
            "max_depth": profile.xgb_depth,
            "eta": profile.xgb_rate,
            "min_child_weight": max(20.0, len(train[1]) / 1000),
            "subsample": 0.5,
            "colsample_bytree": 0.3,
            "lambda": 10.0,
            "nthread": 1,
            "base_score": 0.0,
            "seed": seed,
        }
        learned = xgboost.QuantileDMatrix(*train, max_bin=BINS, nthread=1)
        held = xgboost.QuantileDMatrix(*validation, max_bin=BINS, nthread=1, ref=learned)
        booster = xgboost.train(
            settings,
            learned,
            num_boost_round=profile.xgb_trees,
            evals=[(held, "validation")],
            early_stopping_rounds=EARLY_STOP_ROUNDS,
            callbacks=[_Progress(on_step, profile.xgb_trees)] if on_step else None,
            verbose_eval=False,
        )
        self.booster = booster[: booster.best_iteration + 1]
        return int(booster.best_iteration) + 1

    def own(self, rows: NDArray[np.float32]) -> FloatArray:
        """See `TreeVoter.own`."""
        return np.asarray(self.booster.inplace_predict(rows), dtype=np.float64)

    def importances(self, samples: Samples) -> dict[str, float]:
        """See `Voter.importances`: mean absolute contribution to the log-odds, scaled to sum 1 (Lundberg 2018)."""
        known = samples.pick(self._known(samples))
        if not len(known):
            return {}
        parts = self.booster.predict(xgboost.DMatrix(self._rows(known), nthread=1), pred_contribs=True)
        weights = np.abs(parts[:, :-1]).mean(axis=0)  # the last column is the bias
        names = [*(self.columns[place] for place in self.chosen), "instrument"]
        order = np.argsort(-weights, kind="stable")[:IMPORTANT]
        return {names[place]: float(weights[place] / max(weights.sum(), 1e-12)) for place in order}

    def store(self, folder: Path) -> None:
        """See `TreeVoter.store`."""
        self.booster.save_model(folder / FILE)

    def restore(self, folder: Path) -> None:
        """See `TreeVoter.restore`."""
        try:
            self.booster = xgboost.Booster({"nthread": 1}, model_file=folder / FILE)
        except (xgboost.core.XGBoostError, ValueError) as error:
            raise CorruptArtifact(f"{folder / FILE} is no booster of ours: train again") from error
