"""A minute of a trained panel with its stack: what is stated, what is suggested, and a round without either."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest
from django.conf import settings as configured
from pytest_django import Settings

from lib import clock
from lib.postgres import ensure_partitions
from markets.models import Run
from models_ml import champions, muting
from models_ml.models import Mute
from models_ml.promotion import promote
from models_ml.voters import SEATS as PANEL
from models_ml.votes import AbstainReason
from signals.models import Round, Signal
from signals.rounds import BARS, decide_minute
from tests.factories_market import instruments_of, store_series
from tests.factories_models import candidate, conclude, register
from tests.faults.witness import witnessing
from tests.trained import END, forecastable

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("trained")]
CLOSE = END + timedelta(minutes=60)


@pytest.fixture
def market(stacked_run: Run, settings: Settings) -> Iterator[Run]:
    """Candles up to `CLOSE`, all after what the panel learned from as far as a decision is concerned."""
    settings.VOTER_DEADLINE_S = 30  # a busy test machine is not what is tested here
    ensure_partitions("signals_round", CLOSE, CLOSE)
    times = clock.epoch(CLOSE) - clock.MINUTE_S * np.arange(BARS, 0, -1, dtype=np.int64)
    for seed, instrument in enumerate(instruments_of(stacked_run)):
        store_series(instrument, times, forecastable(BARS, seed + 50))
    clock.follow(lambda: CLOSE)
    yield stacked_run
    clock.release()


def decide(run: Run, close: datetime = CLOSE) -> list[Round]:
    ids = [instrument.pk for instrument in instruments_of(run)]
    decide_minute(clock.epoch(close), ids, received=time.time() + 60)  # however slow the machine, it is not late
    return list(Round.objects.filter(close_time=close).order_by("pk"))


def sided(rows: list[Round]) -> list[Round]:
    return [row for row in rows if row.direction]


def test_the_stack_states_what_the_quorum_said(market: Run) -> None:
    rows = sided(decide(market))
    assert rows, "a panel that can forecast agrees"
    for row in rows:
        assert row.probability is not None
        assert row.probability_floor is not None
        assert row.probability_floor <= row.probability
        assert row.score != row.probability != row.vote_share
    for signal in Signal.objects.all():
        row = Round.objects.get(pk=signal.round_id)
        assert (signal.probability_floor, signal.actionable) == (row.probability_floor, row.actionable)
        assert signal.suggested_risk is not None
        assert 0 <= signal.suggested_risk <= 0.02
        assert signal.risk_note.endswith(".")


def test_without_readable_files_the_round_goes_on_without_it(market: Run) -> None:
    old = market.venue.modelversion_set.get(voter="meta", state="champion")
    lost = candidate(
        market.venue, "meta", features_hash=old.features_hash, path=f"{market.venue.key}/crypto/meta/lost",
        trained_until=END,
    )  # fmt: skip
    promote(conclude(register(lost, old)), by="test")
    rmtree(Path(configured.ARTIFACTS_DIR) / lost.path, ignore_errors=True)
    with witnessing() as witness:
        rows = decide(market)
    assert witness.count("stack_refused", model_id=lost.pk) == 1
    assert len(rows) == 2
    assert all(row.probability_floor is None for row in rows)
    assert all(row.probability is not None for row in sided(rows)), "the panel's own calibration speaks"


def test_a_muted_voter_abstains_and_the_quorum_stays(market: Run) -> None:
    muting.mute(market.venue_id, "crypto", "xgb", Mute.Reason.LOSS, by="drift")
    place = PANEL.index("xgb")
    for row in decide(market):
        assert row.abstained[place] == AbstainReason.MUTED
        assert (row.seats, row.quorum) == (7, 5)
        assert row.p_up[place] is None


def test_a_stack_that_fails_stops_nothing(market: Run) -> None:
    """Its file is whole and says nonsense: other seats than there are."""
    loaded = champions.stack_of(market.venue_id, "crypto")
    assert loaded is not None
    broken = loaded.stack.__class__(**{**vars(loaded.stack), "heard": loaded.stack.heard[:3]})
    key = market.venue_id, "crypto"
    champions._stacks[key] = champions._stacks[key][0], champions.LoadedStack(broken, loaded.model_id, loaded.bins)
    with witnessing() as witness:
        rows = decide(market)
    assert witness.count("stack_failed", model_id=loaded.model_id) == 1
    assert len(rows) == 2
