"""The stacker's small XGBoost: what the regression misses of whom to believe when, over votes, context, instrument."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.logistic import row_losses
from models_ml.targets import even_weights
from models_ml.validation.comparison import gains
from models_ml.voters.base import CorruptArtifact

if TYPE_CHECKING:
    import xgboost

FILE = "stack.ubj"
MOST_TREES, PATIENCE = 300, 30
SURE = 2.0
HELD_SHARE = 0.2
"""The latest share of the rows, which says how many trees are enough."""


@dataclass(frozen=True)
class Boosted:
    """Trees over (votes, context, instrument) that add to the regression, or none where they add nothing sure."""

    booster: "xgboost.Booster | None"
    trees: int
    markets: IntArray  # (M,) sorted, those learned from

    @classmethod
    def choose(
        cls,
        odds: FloatArray,
        context: FloatArray,
        market: IntArray,
        up: NDArray[np.bool_],
        start: FloatArray,
        seed: int,
    ) -> "Boosted":
        """Grow from `start` (N,), the regression's log-odds, while the latest rows gain; rows in order of time.

        Those rows are not learned from. Trees that gain no more on them than `SURE` standard errors are left out: the
        number of them was chosen there.
        """
        import xgboost  # seconds to import, and only workers need it

        markets = np.unique(market)
        cut = max(1, int((1 - HELD_SHARE) * len(up)))
        table = _table(odds, context, market, markets)
        held = _matrix(table[cut:], start[cut:], up[cut:])
        booster = xgboost.train(
            _settings(cut, seed),
            _matrix(table[:cut], start[:cut], up[:cut]),
            num_boost_round=MOST_TREES,
            evals=[(held, "later")],
            early_stopping_rounds=PATIENCE,
            verbose_eval=False,
        )
        trees = int(booster.best_iteration) + 1
        said = np.asarray(booster[:trees].predict(held, output_margin=True), dtype=np.float64)
        if not gains(row_losses(start[cut:], up[cut:]) - row_losses(said, up[cut:]), SURE):
            return cls(None, 0, markets)
        return cls(booster[:trees], trees, markets)

    def again(
        self,
        odds: FloatArray,
        context: FloatArray,
        market: IntArray,
        up: NDArray[np.bool_],
        start: FloatArray,
        seed: int,
    ) -> "Boosted":
        """As many trees, grown from these rows."""
        if not self.trees:
            return self
        import xgboost

        markets = np.unique(market)
        data = _matrix(_table(odds, context, market, markets), start, up)
        return Boosted(xgboost.train(_settings(len(up), seed), data, num_boost_round=self.trees), self.trees, markets)

    def __call__(self, odds: FloatArray, context: FloatArray, market: IntArray) -> FloatArray:
        """What is added to the regression's log-odds (N,); 0 without trees."""
        if self.booster is None or not len(odds):
            return np.zeros(len(odds))
        table = _table(odds, context, market, self.markets)
        return np.asarray(self.booster.inplace_predict(table, predict_type="margin"), dtype=np.float64)

    def as_json(self) -> dict[str, Any]:
        """What the file of trees does not say."""
        return {"trees": self.trees, "markets": self.markets.tolist()}

    def save(self, folder: Path) -> None:
        """Write the trees, if any."""
        if self.booster is not None:
            self.booster.save_model(folder / FILE)

    @classmethod
    def load(cls, facts: dict[str, Any], folder: Path) -> "Boosted":
        """What `as_json` and `save` wrote; raises `CorruptArtifact`."""
        trees, markets = int(facts["trees"]), np.array(facts["markets"], dtype=np.int64)
        if not trees:
            return cls(None, 0, markets)
        import xgboost

        try:
            booster = xgboost.Booster({"nthread": 1}, model_file=folder / FILE)
        except (xgboost.core.XGBoostError, ValueError) as error:
            raise CorruptArtifact(f"{folder / FILE} is no booster of ours: train again") from error
        return cls(booster, trees, markets)


def _settings(rows: int, seed: int) -> dict[str, Any]:
    """Shallow trees with heavy leaves: votes are few, and an edge is a percent or two."""
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_bin": 64,
        "max_depth": 3,
        "eta": 0.03,
        "min_child_weight": max(25.0, rows / 1000),
        "subsample": 0.5,
        "colsample_bytree": 0.5,
        "lambda": 10.0,
        "nthread": 1,
        "base_score": 0.5,
        "seed": seed,
    }


def _matrix(table: NDArray[np.float32], start: FloatArray, up: NDArray[np.bool_]) -> "xgboost.DMatrix":
    """Rows with what happened and where their log-odds start."""
    import xgboost

    return xgboost.DMatrix(table, up.astype(np.float32), weight=even_weights(up), base_margin=start, nthread=1)


def _table(odds: FloatArray, context: FloatArray, market: IntArray, markets: IntArray) -> NDArray[np.float32]:
    """(N, S + K + 1): the instrument is its place among those learned from, unknown where it is none of them."""
    place = np.minimum(np.searchsorted(markets, market), len(markets) - 1)
    number = np.where(markets[place] == market, place.astype(np.float64), np.nan)
    return np.concatenate([odds, context, number[:, None]], axis=1, dtype=np.float32)
