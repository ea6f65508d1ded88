"""Tuning: on the shared storage, in tables that the application's role does not own, towards a candidate."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import optuna
import psycopg
import pytest
from django.core.management import call_command
from optuna.storages._rdb.models import BaseModel
from pytest_django import Settings
from sqlalchemy import inspect

from lib import clock
from markets.models import Instrument, Run
from models_ml.models import ModelVersion
from models_ml.profiles import QUICK, tuned_profile
from models_ml.samples import Samples
from models_ml.training import profile_for, samples_of
from models_ml.tuning import SPACES, NotTunable, search, storage
from models_ml.voters import LOCAL_SEATS
from tests.factories_market import instruments_of, make_run, store_series
from tests.factories_models import candidate, crown
from tests.trained import TINY, forecastable

pytestmark = pytest.mark.django_db(transaction=True)

NOW = clock.floor_minute(clock.wall_now()) - timedelta(hours=2)
MINUTES = 3_200


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Iterator[Run]:
    settings.ARTIFACTS_DIR = tmp_path
    clock.follow(lambda: NOW)
    made = make_run("live", symbols=("BTC/USDT",))
    times = clock.epoch(NOW) - clock.MINUTE_S * np.arange(MINUTES, 0, -1, dtype=np.int64)
    store_series(instruments_of(made)[0], times, forecastable(MINUTES, 0))
    yield made
    clock.release()


def samples(run: Run) -> Samples:
    return samples_of([one.pk for one in instruments_of(run)], clock.epoch(NOW), 2)


def test_a_search_beats_sizes_that_are_bad_and_is_kept(run: Run) -> None:
    # The line under the boosted trees carries them whatever their sizes: the forest shows what a search is worth.
    poor = replace(TINY, forest_trees=2, forest_depth=1, forest_leaf=800, min_rows=100)
    found = search("random_forest", samples(run), poor, study="a study", trials=4, seed=1)
    assert found.loss < found.before
    assert set(found.sizes) == {"forest_depth", "forest_leaf"}
    again = search("random_forest", samples(run), poor, study="a study", trials=1, seed=2)
    assert again.loss <= found.loss, "what others found counts"
    assert len(optuna.load_study(study_name="a study", storage=storage()).trials) == 5


def test_the_tables_are_those_that_the_installed_optuna_wants(run: Run) -> None:
    """An upgrade that wants others fails here, and asks for a migration."""
    seen = inspect(storage().engine)
    for table in BaseModel.metadata.sorted_tables:
        columns = {column["name"]: column for column in seen.get_columns(table.name)}
        assert set(columns) == set(table.columns.keys()), table.name
        for column in table.columns:
            assert columns[column.name]["nullable"] == column.nullable, f"{table.name}.{column.name}"
    storage()._version_manager.check_table_schema_compatibility()


def test_the_application_owns_none_of_them(owner_connection: psycopg.Connection[tuple[object, ...]]) -> None:
    rows = owner_connection.execute(
        "SELECT DISTINCT tableowner FROM pg_tables WHERE tablename IN ('studies', 'trials')"
    )
    assert rows.fetchall() == [("candor_owner",)]


def test_every_local_voter_can_be_tuned_and_no_other(run: Run) -> None:
    assert set(SPACES) == set(LOCAL_SEATS)
    with pytest.raises(NotTunable, match="'gemini' has no sizes to tune"):
        search("gemini", samples(run), TINY, study="x", trials=1, seed=0)


def test_the_command_puts_what_it_found_to_the_test(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    clock.follow(lambda: NOW + timedelta(seconds=33))
    Instrument.objects.create(
        venue=run.venue, raw_symbol="EURUSD", symbol="EUR/USD", base="EUR", quote="USD", market_class="forex",
        followed=True,
    )  # fmt: skip
    champion = crown(candidate(run.venue, trained_until=NOW, tuned={"xgb_rate": 0.0001, "gone": 3}))
    assert profile_for(run.venue, "crypto", "xgb", QUICK).xgb_rate == 0.0001
    call_command("tune", "--venue", run.venue.key, "--seats", "xgb", "--trials", "2", "--profile", "quick")
    told = capsys.readouterr().out
    assert "crypto xgb: " in told
    assert "forex: less than a day of candles" in told
    made = ModelVersion.objects.exclude(pk=champion.pk).get()
    assert (made.kind, made.voter) == ("tuned", "xgb")
    assert set(made.tuned) == {"xgb_trees", "xgb_depth", "xgb_rate"}


def test_unknown_sizes_of_an_earlier_release_are_passed_over() -> None:
    assert tuned_profile(QUICK, {"gone": 1}) is QUICK
    assert tuned_profile(QUICK, {"xgb_depth": 4}).tuned == {"xgb_depth": 4}
