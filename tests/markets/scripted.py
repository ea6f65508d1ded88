"""A venue whose stream and history a test writes."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from markets.values import Ohlcv, VenueEvent
from markets.venues.base import InstrumentSpec, VenueError, VenueFacts
from markets.venues.base import Venue as Adapter
from markets.venues.simulated import FACTS, to_ohlcv
from tests.markets.worlds import START, walk


class ScriptedVenue(Adapter):
    """A venue whose stream is what the test puts, and whose REST serves `rows`."""

    def __init__(self, key: str = "scripted", **options: object) -> None:
        self.key = key
        self.facts: VenueFacts = replace(FACTS, real=True)
        self.rows: dict[str, dict[int, Ohlcv]] = {}
        self.events: asyncio.Queue[VenueEvent | VenueError] = asyncio.Queue()
        self.connects: list[float] = []
        self.requests: list[tuple[str, int, int]] = []
        self.broken: list[VenueError] = []

    @classmethod
    def facts_for(cls, key: str) -> VenueFacts:
        return FACTS

    async def instruments(self) -> list[InstrumentSpec]:
        return []

    async def history(
        self, symbol: str, start: int, end: int, timeframe: str = "1m"
    ) -> AsyncGenerator[list[Ohlcv], None]:
        self.requests.append((symbol, start, end))
        if self.broken:
            raise self.broken.pop(0)
        found = [one for open_time, one in sorted(self.rows.get(symbol, {}).items()) if start <= open_time < end]
        if found:
            yield found

    async def stream(self, symbols: Sequence[str]) -> AsyncGenerator[VenueEvent, None]:
        self.connects.append(time.monotonic())
        while True:
            event = await self.events.get()
            if isinstance(event, VenueError):
                raise event
            yield event

    async def close(self) -> None:
        pass

    def serve(self, symbol: str, minutes: int, *, start: int = START) -> None:
        times, rows = walk(minutes, start=start)
        self.rows[symbol] = {int(t): to_ohlcv(symbol, int(t), row) for t, row in zip(times, rows, strict=True)}
