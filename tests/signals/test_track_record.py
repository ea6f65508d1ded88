"""The counts that every stated probability is held against."""

from datetime import UTC, datetime, timedelta

import pytest

from lib.postgres import ensure_partitions
from markets.models import Run
from signals.confidence import Bin, bin_of
from signals.models import Outcome, Signal
from signals.track_record import live_bins
from tests.factories_market import MINUTE, instruments_of, make_run

pytestmark = pytest.mark.django_db
CLOSE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def run() -> Run:
    ensure_partitions("signals_round", CLOSE, CLOSE)
    return make_run()


def judged(run: Run, probability: float | None, *results: str) -> Signal:
    """A signal that stated `probability`, with its outcomes, oldest first."""
    signal = Signal.objects.create(
        round_id=1, instrument=instruments_of(run)[0], horizon_s=60, issued_at=CLOSE, direction=1, entry=100,
        close_time=CLOSE + Signal.objects.count() * MINUTE, expires_at=CLOSE + timedelta(days=1), payout=0.85, tier=3,
        risk_label="LOW", vote_share=0.7, score=0.7, probability=probability,
    )  # fmt: skip
    for number, result in enumerate(results, start=1):
        Outcome.objects.create(signal=signal, revision=number, result=result, resolved_at=CLOSE)
    return signal


def test_outcomes_are_counted_by_the_bin_of_what_was_stated(run: Run) -> None:
    for result in ("won", "won", "lost"):
        judged(run, 0.57, result)
    judged(run, 0.62, "lost")
    assert live_bins(run.venue_id) == {11: Bin(3, 2), 12: Bin(1, 0)}


def test_a_tie_was_not_right_and_a_void_never_happened(run: Run) -> None:
    for result in ("won", "tie", "void"):
        judged(run, 0.57, result)
    assert live_bins(run.venue_id) == {11: Bin(2, 1)}


def test_the_newest_revision_counts(run: Run) -> None:
    judged(run, 0.57, "won", "lost")
    judged(run, 0.57, "lost", "tie", "won")
    assert live_bins(run.venue_id) == {11: Bin(2, 1)}


def test_what_was_not_stated_or_not_judged_is_not_counted(run: Run) -> None:
    judged(run, None, "won")
    judged(run, 0.57)
    assert live_bins(run.venue_id) == {}


def test_every_market_has_its_own_record(run: Run) -> None:
    other = make_run("replay")
    judged(run, 0.57, "won")
    judged(other, 0.57, "lost")
    assert live_bins(run.venue_id) == {11: Bin(1, 1)}
    assert live_bins(other.venue_id) == {11: Bin(1, 0)}


@pytest.mark.parametrize("probability", [0.0, 0.05, 0.1, 0.15, 0.3, 0.55, 0.5999999, 0.6, 0.65, 0.95, 0.9999, 1.0])
def test_the_database_bins_as_the_pipeline_does(run: Run, probability: float) -> None:
    judged(run, probability, "won")
    assert live_bins(run.venue_id) == {bin_of(probability): Bin(1, 1)}
