"""Training as a task: started by beat, run in a process of its own so that it never sits on a worker's GIL."""

import os
import subprocess
import sys

from celery import shared_task
from django.conf import settings

from lib import clock
from markets.runs import current_run
from models_ml import reserving


@shared_task(soft_time_limit=4 * 3600, time_limit=4 * 3600 + 60)
def retrain() -> int:
    """Train the current venue's panel with the configured profile; returns the child's exit status."""
    run = current_run()
    if run is None:
        return 0
    command = training_command(run.venue.key, settings.TRAIN_PROFILE)
    return subprocess.run(command, cwd=settings.BASE_DIR, check=False).returncode  # noqa: S603  # our own command


def training_command(venue_key: str, profile: str) -> list[str]:
    """The command that trains in the background: lowest priority, one thread."""
    return background_command("train", "--venue", venue_key, "--profile", profile)


def background_command(*words: str) -> list[str]:
    """A command of ours at the lowest priority."""
    nice = ["nice", "-n", "19"] if os.name == "posix" else []
    return [*nice, sys.executable, str(settings.BASE_DIR / "manage.py"), *words]


@shared_task(soft_time_limit=3600, time_limit=3660)
def mine_patterns() -> int:
    """Mine the current venue's candles for patterns in a process of the lowest priority; returns its exit status."""
    run = current_run()
    if run is None:
        return 0
    command = background_command("mine_patterns", "--venue", run.venue.key)
    return subprocess.run(command, cwd=settings.BASE_DIR, check=False).returncode  # noqa: S603  # our own command


@shared_task
def forget_language_calls() -> int:
    """Delete what language models were asked and said before LLM_RETENTION; returns how many questions."""
    return reserving.forget(clock.wall_now() - settings.LLM_RETENTION)
