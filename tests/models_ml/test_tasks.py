"""Background work for models: what starts, what finds its place taken, and what a dead child leaves."""

import sys

import pytest

from lib import clock
from markets.models import Run
from models_ml import running, tasks
from models_ml.models import TrainingRun
from models_ml.tasks import SKIPPED, training_command
from tests.factories_market import make_run
from tests.factories_models import candidate, crown, register

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run() -> Run:
    return make_run("live")


def test_without_a_market_nothing_starts() -> None:
    assert tasks.update(["xgb"]) == 0
    assert tasks.judge() == tasks.recalibrate() == tasks.review_panel() == SKIPPED


def test_without_champions_nothing_is_reviewed_or_refitted(run: Run) -> None:
    assert tasks.recalibrate() == tasks.review_panel() == SKIPPED


def test_a_voter_whose_update_is_under_test_is_not_trained_again(run: Run) -> None:
    champion = crown(candidate(run.venue))
    register(candidate(run.venue, kind="update"), champion)
    assert tasks.update(["xgb"]) == SKIPPED


def test_one_update_at_a_time(run: Run) -> None:
    now = clock.wall_now()
    TrainingRun.objects.create(venue=run.venue, profile="quick", kind="update", started_at=now, beat_at=now)
    assert tasks.update(["xgb"]) == SKIPPED


@pytest.mark.parametrize("seats", [[], ["gemini"], ["nobody"]])
def test_only_local_voters_are_trained(run: Run, seats: list[str]) -> None:
    assert tasks.update(seats, venue_key=run.venue.key) == SKIPPED


def test_tests_that_are_not_due_start_nothing(run: Run) -> None:
    register(candidate(run.venue), crown(candidate(run.venue)))
    assert tasks.judge() == SKIPPED


def test_an_update_is_a_command_of_its_own() -> None:
    command = training_command("binance", "quick", seats=["xgb", "gru"], kind="update")
    assert command[-7:] == ["--profile", "quick", "--kind", "update", "--seats", "xgb", "gru"]


def test_who_finds_the_place_taken_leaves(run: Run) -> None:
    place = tasks._Place(60.0)
    with place.lock:
        assert tasks._child([sys.executable, "-c", ""], place, run.venue) == SKIPPED
    assert tasks._child([sys.executable, "-c", ""], place, run.venue) == 0
    assert not place.lock.locked()


def test_a_child_that_hangs_is_ended_and_what_it_was_doing_is_failed(run: Run) -> None:
    past = clock.wall_now() - running.GRACE
    TrainingRun.objects.create(venue=run.venue, profile="quick", started_at=past, beat_at=past)
    place = tasks._Place(0.5)
    assert tasks._child([sys.executable, "-c", "import time; time.sleep(600)"], place, run.venue) == -9
    assert TrainingRun.objects.get().state == "failed"
    assert not place.lock.locked()


def test_what_a_dead_child_was_doing_is_failed_at_once(run: Run) -> None:
    """Fault 20: the worker lives, its child does not."""
    past = clock.wall_now() - running.GRACE
    TrainingRun.objects.create(venue=run.venue, profile="quick", started_at=past, beat_at=past)
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert tasks._child([sys.executable, "-c", killed], tasks._Place(60.0), run.venue) == -9
    assert TrainingRun.objects.get().state == "failed"


def test_the_sweep_is_a_task(run: Run) -> None:
    past = clock.wall_now() - running.GRACE
    TrainingRun.objects.create(venue=run.venue, profile="quick", started_at=past, beat_at=past)
    assert tasks.sweep_trainings() == 1
