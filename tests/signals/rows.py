"""Rows of the signal floor for tests that need them without a decision: written as the pipeline writes them."""

from datetime import datetime, timedelta

from lib.clock import wall_now
from lib.postgres import ensure_partitions
from markets.models import Instrument, Run, Venue
from markets.runs import start_run
from models_ml.voters import SEATS
from signals.models import Outcome, Round, Signal

HORIZON = timedelta(seconds=60)


def make_run(key: str = "simulated", *, state: str = Run.State.RUNNING, instruments: int = 4) -> Run:
    """A running market with so many followed instruments."""
    venue = Venue.objects.create(key=key, adapter="simulated", title="Simulated", kind=Venue.Kind.SIMULATED)
    for number in range(instruments):
        base = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT")[number]
        Instrument.objects.create(
            venue=venue, raw_symbol=f"{base}/USDT", symbol=f"{base}/USDT", base=base, quote="USDT",
            market_class="crypto", followed=True,
        )  # fmt: skip
    run = start_run(venue)
    Run.objects.filter(pk=run.pk).update(state=state)
    run.refresh_from_db()
    return run


def instruments_of(run: Run) -> list[Instrument]:
    """The run's instruments in the order plans count them."""
    return list(Instrument.objects.filter(venue_id=run.venue_id).order_by("pk"))


def make_round(instrument: Instrument, close_time: datetime, state: str = Round.State.SILENT) -> Round:
    """A round with nine votes: six up, one neutral, two silent."""
    ensure_partitions("signals_round", close_time, close_time)
    voted = len(SEATS) - 2
    return Round.objects.create(
        instrument=instrument, horizon_s=60, close_time=close_time, state=state, seats=9, quorum=6,
        p_down=[0.3] * voted + [None] * 2, p_neutral=[0.1] * voted + [None] * 2, p_up=[0.6] * voted + [None] * 2,
        directions=[1] * 6 + [0] + [None] * 2, abstained=[0] * voted + [2] * 2, latency_ms=[1.0] * 9,
        model_ids=[0] * 9, direction=1, up_votes=6, neutral_votes=1, vote_share=6 / 9, score=0.61,
        probability=0.58, probability_low=0.54, probability_high=0.60, probability_n=1240, decided_at=wall_now(),
        close=100.0,
    )  # fmt: skip


def make_signal(instrument: Instrument, close_time: datetime) -> Signal:
    """An issued round and its signal."""
    decided = make_round(instrument, close_time, Round.State.ISSUED)
    return Signal.objects.create(
        round_id=decided.pk, instrument=instrument, horizon_s=60, close_time=close_time,
        expires_at=close_time + HORIZON, issued_at=wall_now(), direction=1, entry=100.0, stop=99.0, target=102.0,
        payout=0.85, tier=2, risk_label="LOW", vote_share=6 / 9, score=0.61, probability=0.58, probability_low=0.54,
        probability_high=0.60, probability_n=1240,
    )  # fmt: skip


def make_outcome(signal: Signal, result: str = Outcome.Result.WON, revision: int = 1) -> Outcome:
    """What became of a signal."""
    return Outcome.objects.create(
        signal=signal, result=result, revision=revision, entry=100.0, exit=101.0, resolved_at=wall_now()
    )
