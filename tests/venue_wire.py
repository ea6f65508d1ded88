"""What the loopback venue sends: Binance's frames and answers, made-up candles and books, and what may go wrong.

Shapes as documented at https://developers.binance.com/docs/binance-spot-api-docs.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from markets.venues.replay import read_recording, spec_of

Rows = NDArray[np.float64]
"""Candles (T, 6): open time in epoch seconds, open, high, low, close, volume."""

GARBAGE = (
    "{",
    '{"e":"kline"}',
    '{"e":"kline","s":"BTCUSDT","k":{"t":"soon","s":"BTCUSDT","i":"1m","o":"NaN","h":"1","l":"1","c":"1","v":"1","x":1}}',
    '{"e":"kline","s":"BTCUSDT","k":{"t":1e300,"s":"BTCUSDT","i":"1m","o":"1e999","h":1,"l":1,"c":1,"v":1,"x":true}}',
    '{"e":"trade","s":"BTCUSDT","p":null,"q":[],"T":"never"}',
    '{"e":"depthUpdate","s":[],"U":"a","u":{},"b":7}',
    "[" * 5000,
    "null",
    "\u0000",
)
"""Frames no venue should send; one is taken at random where the script asks for garbage."""


@dataclass(frozen=True)
class RestFault:
    """What the next `times` REST requests whose path holds `path` get instead of an answer."""

    status: int = 429
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"code":-1003,"msg":"Too many requests."}'
    times: int = 1
    path: str = ""


@dataclass(frozen=True)
class Script:
    """What goes wrong. Rates are probabilities per frame (`garbage`, `revise`) or per second and socket (`cut`)."""

    silent: bool = False  # sockets stay open and say nothing
    silent_ids: frozenset[str] = frozenset()
    garbage: float = 0.0
    duplicates: int = 1
    revise: float = 0.0  # a second closing frame with another close
    shuffle: int = 0  # closing frames are held back and sent in random order, this many at a time
    future_s: int = 0  # added to the open time of every streamed candle
    skew_s: float = 0.0  # added to the time the venue tells
    withhold_close: bool = False  # the closing frame is never sent
    forming_in_rest: bool = True  # the last candle REST serves is still forming, as on the real venue
    drip_s: float = 0.0  # REST answers take this long, byte by byte
    cut: float = 0.0
    codes: tuple[int, ...] = (1000, 1006, 1012)


def generated(ids: Sequence[str], minutes: int = 180, end: int | None = None, seed: int = 1) -> dict[str, Rows]:
    """Random-walk candles whose last one opens `minutes // 2` after `end` (default: this minute)."""
    rng = np.random.default_rng(seed)
    last = (int(time.time()) if end is None else end) // 60 * 60 + minutes // 2 * 60
    times = last - 60.0 * np.arange(minutes)[::-1]
    out = {}
    for market_id in ids:
        close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 1e-3, minutes))), 2)
        opened = np.r_[100.0, close[:-1]]
        wick = np.round(np.abs(rng.normal(0, 0.05, (2, minutes))), 2)
        high, low = np.round(np.maximum(opened, close) + wick[0], 2), np.round(np.minimum(opened, close) - wick[1], 2)
        out[market_id] = np.column_stack([times, opened, high, low, close, np.round(rng.exponential(5, minutes), 5)])
    return out


def recorded(paths: Sequence[Path], *, now_at: int | None = None, now: float | None = None) -> dict[str, Rows]:
    """Recorded files as candles; with `now_at` row number `now_at` is moved to the current minute."""
    out = {}
    for path in paths:
        recording = read_recording(path)
        rows = np.column_stack([recording.open_times.astype(np.float64), recording.ohlcv])
        if now_at is not None:
            rows[:, 0] += int(time.time() if now is None else now) // 60 * 60 - rows[now_at, 0]
        out[recording.spec.symbol.replace("/", "")] = rows
    return out


class Book:
    """A book that moves from one snapshot to the next; `snapshots` is (S, 2, L, 2): side, level, price and size."""

    def __init__(self, snapshots: Rows) -> None:
        self.snapshots, self.at, self.update_id = snapshots, 0, 1000

    def levels(self, side: int) -> list[tuple[str, str]]:
        """Price and size of the current snapshot, best first, as Binance writes them."""
        return [(f"{price:.8f}", f"{size:.8f}") for price, size in self.snapshots[self.at % len(self.snapshots), side]]

    def rest(self, limit: int) -> dict[str, object]:
        """The snapshot as REST serves it."""
        return {"lastUpdateId": self.update_id, "bids": self.levels(0)[:limit], "asks": self.levels(1)[:limit]}

    def step(self) -> dict[str, object]:
        """Go on by one snapshot; the changed levels of both sides with their update ids."""
        before = [dict(self.levels(side)) for side in (0, 1)]
        self.at += 1
        changes: list[list[tuple[str, str]]] = []
        for side in (0, 1):
            after = dict(self.levels(side))
            gone = [(price, "0.00000000") for price in before[side] if price not in after]
            changes.append(gone + [level for level in after.items() if before[side].get(level[0]) != level[1]])
        first, self.update_id = self.update_id + 1, self.update_id + max(1, len(changes[0]) + len(changes[1]))
        return {"U": first, "u": self.update_id, "b": changes[0], "a": changes[1]}


def made_up_book(price: float, seed: int) -> Book:
    """Sixty snapshots of 20 levels a side that wander around `price`."""
    rng = np.random.default_rng(seed)
    mids = price * np.exp(np.cumsum(rng.normal(0, 1e-5, 60)))
    gaps = (np.arange(20) + 1) * price * 1e-4
    prices = np.stack([mids[:, None] - gaps, mids[:, None] + gaps], axis=1)
    return Book(np.stack([np.round(prices, 4), np.round(rng.exponential(1, prices.shape) + 0.001, 5)], axis=-1))


def forming(row: Rows, share: float) -> Rows:
    """What a candle (6,) looks like after `share` of its minute: never its final values."""
    opened, close = float(row[1]), float(row[4])
    price = round(opened + (close - opened) * share * 0.5, 8)
    return np.array([row[0], opened, max(opened, price), min(opened, price), price, round(row[5] * share * 0.9, 8)])


def kline(market_id: str, row: Sequence[float], closed: bool) -> dict[str, object]:
    opened = int(row[0]) * 1000
    prices = dict(zip("ohlcv", (f"{value:.8f}" for value in row[1:6]), strict=True))
    span = {"t": opened, "T": opened + 59_999, "s": market_id, "i": "1m", "f": 1, "L": 100, "n": 100, "x": closed}
    return span | prices | {"q": "0.0", "V": "0.0", "Q": "0.0", "B": "0"}


def kline_row(open_time: int, ohlcv: Rows, minutes: int) -> list[object]:
    opened = open_time * 1000
    values = [f"{value:.8f}" for value in ohlcv]
    return [opened, *values, opened + minutes * 60_000 - 1, "0.0", 100, "0.0", "0.0", "0"]


def listing(market_id: str) -> dict[str, object]:
    spec = spec_of(market_id)
    return {
        "symbol": market_id,
        "status": "TRADING",
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01000000",
                "maxPrice": "1000000.00000000",
                "tickSize": "0.01000000",
            },
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        ],
        "permissions": ["SPOT"],
    }


def perpetual(market_id: str) -> dict[str, object]:
    """A perpetual as USDⓈ-M futures list it (`/fapi/v1/exchangeInfo`)."""
    spec = spec_of(market_id)
    contract = {"pair": market_id, "contractType": "PERPETUAL", "marginAsset": spec.quote, "underlyingType": "COIN"}
    dates = {"deliveryDate": 4133404800000, "onboardDate": 1569398400000, "pricePrecision": 2, "quantityPrecision": 3}
    return listing(market_id) | contract | dates


def premium(market_id: str, now_ms: int) -> dict[str, object]:
    """Mark price and funding of a perpetual (`/fapi/v1/premiumIndex`)."""
    prices = {"markPrice": "100.1", "indexPrice": "100.0", "estimatedSettlePrice": "100.0", "interestRate": "0.0001"}
    after = now_ms // 28_800_000 * 28_800_000 + 28_800_000
    return {"symbol": market_id, **prices, "lastFundingRate": "0.00010000", "nextFundingTime": after, "time": now_ms}
