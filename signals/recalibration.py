"""The daily refit of the calibrators on revealed outcomes: what was said before every outcome, and what came of it.

The champions are asked again about the stored minutes that none of them learned from; the panel's lean is mapped anew
where its quorum was met, and the stack's map where there is a stack. Background commands only.
"""

from collections import defaultdict
from dataclasses import replace

import structlog

from lib import clock
from markets.models import Instrument, Run
from markets.runs import market_time
from models_ml import stacking
from models_ml.fitting import calibrate
from models_ml.models import Calibration, ModelVersion
from models_ml.profiles import Profile
from models_ml.stacking import LOCAL_PANEL, Replay
from models_ml.training import history_of
from models_ml.voters import STACK
from signals.scoring import panel_score

log = structlog.get_logger(__name__)
LEAST_DECISIONS = 100
"""Fewer decisions leave the panel's map as it is."""
MOST_DAYS = 14


def recalibrate(run: Run, profile: Profile) -> list[str]:
    """Refit what can be refitted; one line for each."""
    said = []
    for market_class, ids in _classes(run).items():
        recent = replace(profile, history_days=min(profile.history_days, MOST_DAYS))
        samples = history_of(ids, clock.epoch(market_time(run)), recent)
        seen = stacking.replay(run.venue_id, market_class, samples, most=profile.judge_rows) if len(samples) else None
        if seen is None:
            said.append(f"{market_class}: nothing unseen yet")
            continue
        said.append(f"{market_class}: panel {_panel(run, market_class, seen)}, stack {_stack(run, market_class, seen)}")
    return said


def _classes(run: Run) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for pk, market_class in Instrument.objects.filter(venue_id=run.venue_id, followed=True).values_list(
        "pk", "market_class"
    ):
        found[market_class].append(pk)
    return found


def _panel(run: Run, market_class: str, seen: Replay) -> str:
    knots = calibrate(*panel_score(seen.votes), seen.labels)
    if knots["decisions"] < LEAST_DECISIONS:
        return f"left as it is ({knots['decisions']} decisions)"
    Calibration.objects.create(
        venue_id=run.venue_id,
        market_class=market_class,
        seats=LOCAL_PANEL,
        knots=knots,
        n=knots["decisions"],
        trained_until=clock.from_epoch(int(seen.times.max())),
    )
    return f"refitted on {knots['decisions']} decisions"


def _stack(run: Run, market_class: str, seen: Replay) -> str:
    version = ModelVersion.objects.filter(
        venue_id=run.venue_id, market_class=market_class, voter=STACK, state=ModelVersion.State.CHAMPION
    ).first()
    if version is None:
        return "not there"
    return "refitted" if stacking.refit(version, seen) else "left as it is"
