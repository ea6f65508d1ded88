"""Judge registered tests: champion and challenger on the same later minutes, from the candle store.

It costs a round nothing and shows both the same data, whatever a deadline or a restart did to the votes of the day.
"""

import math
from functools import partial
from pathlib import Path

import numpy as np
import structlog
from django.conf import settings
from django.db import transaction

from lib import clock
from markets.models import Instrument
from markets.values import FloatArray
from models_ml import artifacts, promotion
from models_ml.champions import load_stack
from models_ml.features import FEATURES_HASH, WARM_UP
from models_ml.fitting import decision_times
from models_ml.models import Challenge, ModelVersion, Verdict
from models_ml.samples import Samples
from models_ml.stacking import Replay, replay
from models_ml.training import samples_of
from models_ml.validation.comparison import LEAST_SKILL, Comparison, compare
from models_ml.voters import STACK, VOTERS
from models_ml.voters.base import CorruptArtifact

log = structlog.get_logger(__name__)
DAY_MINUTES = 1440
MOST_ROWS = 200_000
"""Of a window in which nine voters have to be asked."""


def conclude(test: Challenge, *, by: str) -> Verdict:
    """Judge one test, write the verdict, and promote a winner where AUTO_PROMOTE says so; a loser is set aside."""
    figures, reason = _judged(test)
    won = figures.wins(test.least_n, test.margin) and not reason
    with transaction.atomic():
        verdict = Verdict.objects.create(
            challenge=test,
            won=won,
            n=figures.n,
            candidate_loss=figures.candidate,
            champion_loss=figures.champion,
            gain=figures.gain,
            gain_low=figures.low,
            skill=figures.skill,
            reason=reason or ("" if won else _why(test, figures)),
            concluded_at=clock.wall_now(),
        )
        if not won:
            promotion.set_aside(test.candidate)
        elif settings.AUTO_PROMOTE:
            promotion.promote(verdict, by=by)
    log.info("challenge_concluded", voter=test.candidate.voter, model_id=test.candidate_id, won=won, n=figures.n)
    return verdict


def _judged(test: Challenge) -> tuple[Comparison, str]:
    """The figures, and why they may not decide although they are there."""
    nothing = Comparison(0, None, None, None, None, None)
    present = promotion.champion_of(promotion.seat_of(test.candidate))
    if present is None or present.pk != test.champion_id:
        return nothing, "the champion has changed since"
    samples, ask = window_of(test), _forecasts
    if test.candidate.voter == STACK:
        seen = replay(test.candidate.venue_id, test.candidate.market_class, samples, most=MOST_ROWS)
        if seen is None:
            return nothing, "no voter is there to weigh"
        samples, ask = seen.samples, partial(_stack_forecasts, test, seen)
    candidate = ask(test.candidate, samples)
    if candidate is None:
        return nothing, "its files cannot be read"
    champion = ask(test.champion, samples)
    return compare(test.metric, candidate, champion, samples.labels(), decision_times(samples)), ""


def window_of(test: Challenge) -> Samples:
    """The minutes a test is judged on, with the candles before them that the features need."""
    ids = list(
        Instrument.objects.filter(
            venue_id=test.candidate.venue_id, market_class=test.candidate.market_class, followed=True
        ).values_list("pk", flat=True)
    )
    opens, closes = clock.epoch(test.opens_at), clock.epoch(test.closes_at)
    minutes = (closes - opens) // clock.MINUTE_S + WARM_UP
    samples = samples_of(ids, closes + clock.MINUTE_S, math.ceil(minutes / DAY_MINUTES) + 1)
    times = decision_times(samples)
    return samples.pick((times > opens) & (times <= closes))


def _forecasts(version: ModelVersion, samples: Samples) -> FloatArray | None:
    """(N, 3), NaN on minutes on which it would have been too old to vote; None where the model cannot be read."""
    try:
        folder = Path(settings.ARTIFACTS_DIR) / version.path
        said = artifacts.read(folder, version.voter, version.sha256, FEATURES_HASH).predict(samples)
    except CorruptArtifact as error:
        log.warning("challenge_without_model", model_id=version.pk, error=str(error))
        return None
    said[decision_times(samples) - clock.epoch(version.trained_until) > VOTERS[version.voter].max_age] = np.nan
    return said


def _stack_forecasts(test: Challenge, seen: Replay, version: ModelVersion, samples: Samples) -> FloatArray | None:
    """The same of a stack, from what the present champions say on the rows of `seen`.

    The map of the one in the chair is refitted every night, on minutes of the window as well: what counts is the map
    from before.
    """
    before = version.maps.filter(trained_until__lte=test.opens_at)
    loaded = load_stack(version, before.order_by("-id").first())
    if loaded is None:
        return None
    return loaded.stack.outcomes(loaded.stack.predict(*seen.facts), seen.market)


def _why(test: Challenge, figures: Comparison) -> str:
    if figures.n < test.least_n:
        return f"{figures.n} decided minutes, {test.least_n} needed"
    if figures.low is None or figures.skill is None:
        return "too short a window for an interval"
    if figures.skill <= LEAST_SKILL:
        return "no better than a constant forecast"
    return "its gain is not sure enough"
