"""A small market with rounds, signals and outcomes, as tests of pages and push need it."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from lib.clock import floor_minute, wall_now
from lib.postgres import ensure_partitions
from markets.models import Candle, FeedState, Instrument, Run, Venue
from models_ml.voters import SEATS
from models_ml.votes import AbstainReason
from signals.gallery import LENS_FACTS
from signals.models import Outcome, Round, Signal

MINUTE = timedelta(minutes=1)
PRICES = {
    "BTC": 61_200.0,
    "ETH": 2_950.0,
    "SOL": 143.0,
    "XRP": 0.52,
    "ADA": 0.39,
    "DOGE": 0.12,
    "BNB": 584.0,
    "LTC": 71.0,
}
TICKS = {"BTC": 0.1, "ETH": 0.01, "SOL": 0.01, "XRP": 0.0001, "ADA": 0.0001, "DOGE": 0.00001, "BNB": 0.1, "LTC": 0.01}


@dataclass(frozen=True, slots=True)
class Market:
    """A run with its instruments; `now` is the newest close time."""

    run: Run
    instruments: list[Instrument]
    now: datetime


def market(kind: str = Venue.Kind.LIVE, count: int = 2, *, now: datetime | None = None, **run: object) -> Market:
    """A running market of `count` instruments, without candles."""
    at = floor_minute(now or wall_now())
    for table in ("markets_candle", "signals_round"):
        ensure_partitions(table, at - timedelta(days=40), at + timedelta(days=1))
    venue = Venue.objects.create(key=f"{kind}-{Venue.objects.count()}", adapter="simulated", title="Binance", kind=kind)
    facts = {"state": Run.State.RUNNING, "started_at": wall_now(), "beat_at": wall_now()} | run
    made = Run.objects.create(venue=venue, **facts)
    instruments = [
        Instrument.objects.create(
            venue=venue, raw_symbol=f"{base}/USDT", symbol=f"{base}/USDT", base=base, quote="USDT",
            market_class="crypto", tick_size=TICKS[base], followed=True,
        )
        for base in list(PRICES)[:count]
    ]  # fmt: skip
    FeedState.objects.create(venue=venue, state="live", since=at - timedelta(hours=2), last_message_at=at)
    return Market(made, instruments, at)


def price_at(instrument: Instrument, at: datetime) -> float:
    """A smooth made-up price."""
    minute = at.timestamp() / 60
    wave = math.sin(minute / 37) * 0.004 + math.sin(minute / 5.3) * 0.001 + math.sin(minute * 1.7) * 0.0004
    return PRICES[instrument.base] * (1 + wave)


def candles(instrument: Instrument, until: datetime, count: int, *, skip: frozenset[int] = frozenset()) -> None:
    """`count` minutes that end at `until`; those whose number (from the newest, 0) is in `skip` are missing."""
    rows = []
    for back in set(range(count)) - skip:
        at = until - MINUTE * (back + 1)
        first, last = price_at(instrument, at), price_at(instrument, at + MINUTE)
        reach = PRICES[instrument.base] * 0.0003
        rows.append(
            Candle(
                instrument=instrument, open_time=at, open=first, close=last, high=max(first, last) + reach,
                low=min(first, last) - reach, volume=12.5 + back % 7, observed_at=at + MINUTE, source=1,
            )
        )  # fmt: skip
    Candle.objects.bulk_create(rows)


def decided(instrument: Instrument, close_time: datetime, state: str = "issued", **facts: object) -> Round:
    """A decided round with nine votes: seven up, one down, Gemini and Grok without a key when `seats` is 7."""
    direction, ups = int(str(facts.pop("direction", 1))), int(str(facts.pop("agreeing", 7)))
    silent = [AbstainReason.NO_KEY if key in {"gemini", "grok"} else 0 for key in SEATS]
    sides = [None if silent[seat] else (direction if seat < ups else -direction) for seat in range(len(SEATS))]
    raw = [0.53 + 0.01 * seat for seat in range(len(SEATS))]
    ups_of = [None if side is None else (p if side > 0 else 0.97 - p) for side, p in zip(sides, raw, strict=True)]
    row = Round(
        instrument=instrument, horizon_s=60, close_time=close_time, state=state, seats=9, quorum=6,
        p_up=ups_of, p_down=[None if up is None else 0.97 - up for up in ups_of],
        p_neutral=[None if side is None else 0.03 for side in sides],
        directions=sides, abstained=[int(reason) for reason in silent], latency_ms=[3.5 + seat for seat in range(9)],
        lens_directions=[lens.direction for lens in LENS_FACTS], lens_reasons=[lens.reason for lens in LENS_FACTS],
        model_ids=[0] * 9, direction=direction if state == "issued" else 0,
        up_votes=sides.count(1), down_votes=sides.count(-1), vote_share=ups / 9, score=0.76,
        probability=0.58, probability_low=0.5423, probability_high=0.5972, probability_n=1240,
        probability_source="validation", risk_score=0.32, risk_parts={"volatility": 0.41, "range": 0.22},
        close=price_at(instrument, close_time), decided_at=close_time + timedelta(seconds=1), observed_at=close_time,
    )  # fmt: skip
    for name, value in facts.items():
        setattr(row, name, value)
    row.save()
    return row


def issued(instrument: Instrument, close_time: datetime, direction: int = 1, **facts: object) -> Signal:
    """An issued round with its signal."""
    row = decided(instrument, close_time, "issued", direction=direction, **facts)
    step = instrument.tick_size * 100
    return Signal.objects.create(
        round_id=row.pk, instrument=instrument, horizon_s=60, close_time=close_time, expires_at=close_time + MINUTE,
        issued_at=row.decided_at, direction=direction, entry=row.close or 0, stop=(row.close or 0) - direction * step,
        target=(row.close or 0) + direction * step * 2, payout=0.85, expected_move_bps=1.4, tier=2, risk_label="LOW",
        vote_share=row.vote_share or 0, score=row.score or 0, probability=row.probability,
        probability_low=row.probability_low, probability_high=row.probability_high, probability_n=row.probability_n,
        actionable=True, suggested_risk=0.0007, suggested_position=1.0,
        risk_note="Risk at most 0.07% of your capital up to the stop: a position of 100% of it.",
    )  # fmt: skip


def judged(signal: Signal, result: str, revision: int = 1) -> Outcome:
    """An outcome of `signal`."""
    return Outcome.objects.create(
        signal=signal, revision=revision, result=result, entry=signal.entry, exit=signal.entry * 1.0002,
        resolved_at=signal.expires_at + timedelta(seconds=1),
    )  # fmt: skip


def busy(count: int = 8, kind: str = Venue.Kind.LIVE, *, rounds: int = 30, bars: int = 600) -> Market:
    """A market with candles and half an hour of rounds in every state."""
    made = market(kind, count)
    for place, instrument in enumerate(made.instruments):
        candles(instrument, made.now, bars, skip=frozenset({90, 91, 92}) if place == 0 else frozenset())
        for back in range(rounds, -1, -1):
            _one(instrument, made.now - MINUTE * back, place, back)
    return made


def _one(instrument: Instrument, at: datetime, place: int, back: int) -> None:
    turn = (place + back) % 5
    if turn in {0, 3}:
        signal = issued(instrument, at, 1 if (place + back) % 2 == 0 else -1, agreeing=6 + turn // 3)
        if back:
            judged(signal, ("won", "lost", "won", "tie")[(back + place) % 4])
    elif turn == 2:
        decided(instrument, at, "vetoed", vetoes=["extreme_volatility"], reason="extreme_volatility")
    else:
        decided(instrument, at, "silent", agreeing=4 + turn // 4, reason="no_consensus", probability=None)
