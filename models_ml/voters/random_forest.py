"""Voter 5: a random forest over momentum, volatility, volume, candlesticks, the calendar and the other instruments."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from skops.io.exceptions import UntrustedTypesFoundException

from markets.values import FloatArray, IntArray
from models_ml.profiles import Profile
from models_ml.voters.base import CROSS_GROUP, CorruptArtifact, OnStep, columns_of
from models_ml.voters.trees import Lesson, TreeVoter

FILE = "forest.skops"
TRUSTED = ["sklearn.tree._tree.Tree"]
"""The only type beyond skops' own safe list that a forest needs: its flat node arrays."""
TREES_A_STEP = 10
GROUPS = ("momentum", "volatility", "volume", "candlesticks", "calendar", CROSS_GROUP)


class RandomForestVoter(TreeVoter):
    """200 trees (`standard`) with heavy leaves, one thread."""

    key = "random_forest"
    forest: RandomForestRegressor

    def view(self) -> IntArray:
        """The groups of `GROUPS`: with its own eyes its errors stay its own."""
        return columns_of(self.columns, GROUPS)

    def grow(self, lesson: Lesson, profile: Profile, seed: int, on_step: OnStep | None) -> int:
        """See `TreeVoter.grow`."""
        forest = RandomForestRegressor(
            n_estimators=0,
            max_depth=profile.forest_depth,
            min_samples_leaf=profile.forest_leaf,
            max_features="sqrt",
            max_samples=min(1.0, profile.forest_rows / len(lesson.own)),
            warm_start=True,
            n_jobs=1,
            random_state=seed,
        )
        for trees in range(TREES_A_STEP, profile.forest_trees + TREES_A_STEP, TREES_A_STEP):
            forest.set_params(n_estimators=min(trees, profile.forest_trees))
            forest.fit(lesson.rows, lesson.own)
            if on_step:
                on_step(forest.n_estimators, profile.forest_trees)
        self.forest = forest
        return int(forest.n_estimators)

    def own(self, rows: NDArray[np.float32]) -> FloatArray:
        """See `TreeVoter.own`: the mean of the leaves.

        It asks the trees themselves: the forest's own `predict` spends more on checks than on 50 rows.
        """
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        total = np.zeros(len(rows))
        for tree in self.forest.estimators_:
            total += tree.tree_.predict(rows)[:, 0]
        return total / len(self.forest.estimators_)

    def store(self, folder: Path) -> None:
        """See `TreeVoter.store`."""
        skops.io.dump(self.forest, folder / FILE)

    def restore(self, folder: Path) -> None:
        """See `TreeVoter.restore`; any type outside `TRUSTED` is refused by skops before it is built."""
        try:
            self.forest = skops.io.load(folder / FILE, trusted=TRUSTED)
        except (UntrustedTypesFoundException, BadZipFile) as error:
            raise CorruptArtifact(f"{folder / FILE} is no forest of ours ({error}): train again") from error
