"""Trainings that run, and those whose process is gone.

A training holds an advisory lock on a connection of its own. The server drops it the moment the process is no more,
however it died, so whoever gets the lock knows that nobody trains there: the row is marked failed and what the dead
left half-written is removed. docs/reliability.md, fault 20.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import connection

from lib import clock
from markets.models import Venue
from models_ml.features import FEATURES_HASH
from models_ml.models import AgentVersion, ModelVersion, TrainingRun
from models_ml.voters import LOCAL_SEATS

log = structlog.get_logger(__name__)
RUN_LOCK, VENUE_LOCK = 0x54524149, 0x54524156
"""First key of the advisory locks; the second is the number of the run or of the venue."""
GRACE = timedelta(seconds=10)
"""A run this young may not have its lock yet."""

Guard = psycopg.Connection[Any]


@contextmanager
def running(venue: Venue, profile: str, kind: str) -> Iterator[TrainingRun]:
    """A row for one training, held by a lock for as long as this process lives."""
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as guard:
        guard.execute("SELECT pg_advisory_lock_shared(%s, %s)", [VENUE_LOCK, venue.pk])
        now = clock.wall_now()
        run = TrainingRun.objects.create(venue=venue, profile=profile, kind=kind, started_at=now, beat_at=now)
        guard.execute("SELECT pg_advisory_lock(%s, %s)", [RUN_LOCK, run.pk])
        yield run


def is_trained(venue: Venue, within: timedelta) -> bool:
    """Whether a training ended well so short ago, and anything that it or another left reads this release's columns."""
    done = TrainingRun.objects.filter(venue=venue, state=TrainingRun.State.DONE)
    able = ModelVersion.objects.filter(
        venue=venue, state=ModelVersion.State.CHAMPION, voter__in=LOCAL_SEATS, features_hash=FEATURES_HASH
    )
    return done.filter(finished_at__gt=clock.wall_now() - within).exists() and able.exists()


def sweep(venue_id: int | None = None) -> int:
    """Mark trainings failed whose process is gone, and remove what they left; how many there were."""
    dead = 0
    waiting = TrainingRun.objects.filter(state=TrainingRun.State.RUNNING)
    waiting = waiting.filter(venue_id=venue_id) if venue_id else waiting
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as guard:
        for run in waiting.filter(started_at__lt=clock.wall_now() - GRACE).select_related("venue"):
            if _is_free(guard, RUN_LOCK, run.pk):
                dead += _give_up(run)
        for venue in Venue.objects.filter(pk=venue_id) if venue_id else Venue.objects.all():
            _tidy(guard, venue)
    return dead


def _is_free(guard: Guard, kind: int, number: int) -> bool:
    row = guard.execute("SELECT pg_try_advisory_lock(%s, %s)", [kind, number]).fetchone()
    if free := bool(row and row[0]):
        guard.execute("SELECT pg_advisory_unlock(%s, %s)", [kind, number])
    return free


def _give_up(run: TrainingRun) -> int:
    running_still = TrainingRun.objects.filter(pk=run.pk, state=TrainingRun.State.RUNNING)
    marked = running_still.update(
        state=TrainingRun.State.FAILED,
        detail="interrupted: its process is gone",
        finished_at=clock.wall_now(),
    )
    if marked:
        log.warning("training_interrupted", run_id=run.pk, venue=run.venue.key)
    return marked


def _tidy(guard: Guard, venue: Venue) -> None:
    """Remove drafts and folders without a row, while nobody writes any: a training holds the venue's lock shared."""
    row = guard.execute("SELECT pg_try_advisory_lock(%s, %s)", [VENUE_LOCK, venue.pk]).fetchone()
    if not (row and row[0]):
        return
    try:
        root = Path(settings.ARTIFACTS_DIR)
        rows = (
            table.objects.filter(venue=venue).values_list("path", flat=True) for table in (ModelVersion, AgentVersion)
        )
        known = set(chain.from_iterable(rows))
        for folder in (root / venue.key).glob("*/*/*"):
            if str(folder.relative_to(root)) not in known:
                shutil.rmtree(folder, ignore_errors=True)
                log.info("model_draft_removed", folder=folder.name)
    finally:
        guard.execute("SELECT pg_advisory_unlock(%s, %s)", [VENUE_LOCK, venue.pk])
