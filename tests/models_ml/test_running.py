"""Trainings whose process is killed: nothing that votes changes, nothing half-written stays (fault 20)."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.test import override_settings

from lib import clock
from markets.models import Run
from models_ml import running
from models_ml.models import ModelVersion, TrainingRun
from tests.factories_market import make_run
from tests.factories_models import candidate, crown

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_S = 120
CHILD = """
import sys, time
import django
django.setup()
from pathlib import Path
from django.conf import settings
from lib import clock
from markets.models import Venue
from models_ml.running import running
from models_ml.storing import Origin, store

settings.ARTIFACTS_DIR = Path(sys.argv[1])
point, venue = sys.argv[2], Venue.objects.get(key=sys.argv[3])


class Model:
    key = "xgb"

    def save(self, folder):
        (folder / "voter.json").write_text("{}")
        if point == "half written":
            wait()


def wait():
    print("here", flush=True)
    time.sleep(600)


with running(venue, "tiny", "full"):
    if point == "learning":
        wait()
    print("storing", flush=True) if point.startswith("at ") else None
    now = clock.wall_now()
    store(Model(), Origin(venue, "crypto", "tiny", "full", 7, now, now, {}), threshold=0.0, metrics={})
    wait()
"""
TABLES = {"at its row": "models_ml_modelversion", "at its chair": "models_ml_promotion"}
"""Where the child is held by a lock of ours → on which table."""
POINTS = ["learning", "half written", *TABLES, "seated"]
WAITING = "SELECT count(*) FROM pg_locks WHERE relation = %s::regclass AND NOT granted"
OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    " AND state <> 'idle' AND pid <> pg_backend_pid()"
)


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Run]:
    with override_settings(ARTIFACTS_DIR=tmp_path):
        yield make_run("live")


def child(run: Run, point: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", CHILD, str(settings.ARTIFACTS_DIR), point, run.venue.key]
    return subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True)


def age(run: Run) -> None:
    """A run as old as the grace, without the wait."""
    TrainingRun.objects.filter(venue=run.venue).update(started_at=clock.wall_now() - running.GRACE)


@pytest.mark.parametrize("point", POINTS)
def test_20_a_killed_training_leaves_nothing_behind(
    market: Run, point: str, owner_connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    champion = crown(candidate(market.venue, features_hash="of the champion"))
    (Path(settings.ARTIFACTS_DIR) / champion.path).mkdir(parents=True)
    with owner_connection.transaction() if point in TABLES else nullcontext():
        if point in TABLES:
            owner_connection.execute(f"LOCK TABLE {TABLES[point]} IN EXCLUSIVE MODE".encode())
        with child(market, point) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            until(lambda: point not in TABLES or count(owner_connection, WAITING, TABLES[point]) == 1)
            age(market)
            assert running.sweep() == 0, "it lives: nobody touches it"
            process.send_signal(signal.SIGKILL)
    until(lambda: running.sweep() == 1)  # the server notices closed connections by itself
    until(lambda: count(owner_connection, OTHERS) == 0)
    running.sweep()
    run = TrainingRun.objects.get()
    assert (run.state, run.detail) == ("failed", "interrupted: its process is gone")
    assert run.finished_at is not None
    folders = set(Path(settings.ARTIFACTS_DIR).glob("*/*/*/*"))
    rows = ModelVersion.objects.values_list("path", flat=True)
    assert folders == {Path(settings.ARTIFACTS_DIR) / path for path in rows}, "no folder without its row, nor a row"
    assert ModelVersion.objects.count() == (2 if point == "seated" else 1)
    if point != "seated":  # that one was whole, and of newer columns: it had its chair before the end came
        sitting = ModelVersion.objects.get(state="champion")
        assert (sitting.pk, sitting.sha256) == (champion.pk, champion.sha256)


def count(owner: psycopg.Connection[tuple[Any, ...]], query: str, *words: str) -> int:
    row = owner.execute(query.encode(), words).fetchone()
    return int(row[0]) if row else 0


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def test_a_young_run_is_left_alone(market: Run) -> None:
    now = clock.wall_now()
    TrainingRun.objects.create(venue=market.venue, profile="tiny", started_at=now, beat_at=now)
    assert running.sweep() == 0
    age(market)
    assert running.sweep() == 1


def test_a_run_that_ended_is_not_swept(market: Run) -> None:
    with running.running(market.venue, "tiny", "full") as run:
        pass
    TrainingRun.objects.filter(pk=run.pk).update(state="done", started_at=clock.wall_now() - timedelta(hours=1))
    assert running.sweep() == 0
    assert TrainingRun.objects.get().state == "done"


def test_drafts_stay_while_somebody_writes(market: Run) -> None:
    draft = Path(settings.ARTIFACTS_DIR) / market.venue.key / "crypto" / "xgb" / ".draft.1"
    draft.mkdir(parents=True)
    with running.running(market.venue, "tiny", "full"):
        running.sweep()
        assert draft.is_dir()
    running.sweep()
    assert not draft.exists()


def test_one_venue_only_where_one_is_named(market: Run) -> None:
    other = make_run("live", key="other")
    for run in (market, other):
        now = clock.wall_now() - running.GRACE
        TrainingRun.objects.create(venue=run.venue, profile="tiny", started_at=now, beat_at=now)
    assert running.sweep(market.venue_id) == 1
    assert TrainingRun.objects.get(state="running").venue == other.venue


# ---- at a start


def test_a_venue_is_trained_while_somebody_can_answer() -> None:
    venue, now = make_run("live").venue, clock.wall_now()
    day = timedelta(days=1)
    assert not running.is_trained(venue, day)
    facts = {"venue": venue, "profile": "quick", "started_at": now, "beat_at": now}
    TrainingRun.objects.create(state="done", finished_at=now - timedelta(hours=23), **facts)
    assert not running.is_trained(venue, day), "nobody sits"
    crown(candidate(venue, features_hash="of an earlier release"))
    assert not running.is_trained(venue, day), "who sits cannot answer"
    crown(candidate(venue))
    assert running.is_trained(venue, day)
    assert not running.is_trained(venue, timedelta(hours=22))
