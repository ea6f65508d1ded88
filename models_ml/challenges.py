"""Tests of candidates, written down before the candles exist that they are judged on.

A challenger never votes: `models_ml/judging.py` asks it and the champion about the same later minutes.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from lib import clock
from markets import candles
from markets.models import Instrument, Run
from markets.runs import market_time
from models_ml import promotion
from models_ml.models import Challenge, ModelVersion
from models_ml.voters import STACK_MAX_AGE, VOTERS

REFRESH_MARGIN = -0.0005
"""Brier points that a candidate may be worse by at the lower bound once the champion has spent half of its age limit.
Equals then replace each other, because a champion past its limit falls silent; on average it must gain all the same."""
REFRESH_FROM = 0.5
ROOM = 1.25
"""Minutes of a window over the rows asked for: some are missing, some never decided."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a test asks for."""

    window: timedelta
    least_n: int
    margin: float
    metric: Challenge.Metric = Challenge.Metric.BRIER


def enter(version: ModelVersion, *, by: str) -> Challenge | None:
    """Let a candidate take an empty chair (None then), or register its test against who sits there."""
    with transaction.atomic():
        if promotion.is_empty_for(version):
            promotion.bootstrap(version, by=by)
            return None
        champion = promotion.champion_of(promotion.seat_of(version))
        assert champion is not None  # noqa: S101  # the chair is taken
        opens_at = max(version.trained_until, champion.trained_until, _known_until(version))
        terms = terms_for(version, champion, opens_at)
        return Challenge.objects.create(
            candidate=version,
            champion=champion,
            metric=terms.metric,
            least_n=terms.least_n,
            margin=terms.margin,
            opens_at=opens_at,
            closes_at=opens_at + terms.window,
            registered_at=clock.wall_now(),
            registered_by=by,
        )


def terms_for(version: ModelVersion, champion: ModelVersion, at: datetime) -> Terms:
    """The terms in force: updates are judged over a shorter window, and an ageing champion may be refreshed.

    A window is never so short that the rows asked for cannot come together on the instruments that are followed.
    """
    update = version.kind == ModelVersion.Kind.UPDATE
    hours = settings.UPDATE_CHALLENGE_HOURS if update else settings.CHALLENGE_HOURS
    limit = VOTERS[version.voter].max_age if version.voter in VOTERS else STACK_MAX_AGE
    ageing = (at - champion.trained_until).total_seconds() > REFRESH_FROM * limit
    margin = REFRESH_MARGIN if ageing else settings.CHALLENGE_MARGIN
    followed = len(_instruments(version))
    minutes = math.ceil(ROOM * settings.CHALLENGE_ROWS / max(followed, 1))
    return Terms(max(timedelta(hours=hours), timedelta(minutes=minutes)), settings.CHALLENGE_ROWS, margin)


def under_test(venue_id: int, kind: str) -> set[str]:
    """Voters of a venue whose last candidate of that kind still waits for its verdict."""
    waiting = Challenge.objects.filter(verdict=None, candidate__venue_id=venue_id, candidate__kind=kind)
    return set(waiting.values_list("candidate__voter", flat=True))


def due(run: Run) -> list[Challenge]:
    """Tests of the run's venue whose window has closed, with a minute for the last outcome to arrive."""
    closed = market_time(run) - timedelta(minutes=2)
    waiting = Challenge.objects.filter(verdict=None, candidate__venue_id=run.venue_id, closes_at__lte=closed)
    return list(waiting.select_related("candidate", "champion").order_by("pk"))


def _known_until(version: ModelVersion) -> datetime:
    """The close of the newest candle stored for the class: nothing up to here is unseen."""
    newest = max(candles.newest_open_times(_instruments(version)).values(), default=None)
    return version.trained_until if newest is None else clock.from_epoch(newest + clock.MINUTE_S)


def _instruments(version: ModelVersion) -> list[int]:
    found = Instrument.objects.filter(venue_id=version.venue_id, market_class=version.market_class, followed=True)
    return list(found.values_list("pk", flat=True))
