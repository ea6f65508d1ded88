"""Small markets for tests of the store: instruments and candles made by hand."""

from datetime import UTC, datetime

import numpy as np

from markets.models import Instrument, Venue
from markets.validation import CandleRows
from markets.values import FloatArray, IntArray, Ohlcv

START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
"""A Monday, midnight UTC."""


def at(epoch_s: float) -> datetime:
    """The aware datetime at `epoch_s`."""
    return datetime.fromtimestamp(epoch_s, UTC)


def make_venue(key: str = "test", kind: str = Venue.Kind.SIMULATED, adapter: str = "simulated") -> Venue:
    """A venue row."""
    return Venue.objects.get_or_create(key=key, defaults={"adapter": adapter, "title": key, "kind": kind})[0]


def make_instrument(symbol: str = "BTC/USDT", venue: Venue | None = None, **fields: object) -> Instrument:
    """An instrument row, followed."""
    base, _, quote = symbol.partition("/")
    names = {"symbol": symbol, "base": base, "quote": quote, "market_class": "crypto", "followed": True}
    return Instrument.objects.create(venue=venue or make_venue(), raw_symbol=symbol, **(names | fields))


def walk(minutes: int, *, start: int = START, seed: int = 1, price: float = 100.0) -> tuple[IntArray, FloatArray]:
    """A plausible random walk: open times (T,) and ohlcv (T, 5)."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(rng.normal(0, 1e-3, minutes)))
    opened = np.r_[price, close[:-1]]
    high = np.maximum(opened, close) * (1 + rng.random(minutes) * 1e-3)
    low = np.minimum(opened, close) * (1 - rng.random(minutes) * 1e-3)
    times = start + 60 * np.arange(minutes, dtype=np.int64)
    return times, np.stack([opened, high, low, close, rng.random(minutes) + 0.5], axis=1)


def series(instrument: Instrument, minutes: int, **how: int) -> CandleRows:
    """A walk as rows of `instrument`."""
    return CandleRows.series(instrument.pk, *walk(minutes, **how))


def candle(open_time: int = START, *, close: float = 100.5, closed: bool = True, symbol: str = "BTC/USDT") -> Ohlcv:
    """One candle from 100 to `close`."""
    return Ohlcv(symbol, open_time, 100.0, max(100.0, close) + 1, min(100.0, close) - 1, close, 1.0, closed)
