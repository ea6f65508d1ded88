"""The shadow of the learned sizing: written before the outcome is known, once, and never in anybody's way."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shutil import rmtree

import numpy as np
import psycopg
import pytest
from django.conf import settings as configured
from django.db import IntegrityError, transaction
from django.forms.models import model_to_dict
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from config.celery import app as celery
from lib import clock
from markets.models import Run
from models_ml import fits
from models_ml.agents.sizing_rl import EPISODE, Account, SizingPolicy
from models_ml.agents.sizing_rl import seen as sees
from models_ml.models import AgentVersion
from signals import tasks
from signals.models import PushEvent, Signal, SizingShadow
from signals.publishing import save_rounds
from signals.sizing_shadow import account_of, record
from tests.factories_market import ballot, decided
from tests.faults.witness import witnessing
from tests.models_ml.sizings import Unwell, constant, edged, store_sizing, timid
from tests.signals.records import MINUTE, Market, market
from tests.signals.shadows import seen, shadow, sized, weather

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(db: None, settings: Settings, tmp_path: Path) -> Iterator[Market]:
    """A market of two whose clock stands still ten seconds after the newest minute's end."""
    settings.ARTIFACTS_DIR = tmp_path
    settings.AGENT_DEADLINE_S = 30  # a busy test machine is not what is tested here
    fits._loaded.clear()
    found = market()
    clock.follow(lambda: found.now + timedelta(seconds=10))
    yield found
    clock.release()
    fits._loaded.clear()


@pytest.fixture
def version(made: Market) -> AgentVersion:
    return store_sizing(made.run.venue, constant(0.007), made.now - timedelta(hours=1))


def facts(signal: Signal) -> dict[str, object]:
    signal.refresh_from_db()
    return model_to_dict(signal)


def test_a_row_says_what_both_would_stake_and_on_what(made: Market, version: AgentVersion) -> None:
    btc, eth = made.instruments
    calm, wild = sized(btc, made.now), sized(eth, made.now, ratio=4.0)
    before = facts(calm), facts(wild)
    assert record(made.run, [calm.pk, wild.pk]) == 2
    rows = {row.signal_id: row for row in SizingShadow.objects.all()}
    edge = (0.6 * 1.85 - 1) / 0.85
    assert rows[calm.pk].kelly == pytest.approx(min(edge / 2, 0.02))
    assert rows[wild.pk].kelly == pytest.approx(edge / 8)
    for row in rows.values():
        assert row.version == version
        assert row.stake == pytest.approx(0.007)
        assert (row.drawdown, row.recent) == (0.0, 0.0)
        assert row.decided_at == made.now + timedelta(seconds=10)
    assert rows[wild.pk].volatility == pytest.approx(4.0)
    assert (facts(calm), facts(wild)) == before, "what subscribers see is as it was"
    assert not PushEvent.objects.exists()


def test_a_row_explains_its_stake(made: Market) -> None:
    """From what it holds, its signal and its version's files the same stake follows again."""
    store_sizing(made.run.venue, timid(), made.now - timedelta(hours=1))
    past = [sized(made.instruments[0], made.now - MINUTE * back) for back in range(12, 1, -1)]
    for place, signal in enumerate(past):
        shadow(signal, AgentVersion.objects.get(), 0.02, 0.02)
        seen(signal, "lost" if place % 4 else "won")
    signal = sized(made.instruments[0], made.now, ratio=1.5)
    assert record(made.run, [signal.pk]) == 1
    row = SizingShadow.objects.get(signal=signal)
    assert row.drawdown > 0.1
    given = edged([signal.probability or 0], 0)
    given.sigma[:] = row.volatility
    policy = fits.loaded(row.version)
    assert isinstance(policy, SizingPolicy)
    assert row.stake == policy.stake(sees(given, 0, 1 - row.drawdown, 1.0, row.recent))


def test_the_account_takes_judged_rows_in_the_order_they_were_known(made: Market, version: AgentVersion) -> None:
    btc, eth = made.instruments
    results = ["won", "lost", "tie", "lost", "void"]
    signals = [sized((btc, eth)[place % 2], made.now - MINUTE * (6 - place)) for place in range(5)]
    for signal in reversed(signals):
        shadow(signal, version, 0.01, 0.0)
    for signal, result in list(zip(signals, results, strict=True))[::-1]:
        seen(signal, result)
    seen(signals[0], "lost", revision=2)
    open_ = sized(btc, made.now - MINUTE / 2)
    shadow(open_, version, 0.02, 0.0)
    expected = Account()
    for brought in (-1.0, -1.0, 0.0, -1.0):
        expected.take(0.01, brought)
    found = account_of(made.run.venue_id, "crypto", clock.epoch(made.now))
    assert (found.equity, found.peak, found.recent) == (expected.equity, expected.peak, expected.recent)
    early = account_of(made.run.venue_id, "crypto", clock.epoch(signals[0].expires_at))
    assert early.equity == pytest.approx(0.99), "what was known later is not counted yet"
    assert account_of(made.run.venue_id, "forex", clock.epoch(made.now)).equity == 1


def test_the_account_is_as_long_as_those_that_the_policy_learned_on(made: Market, version: AgentVersion) -> None:
    btc, first = made.instruments[0], made.now - MINUTE * (EPISODE + 3)
    for place in range(EPISODE + 1):
        signal = sized(btc, first + MINUTE * place)
        shadow(signal, version, 0.02 if place == 0 else 0.0, 0.0)
        seen(signal, "lost")
    assert account_of(made.run.venue_id, "crypto", clock.epoch(made.now)).equity == 1


def test_what_cannot_be_sized_has_no_row(made: Market, version: AgentVersion) -> None:
    btc, eth = made.instruments
    dark, unknown = sized(btc, made.now, ratio=None), sized(eth, made.now, n=99)
    assert record(made.run, [dark.pk, unknown.pk]) == 0
    assert record(made.run, []) == 0


def test_nothing_is_written_once_the_outcome_can_be_known(made: Market, version: AgentVersion) -> None:
    btc, eth = made.instruments
    over, known = sized(btc, made.now - MINUTE), sized(eth, made.now)
    seen(known, "won")
    assert record(made.run, [over.pk, known.pk]) == 0


def test_what_is_judged_while_the_policy_thinks_is_left_out(made: Market, version: AgentVersion) -> None:
    signal = sized(made.instruments[0], made.now)

    class Slow(SizingPolicy):
        def stake(self, sees: np.ndarray) -> float:
            clock.follow(lambda: signal.expires_at)  # the minute ends while it thinks
            return 0.01

    fits._loaded[made.run.venue_id, "crypto", SizingPolicy.key] = version.pk, Slow({})
    assert record(made.run, [signal.pk]) == 0
    assert not SizingShadow.objects.exists()


def test_a_signal_has_one_row_whoever_asks_again(made: Market, version: AgentVersion) -> None:
    signal = sized(made.instruments[0], made.now)
    assert record(made.run, [signal.pk]) == 1
    store_sizing(made.run.venue, constant(0.001), made.now - timedelta(minutes=30))
    assert record(made.run, [signal.pk]) == 0
    assert SizingShadow.objects.get().version == version


def test_signals_of_another_market_are_not_this_runs(made: Market, version: AgentVersion) -> None:
    signal = sized(made.instruments[0], made.now)
    other = market()
    assert record(other.run, [signal.pk]) == 0


@pytest.mark.parametrize("fault", ["missing", "corrupt", "raises"])
def test_a_policy_that_fails_costs_nothing_but_the_row(made: Market, fault: str) -> None:
    event = ""
    if fault != "missing":
        version = store_sizing(made.run.venue, constant(0.007), made.now - timedelta(hours=1))
        if fault == "corrupt":
            rmtree(Path(configured.ARTIFACTS_DIR) / version.path)
            event = "agent_refused"
        else:
            fits._loaded[made.run.venue_id, "crypto", SizingPolicy.key] = version.pk, Unwell({})
            event = "agent_failed"
    signal = sized(made.instruments[0], made.now)
    with witnessing() as witness:
        assert tasks.shadow_sizes([signal.pk]) == 0
    assert not event or witness.count(event, agent="sizing_rl") == 1
    assert Signal.objects.get().suggested_risk == 0.0007


# ---- the way there


def test_the_task_speaks_of_the_market_that_is_shown(made: Market, version: AgentVersion) -> None:
    signal = sized(made.instruments[0], made.now)
    assert tasks.shadow_sizes([signal.pk]) == 1
    Run.objects.all().delete()
    assert tasks.shadow_sizes([signal.pk]) == 0


def test_an_issued_signal_asks_for_its_shadow_after_the_commit(
    made: Market, version: AgentVersion, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    item = replace(decided(made.instruments[0], made.now, votes=ballot(up=7)), outlook=weather(1.0))
    celery.conf.task_always_eager = celery.conf.task_eager_propagates = True
    try:
        with django_capture_on_commit_callbacks(execute=True):
            save_rounds(made.run, [item])
            assert not SizingShadow.objects.exists()
    finally:
        celery.conf.task_always_eager = celery.conf.task_eager_propagates = False
    assert SizingShadow.objects.get().signal == Signal.objects.get()


# ---- what the database allows


@pytest.mark.parametrize("facts", [(-0.001, 0.01), (0.021, 0.01), (0.01, -0.001), (0.01, 0.021), (float("nan"), 0.01)])
def test_the_database_takes_stakes_from_nothing_to_two_percent(
    made: Market, version: AgentVersion, facts: tuple[float, float]
) -> None:
    signal = sized(made.instruments[0], made.now)
    with pytest.raises(IntegrityError, match="shadow_"), transaction.atomic():
        shadow(signal, version, *facts)
    shadow(signal, version, 0.0, 0.02)


def test_rows_are_never_changed(app_connection: psycopg.Connection[tuple[object, ...]]) -> None:
    for statement in ("UPDATE signals_sizingshadow SET stake = 0", "DELETE FROM signals_sizingshadow"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_connection.execute(statement)
