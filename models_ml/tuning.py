"""Search for better sizes of a voter with Optuna, on PostgreSQL storage that any number of workers share.

A trial learns from the first 60 % of the window, stops early on the next tenth and is judged on the tenth after that;
the last fifth is never touched, so that what is stored afterwards has a slice it has not met. The best sizes make a
candidate like any other (`kind` tuned): only a won test brings them into force, and then later trainings keep them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import connection

from lib.errors import CandorError
from models_ml.features import VECTOR
from models_ml.fitting import decision_times
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.validation.splits import time_ordered
from models_ml.voters import voter_class
from models_ml.voters.base import NotEnoughData, log_loss

if TYPE_CHECKING:
    import optuna

SHARES = (0.6, 0.1, 0.1, 0.2)
"""Learn, stop early, judge, leave alone."""
FAILED = 10.0
"""Loss of a trial that could not learn, nats: worse than any that could."""

Sizes = dict[str, Any]
Space = Callable[["optuna.Trial", Profile], Sizes]


class NotTunable(CandorError):
    """A voter without a search space."""


def _xgb(trial: "optuna.Trial", profile: Profile) -> Sizes:
    return {
        "xgb_trees": profile.xgb_trees,
        "xgb_depth": trial.suggest_int("xgb_depth", 3, 10),
        "xgb_rate": trial.suggest_float("xgb_rate", 0.005, 0.2, log=True),
    }


def _forest(trial: "optuna.Trial", profile: Profile) -> Sizes:
    return {
        "forest_depth": trial.suggest_int("forest_depth", 4, 16),
        "forest_leaf": trial.suggest_int("forest_leaf", 20, 500, log=True),
    }


def _net(trial: "optuna.Trial", profile: Profile) -> Sizes:
    return {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)}


SPACES: dict[str, Space] = {
    "xgb": _xgb,
    "random_forest": _forest,
    "lstm": _net,
    "gru": _net,
    "transformer": _net,
    "cnn": _net,
    "cnn_lstm_book": _net,
}
"""Voter → the sizes that are searched."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best sizes of a study, and their loss beside that of the sizes in force, in nats."""

    sizes: Sizes
    loss: float
    before: float


def search(voter: str, samples: Samples, profile: Profile, *, study: str, trials: int, seed: int) -> Found:
    """Run `trials` more trials of a study, and tell the loss of the sizes in force beside its best.

    Raises:
        NotTunable: the voter has no search space.
    """
    import optuna

    if voter not in SPACES:
        raise NotTunable(f"voter {voter!r} has no sizes to tune: use one of {', '.join(SPACES)}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parts = [samples.pick(rows) for rows in time_ordered(decision_times(samples), SHARES)]
    found = optuna.create_study(
        storage=storage(),
        study_name=study,
        load_if_exists=True,
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed),
    )
    before = loss_of(voter, parts, profile, seed)

    def objective(trial: "optuna.Trial") -> float:
        return loss_of(voter, parts, replace(profile, **SPACES[voter](trial, profile)), seed)

    found.optimize(objective, n_trials=trials)
    best = SPACES[voter](found.best_trial, profile)  # type: ignore[arg-type]  # a frozen trial suggests what it had
    return Found(best, float(found.best_value), before)


def loss_of(voter: str, parts: list[Samples], profile: Profile, seed: int) -> float:
    """Mean log loss on the judging slice of a voter of these sizes."""
    train, stop, judge = parts[:3]
    model = voter_class(voter)(VECTOR)
    try:
        model.fit(train, stop, profile, seed=seed)
    except NotEnoughData:
        return FAILED
    labels, said = judge.labels(), model.predict(judge)
    use = (labels >= 0) & (said == said).all(axis=1)  # NaN rows are abstentions
    return log_loss(said[use], labels[use]) if use.any() else FAILED


def storage() -> "optuna.storages.RDBStorage":
    """Optuna's storage in our database, as the application's role, on connections of its own."""
    from optuna.storages import RDBStorage

    theirs = {"context", "cursor_factory"}  # what Django sets for itself and SQLAlchemy brings along
    facts = {name: value for name, value in connection.get_connection_params().items() if name not in theirs}
    return RDBStorage(
        "postgresql+psycopg://",
        engine_kwargs={"creator": lambda: psycopg.connect(**facts)},
        skip_table_creation=True,
    )
