"""One beat ticks; the others idle and take over when it is gone (faults 22 and 23)."""

import time
from collections.abc import Iterator

import pytest
from django_celery_beat.models import PeriodicTask

from config.beat import IDLE_S, Scheduler
from config.celery import SCHEDULE, app, gpu_table, updates

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def beats() -> Iterator[list[Scheduler]]:
    """Three beats that have not ticked yet."""
    made = [Scheduler(app=app, lazy=True) for _ in range(3)]
    yield made
    for beat in made:
        if beat._guard is not None:
            beat._guard.close()


def leads(beat: Scheduler) -> bool:
    return beat._take_lead()


def test_only_one_of_three_leads(beats: list[Scheduler], caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert [leads(beat) for beat in beats] == [True, False, False]


def test_an_idle_beat_does_not_tick(beats: list[Scheduler]) -> None:
    assert leads(beats[0])
    assert beats[1].tick() == IDLE_S
    assert 0 <= beats[0].tick() <= IDLE_S


def test_the_next_takes_over_when_the_leader_is_gone(beats: list[Scheduler]) -> None:
    assert [leads(beat) for beat in beats] == [True, False, False]
    guard = beats[0]._guard
    assert guard is not None
    guard.close()  # as a killed process does; the server notices in its own time
    until = time.monotonic() + 60
    while not leads(beats[1]) and time.monotonic() < until:
        time.sleep(0.05)
    assert [leads(beat) for beat in beats[1:]] == [True, False]
    assert not leads(beats[0]), "the old leader finds another in its place"


def test_closing_hands_the_lead_on(beats: list[Scheduler]) -> None:
    assert leads(beats[0])
    beats[0].close()
    until = time.monotonic() + 60
    while not leads(beats[1]) and time.monotonic() < until:
        time.sleep(0.05)
    assert leads(beats[1])


def test_the_table_is_copied_once_and_stays_as_edited(beats: list[Scheduler]) -> None:
    beats[0].setup_schedule()
    assert set(SCHEDULE) <= set(PeriodicTask.objects.values_list("name", flat=True))
    PeriodicTask.objects.filter(name="retrain").update(enabled=False)
    beats[1].setup_schedule()
    assert not PeriodicTask.objects.get(name="retrain").enabled
    assert PeriodicTask.objects.filter(name="retrain").count() == 1


@pytest.mark.parametrize(("wish", "gpu"), [("gpu", True), ("cpu", False)])
def test_the_training_table_says_which_updates_run(wish: str, gpu: bool) -> None:
    table = updates(gpu=gpu_table(wish))
    minutes = {name.removeprefix("update "): entry["schedule"] / 60 for name, entry in table.items()}
    assert minutes == {
        "lstm": 5, "gru": 5, "transformer": 15, "xgb": 30, "random_forest": 60, "cnn": 60, "cnn_lstm_book": 120,
    }  # fmt: skip
    running = {name.removeprefix("update ") for name, entry in table.items() if entry["enabled"]}
    assert running == (set(minutes) if gpu else {"xgb", "random_forest"})


def test_what_is_switched_off_is_there_to_be_switched_on(beats: list[Scheduler]) -> None:
    beats[0].setup_schedule()
    known = dict(PeriodicTask.objects.values_list("name", "enabled"))
    assert known["update xgb"] is True
    assert known["update lstm"] is SCHEDULE["update lstm"]["enabled"]
    assert {"retrain", "tune", "judge candidates", "review the panel", "recalibrate", "sweep trainings"} <= set(known)
