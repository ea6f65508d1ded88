"""Signals with a forecast of volatility, for the sizing shadow, and rows of the shadow itself."""

from datetime import datetime, timedelta

from markets.models import Instrument
from models_ml.models import AgentVersion
from signals.models import Outcome, Signal, SizingShadow
from tests.signals.records import issued

USUAL = 4e-8
"""Variance of a usual minute."""


def weather(ratio: float) -> dict[str, object]:
    """An outlook whose next hour moves `ratio` times as much as usual."""
    return {"variance": {"60": USUAL * ratio**2}, "usual": USUAL}


def sized(
    instrument: Instrument, close_time: datetime, *, ratio: float | None = 1.0, probability: float = 0.6, n: int = 1_240
) -> Signal:
    """An issued signal whose probability rests on `n` cases; None for a round without a forecast."""
    outlook = {} if ratio is None else weather(ratio)
    return issued(instrument, close_time, outlook=outlook, probability=probability, probability_n=n)


def shadow(signal: Signal, version: AgentVersion, stake: float, kelly: float) -> SizingShadow:
    """What was staked on a signal."""
    return SizingShadow.objects.create(
        signal=signal, version=version, stake=stake, kelly=kelly, volatility=1.0, drawdown=0.0, recent=0.0,
        decided_at=signal.close_time,
    )  # fmt: skip


def seen(signal: Signal, result: str, *, after: timedelta = timedelta(0), revision: int = 1) -> Outcome:
    """An outcome judged from a candle that came so long after the signal's end."""
    at = signal.expires_at + after
    return Outcome.objects.create(
        signal=signal, revision=revision, result=result, entry=signal.entry, exit=signal.entry,
        evidence_observed_at=at, resolved_at=at,
    )  # fmt: skip
