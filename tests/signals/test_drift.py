"""Drift: what ADWIN finds in a voter's losses, what PSI finds in its features, and who is muted for it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from pytest_django import Settings

from lib import clock
from lib.postgres import ensure_partitions
from markets.models import Instrument, Run
from models_ml import artifacts, muting
from models_ml.champions import champions
from models_ml.features import COLUMNS, FEATURES_HASH
from models_ml.models import ModelVersion, Mute
from models_ml.validation.psi import FeatureSlice
from models_ml.voters import SEATS
from models_ml.votes import AbstainReason
from signals import drift
from signals.models import Round
from tests.factories_market import instruments_of, make_run, store_series, store_walk
from tests.factories_models import candidate, crown
from tests.trained import forecastable

pytestmark = pytest.mark.django_db

NOW = clock.floor_minute(clock.wall_now()) - timedelta(hours=2)
MINUTES = 1_200
DAY = 1_440
PLACE = SEATS.index("xgb")


@pytest.fixture
def run(settings: Settings, tmp_path: Path, db: None) -> Iterator[Run]:
    settings.ARTIFACTS_DIR = tmp_path
    clock.follow(lambda: NOW)
    yield make_run("live", symbols=("BTC/USDT",))
    clock.release()


def seat(run: Run, **changes: str) -> ModelVersion:
    return crown(candidate(run.venue, trained_until=NOW - timedelta(days=3), **changes))


def rounds(
    instrument: Instrument, model: ModelVersion, p_up: np.ndarray, first: datetime, *, silent: bool = False
) -> None:
    """One round a minute in which XGBoost says `p_up` (N,)."""
    ensure_partitions("signals_round", first, first + timedelta(minutes=len(p_up)))
    blank: list[float | None] = [None] * len(SEATS)

    def filled(value: float) -> list[float | None]:
        return [*blank[:PLACE], float(value), *blank[PLACE + 1 :]]

    Round.objects.bulk_create(
        Round(
            instrument=instrument, horizon_s=60, close_time=first + timedelta(minutes=n), state="silent", seats=9,
            quorum=6, p_down=filled(0.98 - up), p_neutral=filled(0.02), p_up=filled(up), directions=[0] * 9,
            abstained=[0 if place == PLACE and not silent else 1 for place in range(9)], latency_ms=[1.0] * 9,
            model_ids=[model.pk if place == PLACE else 0 for place in range(9)], decided_at=first,
        )
        for n, up in enumerate(p_up)
    )  # fmt: skip


def market(instrument: Instrument, good: int) -> tuple[np.ndarray, datetime]:
    """Candles of `MINUTES`, and forecasts that are right about the first `good` of them and wrong about the others."""
    first = NOW - timedelta(minutes=MINUTES)
    candles = forecastable(MINUTES, 0)
    times = clock.epoch(first) + clock.MINUTE_S * np.arange(MINUTES, dtype=np.int64)
    store_series(instrument, times, candles)
    up = candles[:, 3] > candles[:, 0]
    right = np.arange(MINUTES) < good
    return np.where(up == right, 0.7, 0.28), first


# ---- the stream


def test_losses_that_rise_are_found_with_their_means() -> None:
    rng = np.random.default_rng(0)
    losses = np.r_[rng.normal(0.60, 0.2, 1_500), rng.normal(0.95, 0.2, 1_500)].clip(0, 3)
    found = drift.rise_in(losses)
    assert found is not None
    assert found == pytest.approx((0.60, 0.95), abs=0.1)


@pytest.mark.parametrize("seed", range(20))
def test_a_steady_voter_is_left_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert drift.rise_in(rng.normal(0.69, 0.2, 3_000).clip(0, 3)) is None


def test_losses_that_fall_are_no_drift() -> None:
    rng = np.random.default_rng(0)
    assert drift.rise_in(np.r_[rng.normal(0.95, 0.2, 1_500), rng.normal(0.60, 0.2, 1_500)].clip(0, 3)) is None


def test_an_empty_stream_is_no_drift() -> None:
    assert drift.rise_in(np.empty(0)) is None


# ---- judged votes


def test_a_voter_that_lost_its_touch_is_muted_and_abstains(run: Run) -> None:
    (btc,), model = instruments_of(run), seat(run)
    rounds(btc, model, *market(btc, MINUTES // 2))
    (mute,) = drift.check(run)
    assert (mute.voter, mute.reason, mute.muted_by) == ("xgb", "log_loss", "command:review_panel")
    assert mute.detail.startswith("log loss rose from 0.3")
    assert champions(run.venue_id, "crypto")["xgb"] is AbstainReason.MUTED
    assert drift.check(run) == [], "muted once"


def test_a_voter_that_stays_right_is_not(run: Run) -> None:
    (btc,), model = instruments_of(run), seat(run)
    rounds(btc, model, *market(btc, MINUTES))
    assert drift.check(run) == []


@pytest.mark.parametrize("whose", ["another model", "no vote"])
def test_only_votes_that_it_cast_count(run: Run, whose: str) -> None:
    (btc,), model = instruments_of(run), seat(run)
    said, first = market(btc, MINUTES // 2)
    other = candidate(run.venue)
    rounds(btc, other if whose == "another model" else model, said, first, silent=whose == "no vote")
    assert drift.loss_drift(model, NOW) is None


def test_what_was_lifted_is_not_held_against_it_again(run: Run) -> None:
    (btc,), model = instruments_of(run), seat(run)
    rounds(btc, model, *market(btc, MINUTES // 2))
    drift.check(run)
    muting.lift(run.venue_id, "crypto", "xgb", by="user:1")
    assert drift.check(run) == []


# ---- features


def with_slice(run: Run, shift: float) -> ModelVersion:
    """A champion that learned from features that lie `shift` away from those of a walk."""
    from models_ml.training import samples_of

    (btc,) = instruments_of(run)
    store_walk(btc, NOW, 3_200)
    samples = samples_of([btc.pk], clock.epoch(NOW), 3)
    places = np.arange(0, len(COLUMNS), 7)
    matrix = samples.matrix(places) + np.float32(shift) * np.nan_to_num(np.nanstd(samples.matrix(places), axis=0))
    times = samples.open_times[samples.index[:, 1]]
    slice_ = FeatureSlice.learn(tuple(COLUMNS[place] for place in places), matrix, times)
    path = f"{run.venue.key}/crypto/xgb/sliced"

    class Empty:
        key = "xgb"

        def save(self, folder: Path) -> None:
            (folder / "voter.json").write_text("{}")

    from django.conf import settings

    digest = artifacts.write(Empty(), Path(settings.ARTIFACTS_DIR) / path, features_hash=FEATURES_HASH, slice_=slice_)
    return seat(run, path=path, sha256=digest, features_hash=FEATURES_HASH)


def test_features_like_those_of_training_are_no_drift(run: Run) -> None:
    assert drift.feature_drift(with_slice(run, 0.0), NOW) is None


def test_features_that_left_mute_the_voter(run: Run) -> None:
    with_slice(run, 8.0)
    (mute,) = drift.check(run)
    assert mute.reason == "features"
    assert mute.detail.startswith("median PSI")


def test_features_are_looked_at_whatever_the_second(run: Run) -> None:
    with_slice(run, 8.0)
    clock.follow(lambda: NOW + timedelta(seconds=41))
    (mute,) = drift.check(run)
    assert mute.reason == "features"


def test_rows_that_were_built_once_serve_every_voter(run: Run) -> None:
    model = with_slice(run, 8.0)
    built = drift.recent_rows(run.venue_id, "crypto", until=NOW)
    found = drift.feature_drift(model, NOW, lambda _: built)
    assert found == drift.feature_drift(model, NOW)
    assert found is not None
    assert drift.feature_drift(model, NOW, lambda _: built.pick(np.arange(DAY // 2 - 1))) is None, "too few to say"


def test_a_voter_without_features_or_files_has_none_that_drift(run: Run) -> None:
    assert drift.feature_drift(seat(run), NOW) is None


def test_the_command_says_whom_it_muted(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (btc,), model = instruments_of(run), seat(run)
    rounds(btc, model, *market(btc, MINUTES // 2))
    call_command("review_panel", "--venue", run.venue.key)
    assert "\nxgb muted: log loss rose" in capsys.readouterr().out
    with pytest.raises(Exception, match="has no market"):
        call_command("review_panel", "--venue", "nowhere")
    assert Mute.objects.count() == 1
