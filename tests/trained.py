"""A panel trained once a session, on a small market that can be forecast: after a rise it tends to fall, and back.

Real markets are not like that. Here the voters must agree, so that a test can follow what happens when they do.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.db import connections
from django.db.models import Model
from pytest_django import DjangoDbBlocker

from lib import clock
from markets.models import Instrument, Run, Venue
from markets.runs import start_run
from markets.values import FloatArray
from models_ml.models import Calibration, ModelVersion, TrainingRun
from models_ml.profiles import QUICK
from models_ml.training import train
from models_ml.voters import STACK
from signals.scoring import panel_score
from tests.database import flush
from tests.factories_market import candles_of, instruments_of, make_run, store_series
from tests.factories_models import crown

SEATS = ("gru", "lstm", "xgb", "random_forest", "cnn")
"""A quorum of the seven, the quickest to train."""
MINUTES = 3_200
TINY = replace(
    QUICK, name="tiny", history_days=3, max_rows=1_500, epochs=6, patience=2, batch=64, learning_rate=5e-3,
    xgb_trees=20, xgb_depth=3, xgb_rate=0.2, sizing_steps=512,
    forest_trees=15, forest_depth=4, forest_leaf=20, lstm_width=16, gru_width=16, cnn_channels=(4, 8),
)  # fmt: skip
SIGMA = 1e-3
FIRST_ID = 900_001
"""Models know instruments by number, so tests give them back the same one, far from the sequence."""
END = clock.floor_minute(clock.wall_now()) - timedelta(hours=3)
"""Models have an age limit, so this is recent."""


@dataclass(frozen=True)
class Trained:
    """What the training left behind, as values: tests put the rows back into their own transaction."""

    run: dict[str, Any]
    venue: dict[str, Any]
    instruments: list[dict[str, Any]]
    versions: list[dict[str, Any]]
    stacks: list[dict[str, Any]]
    calibrations: list[dict[str, Any]]
    maps: list[dict[str, Any]]
    told: list[tuple[str, int, int]]  # (voter, done, total) of every step of progress


def forecastable(minutes: int, seed: int) -> FloatArray:
    """Candles (T, 5) each of which tends to undo the one before it."""
    rng = np.random.default_rng(seed)
    bodies = rng.normal(0, SIGMA / 2, minutes)
    for n in range(1, minutes):
        bodies[n] -= SIGMA * np.sign(bodies[n - 1])
    return candles_of(bodies, rng)


@pytest.fixture(scope="session")
def trained(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Trained]:
    """A tiny panel, trained on two instruments and two days as any other is."""
    with django_db_blocker.unblock():
        run = make_run("live", key=f"trained-{os.getpid()}", symbols=())
        for number, base in enumerate(("BTC", "ETH")):
            Instrument.objects.create(
                pk=FIRST_ID + number, venue=run.venue, raw_symbol=f"{base}/USDT", symbol=f"{base}/USDT", base=base,
                quote="USDT", market_class="crypto", followed=True,
            )  # fmt: skip
        times = clock.epoch(END) - clock.MINUTE_S * np.arange(MINUTES, 0, -1, dtype=np.int64)
        for seed, instrument in enumerate(instruments_of(run)):
            store_series(instrument, times, forecastable(MINUTES, seed))
        told: list[tuple[str, int, int]] = []
        train(
            run.venue,
            profile=TINY,
            score=panel_score,
            seats=SEATS,
            say=lambda at: told.append((at.voter, at.done, at.total)),
        )
        found = Trained(
            run=_rows(TrainingRun)[0],
            venue=_rows(Venue)[0],
            instruments=_rows(Instrument),
            versions=[row for row in _rows(ModelVersion) if row["voter"] != STACK],
            stacks=[row for row in _rows(ModelVersion) if row["voter"] == STACK],
            calibrations=[row for row in _rows(Calibration) if not row["stack_id"]],
            maps=[row for row in _rows(Calibration) if row["stack_id"]],
            told=told,
        )
        connections["default"].close()
        flush()
    yield found
    rmtree(Path(settings.ARTIFACTS_DIR) / found.venue["key"])


@pytest.fixture
def trained_run(trained: Trained, db: None) -> Iterator[Run]:
    """A running live market whose panel is the trained one; its instruments are not due yet."""
    venue = Venue.objects.create(**_without(trained.venue, "id"))
    for row in trained.instruments:
        Instrument.objects.create(**row | {"venue_id": venue.pk})
    for row in trained.versions:
        crown(ModelVersion.objects.create(**_without(row, "id") | {"venue_id": venue.pk, "state": "candidate"}))
    for row in trained.calibrations:
        Calibration.objects.create(**_without(row, "id") | {"venue_id": venue.pk})
    run = start_run(venue)
    Run.objects.filter(pk=run.pk).update(state=Run.State.RUNNING)
    run.refresh_from_db()
    yield run
    clock.release()


@pytest.fixture
def stacked_run(trained: Trained, trained_run: Run) -> Run:
    """The same with its stack in the chair."""
    (row,) = trained.stacks
    stack = crown(
        ModelVersion.objects.create(**_without(row, "id") | {"venue_id": trained_run.venue_id, "state": "candidate"})
    )
    for facts in trained.maps:
        Calibration.objects.create(**_without(facts, "id") | {"venue_id": trained_run.venue_id, "stack_id": stack.pk})
    return trained_run


def _rows(model: type[Model]) -> list[dict[str, Any]]:
    return [dict(row) for row in model._default_manager.order_by("pk").values()]


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
