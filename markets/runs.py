"""Which market the pages show, and the market clock that goes with it."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from lib import clock
from markets.models import Run, Venue


def current_run() -> Run | None:
    """The newest run that was not replaced: the one market that pages, status and sockets speak of."""
    shown = Run.objects.filter(background=False).select_related("venue")
    return shown.order_by("-started_at", "-id").first()


def start_run(venue: Venue, *, speed: float = 1.0, background: bool = False) -> Run:
    """Begin a run; what was shown before is ended, because pages show one market. A background run ends nothing."""
    now = clock.wall_now()
    with transaction.atomic():
        if not background:
            shown = Run.objects.filter(background=False).exclude(state=Run.State.ENDED)
            shown.update(state=Run.State.ENDED, ended_at=now)
        return Run.objects.create(venue=venue, started_at=now, speed=speed, beat_at=now, background=background)


def mark(run: Run, **facts: Any) -> None:
    """Write facts of a run (state, market clock, speed reached) and its sign of life."""
    Run.objects.filter(pk=run.pk).update(beat_at=clock.wall_now(), **facts)
    for name, value in facts.items():
        setattr(run, name, value)


def market_time(run: Run | None) -> datetime:
    """The run's market clock, read from its row: what a process that is not the feed goes by.

    Between two marks of a recording the clock moves at the speed reached, never past the end of the recording and
    never more than one recorded minute past the last mark: the feed, not this guess, drives the minutes.
    """
    if run is None or run.market_at is None:
        return clock.market_now()
    if run.state == Run.State.ENDED or run.beat_at is None:
        return run.market_at
    speed = run.speed_reached or run.speed
    ahead = min((clock.wall_now() - run.beat_at).total_seconds() * speed, 60.0)
    at = run.market_at + timedelta(seconds=max(ahead, 0.0))
    return min(at, run.market_end) if run.market_end else at
