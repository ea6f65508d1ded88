"""The daily refit: on minutes that the panel has not learned from, in sequence, and never on none."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from django.core.management import call_command

from lib import clock
from markets.models import Run
from models_ml.models import Calibration
from signals.recalibration import recalibrate
from tests.factories_market import instruments_of, make_run, store_series
from tests.trained import END, MINUTES, TINY, forecastable

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("trained")]


@pytest.fixture
def now() -> Iterator[datetime]:
    clock.follow(lambda: END)
    yield END
    clock.release()


@pytest.fixture
def run(stacked_run: Run, now: datetime) -> Run:
    times = clock.epoch(END) - clock.MINUTE_S * np.arange(MINUTES, 0, -1, dtype=np.int64)
    for seed, instrument in enumerate(instruments_of(stacked_run)):
        store_series(instrument, times, forecastable(MINUTES, seed))
    return stacked_run


def test_panel_and_stack_are_mapped_anew(run: Run) -> None:
    (line,) = recalibrate(run, TINY)
    assert line.startswith("crypto: panel refitted on ")
    assert line.endswith(" decisions, stack refitted")
    panel = Calibration.objects.filter(stack=None).latest("pk")
    assert panel.n == panel.knots["decisions"] >= 100
    assert END - timedelta(minutes=5) < panel.trained_until <= END
    assert Calibration.objects.exclude(stack=None).count() == 2


def test_the_maps_are_made_anew_whatever_the_second(run: Run) -> None:
    clock.follow(lambda: END + timedelta(seconds=7))
    (line,) = recalibrate(run, TINY)
    assert line.startswith("crypto: panel refitted on ")


def test_no_more_rows_are_built_than_the_profile_says(run: Run) -> None:
    recalibrate(run, replace(TINY, history_rows=1_500))
    panel = Calibration.objects.filter(stack=None).latest("pk")
    assert 100 <= panel.n <= panel.knots["rows"] < 1_500


def test_without_unseen_minutes_nothing_changes(run: Run) -> None:
    clock.follow(lambda: END - timedelta(minutes=900))
    before = Calibration.objects.count()
    assert recalibrate(run, TINY) == ["crypto: nothing unseen yet"]
    assert Calibration.objects.count() == before


def test_the_command_says_what_it_did(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("recalibrate", "--venue", run.venue.key)
    assert "crypto: panel refitted" in capsys.readouterr().out


def test_a_market_without_candles_is_passed_over(now: datetime, db: None) -> None:
    assert recalibrate(make_run("live"), TINY) == ["crypto: nothing unseen yet"]
