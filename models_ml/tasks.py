"""What workers do for models: started by beat, each run in a process of its own, never on a worker's GIL.

A worker has few threads and rounds need them, so at most one training and one shorter job wait for a child at a time;
whatever finds the place taken leaves it to its next turn.
"""

import os
import signal
import subprocess
import sys
from threading import Lock

import structlog
from celery import Task, shared_task
from django.conf import settings

from lib import clock
from markets.models import Run, Venue
from markets.runs import current_run
from models_ml import challenges, reserving, running
from models_ml.models import ModelVersion, Mute, TrainingRun
from models_ml.voters import LOCAL_SEATS

log = structlog.get_logger(__name__)
SKIPPED = -1
"""What a task returns that found its place taken or nothing to do."""
RETRY_S = 600
TRAINING_S, SHORT_S = 12 * 3600.0, 4 * 3600.0
"""What a child may take: one that hangs would keep its place for ever, and no limit of Celery reaches a thread."""


class _Place:
    """Where one child at a time may run, for so many seconds."""

    def __init__(self, limit_s: float) -> None:
        self.lock, self.limit_s = Lock(), limit_s


_training, _short = _Place(TRAINING_S), _Place(SHORT_S)


@shared_task(bind=True, max_retries=20)
def retrain(self: "Task[..., int]") -> int:
    """Train the current venue's whole panel with the configured profile; the child's exit status."""
    run = current_run()
    if run is None:
        return 0
    status = _child(training_command(run.venue.key, settings.TRAIN_PROFILE), _training, run.venue)
    if status == SKIPPED:
        raise self.retry(countdown=RETRY_S)
    return status


@shared_task
def update(seats: list[str], venue_key: str = "") -> int:
    """Train some voters anew on the newest candles: candidates like any other; the child's exit status.

    A voter whose last update is still under test is left out: its chair can be won once at a time.
    """
    venue = _venue(venue_key)
    if venue is None:
        return 0
    waiting = challenges.under_test(venue.pk, ModelVersion.Kind.UPDATE)
    wanted = [seat for seat in LOCAL_SEATS if seat in seats and seat not in waiting]
    if not wanted or _is_running(venue, ModelVersion.Kind.UPDATE):
        return SKIPPED
    command = training_command(venue.key, settings.TRAIN_PROFILE, seats=wanted, kind=ModelVersion.Kind.UPDATE)
    return _child(command, _training, venue)


@shared_task(bind=True, max_retries=20)
def tune(self: "Task[..., int]", seats: list[str]) -> int:
    """Search better sizes for some voters; what is found becomes a candidate. The child's exit status."""
    run = current_run()
    if run is None:
        return 0
    command = _background("tune", run.venue.key, "--profile", settings.TRAIN_PROFILE, "--seats", *seats)
    status = _child(command, _training, run.venue)
    if status == SKIPPED:
        raise self.retry(countdown=RETRY_S)
    return status


@shared_task
def judge() -> int:
    """Conclude the tests whose window has closed; the child's exit status."""
    run = current_run()
    if run is None or not challenges.due(run):
        return SKIPPED
    return _child(_background("judge_candidates", run.venue.key), _short, run.venue)


@shared_task
def review_panel() -> int:
    """Look for drift in what champions said and were shown, and train anew whom it muted; the child's exit status."""
    started, status = clock.wall_now(), _for_champions("review_panel")
    drifted = Mute.objects.filter(muted_at__gte=started, lifted_at=None).exclude(reason=Mute.Reason.OPERATOR)
    for key in set(drifted.values_list("venue__key", flat=True)):
        update.delay(sorted(drifted.filter(venue__key=key).values_list("voter", flat=True)), venue_key=key)
    return status


@shared_task
def recalibrate() -> int:
    """Refit the calibrators of panel and stack on revealed outcomes; the child's exit status."""
    return _for_champions("recalibrate")


@shared_task(soft_time_limit=60, time_limit=90)
def sweep_trainings() -> int:
    """Mark trainings failed whose process is gone, and remove what they left half-written."""
    return running.sweep()


@shared_task
def mine_patterns() -> int:
    """Mine the current venue's candles for patterns; the child's exit status."""
    run = current_run()
    if run is None:
        return 0
    return _child(_background("mine_patterns", run.venue.key), _short, run.venue)


@shared_task
def forget_language_calls() -> int:
    """Delete what language models were asked and said before LLM_RETENTION; returns how many questions."""
    return reserving.forget(clock.wall_now() - settings.LLM_RETENTION)


def training_command(
    venue_key: str, profile: str, *, seats: list[str] | None = None, kind: str = ModelVersion.Kind.FULL
) -> list[str]:
    """The command that trains in the background: lowest priority, one thread."""
    command = _background("train", venue_key, "--profile", profile)
    return command if seats is None else [*command, "--kind", str(kind), "--seats", *seats]


def _background(name: str, venue_key: str, *words: str) -> list[str]:
    nice = ["nice", "-n", "19"] if os.name == "posix" else []
    return [*nice, sys.executable, str(settings.BASE_DIR / "manage.py"), name, "--venue", venue_key, *words]


def _child(command: list[str], place: _Place, venue: Venue) -> int:
    """Run one command to its end or its limit, unless the place is taken; what a dead child left is swept at once."""
    if not place.lock.acquire(blocking=False):
        return SKIPPED
    try:
        status = subprocess.run(command, cwd=settings.BASE_DIR, check=False, timeout=place.limit_s).returncode  # noqa: S603  # our own
    except subprocess.TimeoutExpired:  # it has been killed
        status = -signal.SIGKILL
    finally:
        place.lock.release()
    if status:
        log.warning("background_failed", command=command[-1 - len(command) // 2 :], status=status)
        running.sweep(venue.pk)
    return status


def _for_champions(name: str) -> int:
    run = current_run()
    if run is None or not _has_champion(run):
        return SKIPPED
    return _child(_background(name, run.venue.key), _short, run.venue)


def _has_champion(run: Run) -> bool:
    return ModelVersion.objects.filter(venue_id=run.venue_id, state=ModelVersion.State.CHAMPION).exists()


def _is_running(venue: Venue, kind: str) -> bool:
    return TrainingRun.objects.filter(venue=venue, kind=kind, state=TrainingRun.State.RUNNING).exists()


def _venue(key: str) -> Venue | None:
    if key:
        return Venue.objects.filter(key=key).first()
    run = current_run()
    return run.venue if run else None
