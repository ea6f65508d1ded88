"""What the tests of the ccxt adapter ask of it, and how they listen to it."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from markets.values import Ohlcv, VenueEvent
from markets.venues.ccxt_venue.client import CcxtVenue
from tests.venue_server import VenueServer

BTC, ETH = "BTC/USDT", "ETH/USDT"
STREAM = "btcusdt@kline_1m"


async def history(venue: CcxtVenue, symbol: str, start: int, end: int, timeframe: str = "1m") -> list[Ohlcv]:
    return [candle async for page in venue.history(symbol, start, end, timeframe) for candle in page]


LIMIT_S = 60.0
"""How long a test waits for what must come: far longer than it takes, because no machine is always quiet."""


async def listen(venue: CcxtVenue, symbols: list[str], enough: Callable[[list[VenueEvent]], bool]) -> list[VenueEvent]:
    """Events until there are enough; fails after `LIMIT_S`."""
    seen: list[VenueEvent] = []

    async def take() -> None:
        async with aclosing(venue.stream(symbols)) as stream:
            async for event in stream:
                seen.append(event)
                if enough(seen):
                    return

    await asyncio.wait_for(take(), LIMIT_S)
    return seen


def closed(events: list[VenueEvent]) -> list[Ohlcv]:
    return [event for event in events if isinstance(event, Ohlcv) and event.closed]


def row(server: VenueServer, candle: Ohlcv) -> tuple[float, ...]:
    return tuple(server.row(candle.symbol.replace("/", ""), candle.open_time))


def values(candle: Ohlcv) -> tuple[float, ...]:
    return (candle.open_time, candle.open, candle.high, candle.low, candle.close, candle.volume)
