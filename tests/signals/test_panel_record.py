"""The live record of voters: counted from stored rounds and candles, by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.core.management import call_command
from django.db import ProgrammingError, transaction

from lib import clock
from lib.postgres import ensure_partitions
from markets.models import Run
from models_ml.voters import SEATS
from signals import panel_record
from signals.models import PanelRecord, Round
from signals.panel_record import Judged, figures_of, judged
from signals.publishing import save_rounds
from tests.factories_market import MINUTE, ballot, decided, instruments_of, make_run, store

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def run() -> Run:
    ensure_partitions("signals_round", AT, AT)
    return make_run("live", symbols=("BTC/USDT",))


def decide(run: Run, minute: int, closed: float | None, up: int = 7) -> None:
    """A round at `minute` with `up` voters up and the next candle from 100 to `closed`, if there is one."""
    btc, at = instruments_of(run)[0], AT + minute * MINUTE
    save_rounds(run, [decided(btc, at, votes=ballot(up, 7 - up, 0))])
    if closed is not None:
        store(btc, at, 100.0, closed)


def test_votes_are_judged_by_the_next_candle(run: Run) -> None:
    decide(run, 0, 101.0)
    decide(run, 1, 99.0)
    decide(run, 2, 100.0)
    decide(run, 3, None)
    seen = judged(run.venue_id, "crypto", AT + timedelta(hours=1))
    assert seen.labels.tolist() == [1, 0, 2], "newest first: a tie, a fall, a rise; the last is not judged yet"
    figures = figures_of(seen)
    lstm = figures["voters"]["lstm"]
    assert (figures["rounds"], lstm["n"], lstm["hit_rate"], lstm["baseline"]) == (3, 2, 0.5, 0.5)
    assert lstm["low"] < 0.5 < lstm["high"]
    q = 0.6 / 0.9
    assert lstm["brier"] == pytest.approx(((1 - q) ** 2 + q**2) / 2)
    assert figures["voters"]["gemini"] == {**figures["voters"]["gemini"], "n": 0, "hit_rate": None, "votes": 0}
    assert figures["contributions"] == {}, "far too few minutes"


def test_other_markets_and_later_minutes_are_not_counted(run: Run) -> None:
    decide(run, 0, 101.0)
    assert len(judged(run.venue_id, "forex", AT + timedelta(hours=1)).labels) == 0
    assert len(judged(run.venue_id + 1, "crypto", AT + timedelta(hours=1)).labels) == 0
    assert len(judged(run.venue_id, "crypto", AT - MINUTE).labels) == 0
    assert len(judged(run.venue_id, "crypto", AT + timedelta(days=40)).labels) == 0


def test_rounds_that_were_never_asked_are_not_counted(run: Run) -> None:
    decide(run, 0, 101.0)
    btc = instruments_of(run)[0]
    store(btc, AT + MINUTE, 100.0, 101.0)
    Round.objects.create(instrument=btc, horizon_s=60, close_time=AT + MINUTE, state="missed", decided_at=AT)
    assert len(judged(run.venue_id, "crypto", AT + timedelta(hours=1)).labels) == 1


def test_the_command_keeps_what_it_measured(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    decide(run, 0, 101.0)
    clock.follow(lambda: AT + timedelta(hours=1))
    call_command("review_panel", "--venue", run.venue.key)
    clock.release()
    assert capsys.readouterr().out == "crypto: 1 judged rounds measured\n"
    row = PanelRecord.objects.get()
    assert (row.market_class, row.until) == ("crypto", AT + timedelta(hours=1))
    with pytest.raises(ProgrammingError), transaction.atomic():
        PanelRecord.objects.update(market_class="forex")


def test_without_judged_rounds_nothing_is_kept(run: Run) -> None:
    assert panel_record.measure(run) == []


def test_a_copy_of_a_voter_shows_a_contribution_of_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = 6_000
    labels = np.where(rng.random(rows) < 0.5, 2, 0).astype(np.int8)
    up = np.where((labels == 2) == (rng.random(rows) < 0.6), 0.58, 0.38)
    probabilities = np.full((rows, len(SEATS), 3), np.nan)
    for place in (0, 1):
        probabilities[:, place] = np.stack([0.96 - up, np.full(rows, 0.04), up], axis=1)
    directions = np.where(probabilities[..., 2] > 0.48, 1, -1).astype(np.int8)
    figures = figures_of(Judged(probabilities, directions, labels, np.arange(rows) * 60))
    assert abs(figures["contributions"]["lstm"]) < 1e-4
    assert abs(figures["contributions"]["gru"]) < 1e-4
    assert figures["correlation"][0][1] == pytest.approx(1.0)
    assert figures["correlation"][0][2] is None
    assert figures["voters"]["lstm"]["hit_rate"] == pytest.approx(0.6, abs=0.03)
