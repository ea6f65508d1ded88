"""What the platform says about itself."""

from datetime import datetime, timedelta

import pytest
from django.utils.dateparse import parse_datetime

from lib import clock
from lib.postgres import ensure_partitions
from markets.models import FeedState, Run
from models_ml.models import TrainingRun
from models_ml.voters import SEATS
from signals.consensus import SEVEN
from signals.due import write_missed
from signals.outcomes import resolve_due
from signals.pipeline import Rules
from signals.publishing import save_rounds
from signals.status import status
from tests.factories_market import MINUTE, ballot, decided, instruments_of, make_run, store
from tests.factories_models import candidate, crown

pytestmark = pytest.mark.django_db
KEYS = {"market", "clock", "feeds", "rounds", "votes", "signals", "outcomes", "models", "sizing", "quality", "queues"}
STATES = ["issued", "silent", "vetoed", "tainted", "late", "missed"]


@pytest.fixture
def now() -> datetime:
    return clock.floor_minute(clock.wall_now())


@pytest.fixture
def run(now: datetime) -> Run:
    ensure_partitions("signals_round", now - timedelta(hours=3), now)
    return make_run()


def test_without_a_market_the_shape_is_the_same() -> None:
    facts = status()
    assert set(facts) == KEYS
    assert facts["market"] is None
    assert facts["rounds"] == dict.fromkeys(STATES, 0)
    assert facts["outcomes"] == dict.fromkeys(["won", "lost", "tie", "void"], 0)
    assert set(facts["votes"]) == set(SEATS)


def test_rounds_votes_signals_and_outcomes_of_the_last_hour(run: Run, now: datetime) -> None:
    btc, eth = instruments_of(run)
    save_rounds(run, [decided(btc, now - 3 * MINUTE), decided(eth, now - 3 * MINUTE, votes=ballot(2, 2))])
    save_rounds(run, [decided(btc, now - 2 * MINUTE, late=True), decided(eth, now - 2 * MINUTE, model_age=2.0)])
    write_missed([(btc.pk, clock.epoch(now - MINUTE), "no_candle")])
    save_rounds(run, [decided(btc, now - timedelta(hours=2))])
    store(btc, now - 3 * MINUTE, 100, 101)
    resolve_due(run, now)
    facts = status()
    assert set(facts) == KEYS
    assert facts["rounds"] == {"issued": 1, "silent": 1, "vetoed": 1, "tainted": 0, "late": 1, "missed": 1}
    assert facts["signals"] == 1
    assert facts["outcomes"] == {"won": 1, "lost": 0, "tie": 0, "void": 0}
    assert facts["votes"]["lstm"] == {"votes": 4, "abstained": {}}
    assert facts["votes"]["grok"] == {"votes": 0, "abstained": {"untrained": 4}}
    assert status(timedelta(hours=3))["rounds"]["issued"] == 2


def test_seats_outside_the_panel_in_force_are_not_counted(run: Run, now: datetime) -> None:
    save_rounds(run, [decided(instruments_of(run)[0], now - MINUTE, votes=ballot(9, 0, 0), rules=Rules(panel=SEVEN))])
    votes = status()["votes"]
    assert votes["cnn_lstm_book"]["votes"] == 1
    assert votes["gemini"] == votes["grok"] == {"votes": 0, "abstained": {}}


def test_another_market_is_not_counted(run: Run, now: datetime) -> None:
    save_rounds(run, [decided(instruments_of(run)[0], now - MINUTE)])
    other = make_run("replay")
    Run.objects.filter(pk=other.pk).update(market_at=now)
    facts = status()
    assert (facts["market"]["kind"], facts["rounds"]["issued"], facts["signals"]) == ("replay", 0, 0)


def test_a_replay_counts_on_its_own_clock() -> None:
    at = parse_datetime("2025-05-20T12:00:00Z")
    assert at is not None
    ensure_partitions("signals_round", at, at)
    run = make_run("replay")
    Run.objects.filter(pk=run.pk).update(market_at=at, state=Run.State.ENDED, speed_reached=58.0)
    save_rounds(run, [decided(instruments_of(run)[0], at), decided(instruments_of(run)[1], at, votes=ballot(1))])
    facts = status()
    assert facts["clock"]["market"] == "2025-05-20T12:00:00+00:00"
    assert facts["clock"]["speed"] == 58.0
    assert (facts["market"]["state"], facts["rounds"]["issued"], facts["rounds"]["silent"]) == ("ended", 1, 1)


def test_feeds_models_quality_and_queues(run: Run, now: datetime) -> None:
    btc = instruments_of(run)[0]
    FeedState.objects.create(
        venue=run.venue, instrument=btc, state="live", since=now, last_message_at=now, reconnects=2
    )
    FeedState.objects.create(venue=run.venue, state="down", since=now)
    crown(candidate(run.venue, metrics={"auc": 0.52, "state": "champion"}))
    candidate(run.venue, metrics={"auc": 0.9, "state": "candidate"})
    TrainingRun.objects.create(
        venue=run.venue, profile="quick", started_at=now, beat_at=now, voter="gru", done=2, total=4
    )
    facts = status()
    assert facts["feeds"]["BTC/USDT@simulated-0"] == {
        "state": "live",
        "since": now.isoformat(),
        "last_message_at": now.isoformat(),
        "reconnects": 2,
    }
    assert facts["feeds"]["simulated-0"]["last_message_at"] is None
    assert facts["models"]["xgb"]["classes"]["crypto"]["metrics"] == {"auc": 0.52, "state": "champion"}
    assert set(facts["quality"]) == {"BTC/USDT", "ETH/USDT"}
    assert facts["queues"]["training"] == {"state": "running", "voter": "gru", "done": 2, "total": 4}
    assert 0 <= facts["queues"]["feed_beat_age_s"] < 60
