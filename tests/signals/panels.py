"""A leaderboard to look at: a panel with champions, a challenger, a muted voter, a measured record, trainings."""

from datetime import timedelta
from typing import Any

import numpy as np

from lib import clock
from markets.models import Run
from models_ml import muting
from models_ml.models import AgentVersion, Mute, TrainingRun
from models_ml.voters import LOCAL_SEATS, SEATS, STACK
from signals.models import PanelRecord
from signals.panel_record import Judged, figures_of
from tests.factories_market import make_run
from tests.factories_models import candidate, conclude, crown, register

LATER = {"n": 5_400, "accuracy": 0.531}
AGENT_FIGURES: dict[str, dict[str, Any]] = {
    "volatility": {
        "qlike_15": 0.312, "day_qlike_15": 0.401, "n_15": 12_345, "qlike_60": 0.344, "day_qlike_60": 0.39,
        "n_60": 12_300,
    },
    "moves": {"coverage_1": 0.803, "n_1": 5_000, "coverage_15": 0.794, "n_15": 4_900, "coverage_60": None, "n_60": 12},
    "regime": {"gain": 0.0042, "low": -0.0003, "high": 0.0087, "shown": False},
    "sizing_rl": {"n": 2_310, "difference": -9.46e-5, "low": -1.625e-4, "high": -3.08e-5, "beats": False},
}  # fmt: skip
SIZING = {
    "n": 412, "days": 9, "difference": 1.1e-5, "low": -4.2e-5, "high": 6.5e-5, "beats": False, "versions": 3,
    "missing": {"rows": 588, "days": 11},
}  # fmt: skip
IMPORTANCES = {"return_1": 0.21, "body_size": 0.12, "day_sine": 0.05, "instrument": 0.01}


def votes(rounds: int = 3_000, seed: int = 0) -> Judged:
    """Seven voters: the first two alike, all a little better than a coin, the book voter on few minutes."""
    rng = np.random.default_rng(seed)
    truth = rng.random(rounds) < 0.51
    labels = np.where(rng.random(rounds) < 0.03, 1, np.where(truth, 2, 0)).astype(np.int8)
    probabilities = np.full((rounds, len(SEATS), 3), np.nan)
    lean = (rng.normal(0, 0.06, (rounds, len(LOCAL_SEATS))) + np.where(truth, 0.01, -0.01)[:, None]).clip(-0.4, 0.4)
    lean[:, 1] = 0.8 * lean[:, 0] + 0.2 * lean[:, 1]
    for place in range(len(LOCAL_SEATS)):
        spoke = slice(None) if SEATS[place] != "cnn_lstm_book" else slice(0, 80)
        sides = np.stack([0.485 - lean[:, place], np.full(rounds, 0.03), 0.485 + lean[:, place]], axis=1)
        probabilities[spoke, place] = sides[spoke]
    with np.errstate(invalid="ignore"):
        directions = np.nan_to_num(np.sign(probabilities[..., 2] - probabilities[..., 0])).astype(np.int8)
    times = clock.epoch(clock.floor_minute(clock.wall_now())) - 60 * np.arange(rounds, 0, -1)
    return Judged(probabilities, directions, labels, times)


def agent(run: Run, key: str, **changes: Any) -> AgentVersion:  # any field
    """A fit of an agent whose files do not exist."""
    now = clock.wall_now()
    facts: dict[str, Any] = {
        "venue": run.venue, "market_class": "crypto", "agent": key, "profile": "quick", "path": f"{key}/nowhere",
        "sha256": "x", "code_version": "x", "seed": 7, "metrics": AGENT_FIGURES[key],
        "trained_from": now - timedelta(days=12), "trained_until": now, "trained_at": now,
    }  # fmt: skip
    return AgentVersion.objects.create(**facts | changes)


def panel(*, measured_ago: timedelta = timedelta(minutes=12)) -> Run:
    """The run whose leaderboard it is."""
    run, now = make_run("live"), clock.wall_now()
    old = now - timedelta(days=9)
    for seat in (*LOCAL_SEATS, STACK):
        metrics = {"later": LATER} | ({"importances": IMPORTANCES} if seat == "xgb" else {})
        crown(candidate(run.venue, seat, metrics=metrics, trained_until=now - timedelta(hours=7)))
    champions = {row.voter: row for row in run.venue.modelversion_set.filter(state="champion")}
    register(candidate(run.venue, "xgb"), champions["xgb"])
    conclude(register(candidate(run.venue, "gru"), champions["gru"]), won=False, reason="its gain is not sure enough")
    detail = "log loss rose from 0.690 to 0.742 over 4,310 minutes"
    muting.mute(run.venue_id, "crypto", "cnn", Mute.Reason.LOSS, by="drift", detail=detail)
    PanelRecord.objects.create(
        venue=run.venue, market_class="crypto", measured_at=now - measured_ago, until=now,
        figures=figures_of(votes()) | {"sizing": SIZING},
    )  # fmt: skip
    for key in AGENT_FIGURES:
        agent(run, key, trained_until=now - timedelta(hours=7))
    runs = TrainingRun.objects
    runs.create(venue=run.venue, profile="quick", state="failed", started_at=old, finished_at=old, beat_at=old,
                detail="interrupted: its process is gone")  # fmt: skip
    runs.create(
        venue=run.venue, profile="quick", state="done", started_at=old, finished_at=now, beat_at=now, voter="cnn"
    )
    runs.create(venue=run.venue, profile="quick", kind="update", started_at=now, beat_at=now, voter="xgb", done=40,
                total=120)  # fmt: skip
    return run
