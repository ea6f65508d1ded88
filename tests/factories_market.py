"""Markets, candles and decisions for tests: made by the functions that make them in life, from figures chosen here."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from lib import clock
from lib.postgres import ensure_partitions
from markets.candles import Source, store_closed
from markets.models import Instrument, Run, Venue
from markets.runs import start_run
from markets.schedule import activate
from markets.validation import CandleRows
from markets.values import FloatArray, IntArray, Ohlcv, TaintFlag
from models_ml.voters import SEATS
from models_ml.votes import AbstainReason
from signals.confidence import Bin, Calibration
from signals.decided import Decided
from signals.models import Signal
from signals.pipeline import Ballot, Rules, decide
from signals.publishing import save_rounds
from signals.risk import Context

MINUTE = timedelta(minutes=1)
CALIBRATION = Calibration(lean=(0.0, 1.0), right=(0.5, 0.7), validation={11: Bin(400, 232), 12: Bin(400, 260)})
"""A panel that leans by x towards its side was right in 50 + 20 x percent of past cases."""


def make_run(
    kind: str = Venue.Kind.SIMULATED,
    *,
    symbols: Sequence[str] = ("BTC/USDT", "ETH/USDT"),
    key: str = "",
    due_from: datetime | None = None,
    state: str = Run.State.RUNNING,
) -> Run:
    """A running market with followed instruments, due from `due_from` on where it is given."""
    venue = Venue.objects.create(key=key or f"{kind}-{Venue.objects.count()}", adapter=kind, title=kind, kind=kind)
    for symbol in symbols:
        base, _, quote = symbol.partition("/")
        instrument = Instrument.objects.create(
            venue=venue, raw_symbol=symbol, symbol=symbol, base=base, quote=quote, market_class="crypto", followed=True
        )
        if due_from is not None:
            activate(instrument, due_from)
    run = start_run(venue)
    Run.objects.filter(pk=run.pk).update(state=state)
    run.refresh_from_db()
    return run


def instruments_of(run: Run) -> list[Instrument]:
    """The run's instruments, in the order they were made."""
    return list(Instrument.objects.filter(venue_id=run.venue_id).select_related("venue").order_by("pk"))


def store(
    instrument: Instrument, open_time: datetime, open_: float, close: float, *, seen: datetime | None = None
) -> None:
    """Store the closed candle of one minute; it arrived half a second after its close unless `seen` says otherwise."""
    high, low = max(open_, close), min(open_, close)
    candle = Ohlcv(instrument.raw_symbol, clock.epoch(open_time), open_, high, low, close, 1.0)
    arrived = seen or open_time + MINUTE + timedelta(seconds=0.5)
    report = store_closed([(instrument.pk, candle)], source=Source.STREAM, observed_at=arrived, now=arrived)
    assert not report.refused, report


def store_walk(
    instrument: Instrument,
    until: datetime,
    minutes: int,
    *,
    seed: int = 1,
    price: float = 100.0,
    arrival_s: float = 0.4,
) -> None:
    """Store a random walk whose last candle closes at `until`, each candle received `arrival_s` after its close."""
    rng = np.random.default_rng(seed)
    start = clock.epoch(until) - minutes * clock.MINUTE_S
    times = start + clock.MINUTE_S * np.arange(minutes, dtype=np.int64)
    store_series(instrument, times, candles_of(rng.normal(0, 1e-3, minutes), rng, price), arrival_s=arrival_s)


def candles_of(returns: FloatArray, rng: np.random.Generator, price: float = 100.0) -> FloatArray:
    """Candles (T, 5) whose bodies are `returns` (T,) as log returns; each opens where the last one closed."""
    closes = price * np.exp(np.cumsum(returns))
    opens = np.r_[price, closes[:-1]]
    high = np.maximum(opens, closes) * (1 + rng.random(len(returns)) * 3e-4)
    low = np.minimum(opens, closes) * (1 - rng.random(len(returns)) * 3e-4)
    return np.stack([opens, high, low, closes, rng.random(len(returns)) + 0.5], axis=1)


def store_series(instrument: Instrument, times: IntArray, ohlcv: FloatArray, *, arrival_s: float = 0.4) -> None:
    """Store candles (T, 5) at open times (T,), each received `arrival_s` after its close."""
    closes = times + clock.MINUTE_S
    rows = CandleRows.series(instrument.pk, times, ohlcv)
    now = clock.from_epoch(int(closes[-1])) + MINUTE
    store_closed(rows, source=Source.STREAM, observed_at=closes + arrival_s, now=now)


def ballot(up: int = 6, down: int = 0, neutral: int = 1, *, strength: float = 0.6) -> Ballot:
    """Nine answers: so many up, down and neutral, in this order; the seats that are left abstain as untrained."""
    said = [1] * up + [-1] * down + [0] * neutral
    silent = len(SEATS) - len(said)
    rows = {1: (0.9 - strength, 0.1, strength), -1: (strength, 0.1, 0.9 - strength), 0: (0.45, 0.1, 0.45)}
    probabilities = np.array([rows[side] for side in said] + [(np.nan,) * 3] * silent, np.float32).reshape(-1, 3)
    reasons = np.array([0] * len(said) + [AbstainReason.UNTRAINED] * silent, np.int8)
    return Ballot(probabilities, np.array(said + [0] * silent, np.int8), reasons)


def context(**changes: Any) -> Context:  # any field
    """A calm, sound minute at a price of 100, with `changes`."""
    calm: dict[str, Any] = {
        "close": 100.0,
        "atr": 0.5,
        "volatility": 0.001,
        "volatility_percentile": 0.5,
        "range_atr": 1.0,
        "pattern": 0,
        "taint": TaintFlag.NONE,
        "quality_hour": 1.0,
        "quality_day": 1.0,
        "model_age": 0.1,
    }
    return Context(**(calm | changes))


def decided(
    instrument: Instrument,
    close_time: datetime,
    *,
    votes: Ballot | None = None,
    late: bool = False,
    rules: Rules | None = None,
    **changes: Any,  # any field of the context
) -> Decided:
    """The decision on one minute, six up and calm unless told otherwise; `changes` go to its context."""
    votes, around = votes or ballot(), context(**changes)
    return Decided(
        instrument=instrument,
        close_time=clock.epoch(close_time),
        decision=decide(votes, around, CALIBRATION, rules or Rules()),
        context=around,
        ballot=votes,
        latency_ms=np.full(len(SEATS), 1.5, np.float32),
        model_ids=np.zeros(len(SEATS), np.int64),
        observed_at=clock.epoch(close_time) + 0.5,
        late=late,
        decision_ms=12.5,
        candle=(99.0, 101.0, 98.0, 100.0, 7.0),
    )


def issue(run: Run, instrument: Instrument, close_time: datetime, *, down: bool = False, **changes: Any) -> Signal:
    """A signal, up unless `down`, with its round, as the pipeline saves it."""
    ensure_partitions("signals_round", close_time, close_time)
    votes = ballot(up=0, down=7) if down else ballot(up=7)
    (id_,) = save_rounds(run, [decided(instrument, close_time, votes=votes, **changes)])
    return Signal.objects.get(round_id=id_)
