"""Payloads to values. Pure; an unknown shape raises `PayloadError`, nothing is guessed and nothing else escapes.

Shapes: ccxt's unified structures (https://docs.ccxt.com/#/?id=structures) and, for the closed flag, Binance's kline
event (https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams). Whether a candle is possible
(high ≥ low, volume ≥ 0) is the candle store's question, so that it can count what it refuses.
"""

import math
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

from markets.values import BOOK_LEVELS, BookTop, Ohlcv, Trade
from markets.venues.base import FundingRate, InstrumentSpec, OpenInterest, VenueError

LARGEST = 1e18
"""No price, size or volume of a real market is larger; beyond it floats lose the ticks."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01: a later stamp is not one in milliseconds."""
LONGEST_BAN_S = 3 * 86_400.0
"""Binance's longest documented ban; a longer Retry-After is taken as this."""
FIAT = frozenset({"USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD"})


class PayloadError(VenueError):
    """The venue sent something that is not what its documentation says."""


def number(value: object, name: str) -> float:
    """A finite float from a number or a decimal string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise PayloadError(f"{name} is {_shown(value)}, not a number")
    try:
        parsed = float(value) if not isinstance(value, str) or _decimal(value) else math.nan
    except (ValueError, OverflowError):
        parsed = math.nan
    if not abs(parsed) <= LARGEST:
        raise PayloadError(f"{name} is {_shown(value)}, not a usable number")
    return parsed


def _decimal(text: str) -> bool:
    """Whether `text` is written as venues write numbers: float() alone would take `1_000`, ` 7` and other digits."""
    return 0 < len(text) <= 40 and all(sign in "0123456789.+-eE" for sign in text)


def positive(value: object, name: str) -> float:
    """A number above zero."""
    parsed = number(value, name)
    if parsed <= 0:
        raise PayloadError(f"{name} is {_shown(value)}, not above zero")
    return parsed


def stamp_ms(value: object, name: str) -> int:
    """A time in whole milliseconds since 1970."""
    parsed = number(value, name)
    if isinstance(value, str) or not parsed.is_integer() or not 0 <= parsed <= LATEST_MS:
        raise PayloadError(f"{name} is {_shown(value)}, not a time in milliseconds")
    return int(parsed)


def mapping(value: object, name: str) -> Mapping[str, object]:
    """A JSON object."""
    if not isinstance(value, Mapping):
        raise PayloadError(f"{name} is {_shown(value)}, not an object")
    return value


def sequence(value: object, name: str) -> Sequence[object]:
    """A JSON array."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise PayloadError(f"{name} is {_shown(value)}, not a list")
    return value


def text(value: object, name: str) -> str:
    """A short, non-empty string."""
    if not isinstance(value, str) or not 0 < len(value) <= 80:
        raise PayloadError(f"{name} is {_shown(value)}, not a name")
    return value


def _shown(value: object) -> str:
    """A short picture of a hostile value: never the whole frame, never a deep walk through it."""
    if isinstance(value, int | float | str | bool) or value is None:
        shown = value[:40] if isinstance(value, str) else value
        if isinstance(shown, int) and abs(shown) > 10**30:
            return "a huge integer"
        return ascii(shown)
    return type(value).__name__


def candle(symbol: str, row: object, *, closed: bool) -> Ohlcv:
    """A candle of ccxt: `[ms, open, high, low, close, volume]`."""
    fields = sequence(row, "candle")
    if len(fields) < 6:
        raise PayloadError(f"candle has {len(fields)} fields, 6 are expected")
    ms = stamp_ms(fields[0], "candle time")
    if ms % 1000:
        raise PayloadError(f"candle opens at {ms} ms, not on a second")
    opened, high, low, close, volume = (number(fields[at], name) for at, name in enumerate(_OHLCV, start=1))
    return Ohlcv(symbol, ms // 1000, opened, high, low, close, volume, closed)


_OHLCV = ("open", "high", "low", "close", "volume")


def candles(symbol: str, rows: object) -> list[Ohlcv]:
    """A page of ccxt candles, ascending and without repeats, all marked closed; the caller drops what is forming."""
    found = [candle(symbol, row, closed=True) for row in sequence(rows, "candles")]
    times = [one.open_time for one in found]
    if times != sorted(set(times)):
        raise PayloadError(f"candles of {symbol} are not in ascending order")
    return found


def kline_event(message: object) -> tuple[str, str, Ohlcv]:
    """Binance's kline event: market id, interval, candle with the venue's own closed flag `x`."""
    kline = mapping(mapping(message, "event").get("k"), "kline")
    market_id, interval = text(kline.get("s"), "kline symbol"), text(kline.get("i"), "kline interval")
    flag = kline.get("x")
    if not isinstance(flag, bool):
        raise PayloadError(f"kline flag x is {_shown(flag)}, not true or false")
    row = [kline.get(key) for key in "tohlcv"]
    return market_id, interval, candle(market_id, row, closed=flag)


def book(symbol: str, payload: object, now: float) -> BookTop:
    """An order book of ccxt, cut to the best levels; `now` stands in where the venue does not stamp its book."""
    fields = mapping(payload, "order book")
    stamp = fields.get("timestamp")
    at = now if stamp is None else stamp_ms(stamp, "book time") / 1000
    bids, asks = _side(fields.get("bids"), "bids", -1), _side(fields.get("asks"), "asks", 1)
    if bids and asks and bids[0][0] >= asks[0][0]:
        raise PayloadError(f"book of {symbol} is crossed: bid {bids[0][0]} at or above ask {asks[0][0]}")
    return BookTop(symbol, at, bids, asks)


def _side(levels: object, name: str, direction: int) -> tuple[tuple[float, float], ...]:
    found = []
    for level in sequence(levels, name)[:BOOK_LEVELS]:
        pair = sequence(level, name)
        if len(pair) < 2:
            raise PayloadError(f"a level of {name} has {len(pair)} fields, price and size are expected")
        found.append((positive(pair[0], f"price in {name}"), positive(pair[1], f"size in {name}")))
    prices = [price * direction for price, _ in found]
    if prices != sorted(set(prices)):
        raise PayloadError(f"{name} are not ordered from the best price")
    return tuple(found)


def trade(payload: object) -> Trade:
    """A public trade of ccxt; without a side it is refused, because flow is made of sides."""
    fields = mapping(payload, "trade")
    side = fields.get("side")
    if side not in ("buy", "sell"):
        raise PayloadError(f"trade side is {_shown(side)}, not buy or sell")
    return Trade(
        text(fields.get("symbol"), "trade symbol"),
        stamp_ms(fields.get("timestamp"), "trade time") / 1000,
        positive(fields.get("price"), "trade price"),
        positive(fields.get("amount"), "trade amount"),
        side == "buy",
    )


def instrument(payload: object) -> InstrumentSpec:
    """A market of ccxt; its price precision is read as a tick size (TICK_SIZE mode)."""
    fields = mapping(payload, "market")
    base, quote = text(fields.get("base"), "base"), text(fields.get("quote"), "quote")
    precision = mapping(fields.get("precision") or {}, "precision").get("price")
    tick = 0.0 if precision is None else number(precision, "price precision")
    market_class = "forex" if base in FIAT and quote in FIAT else "crypto"
    return InstrumentSpec(text(fields.get("symbol"), "symbol"), base, quote, market_class, tick)


def funding(payload: object) -> FundingRate:
    """A funding rate of ccxt."""
    fields = mapping(payload, "funding rate")
    after = fields.get("nextFundingTimestamp") or fields.get("fundingTimestamp")
    return FundingRate(
        text(fields.get("symbol"), "funding symbol"),
        stamp_ms(fields.get("timestamp"), "funding time") / 1000,
        number(fields.get("fundingRate"), "funding rate"),
        None if after is None else stamp_ms(after, "next funding time") / 1000,
    )


def open_interest(payload: object) -> OpenInterest:
    """An open interest of ccxt; at least one of amount and value must be there."""
    fields = mapping(payload, "open interest")
    amount, value = fields.get("openInterestAmount"), fields.get("openInterestValue")
    if amount is None and value is None:
        raise PayloadError("open interest has neither an amount nor a value")
    return OpenInterest(
        text(fields.get("symbol"), "open interest symbol"),
        stamp_ms(fields.get("timestamp"), "open interest time") / 1000,
        None if amount is None else number(amount, "open interest amount"),
        None if value is None else number(value, "open interest value"),
    )


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds from a Retry-After header (seconds or HTTP date, RFC 9110 §10.2.3), None where it says nothing usable."""
    if header is None or len(header) > 40:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return min(float(header), LONGEST_BAN_S)
    try:
        return min(max(parsedate_to_datetime(header).timestamp() - now, 0.0), LONGEST_BAN_S)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
