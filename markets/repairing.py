"""Closing holes by REST: what a stream did not bring is asked for until the venue gives it or has none."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog
from prometheus_client import Counter

from lib.clock import MINUTE_S, market_now
from markets.backoff import Backoff
from markets.minutes import Series
from markets.values import Ohlcv
from markets.venues import Venue, VenueError

log = structlog.get_logger(__name__)
REPAIRED = Counter("candor_candles_repaired_total", "Candles that came by back-fill", ["venue"])
FAILED = Counter("candor_repairs_failed_total", "Requests for missing candles that the venue refused", ["venue"])

AT_ONCE = 8
"""Requests in flight; the adapter's own limiter stands behind it."""
TRIES = 5
"""A minute that the venue left out this often had no trade: venues without candles for quiet minutes exist."""

Deliver = Callable[[Series, list[Ohlcv], bool], Awaitable[None]]
"""Takes candles of a series; the flag says whether they fill holes of a feed that was live."""


@dataclass(slots=True)
class Hole:
    """A minute that is asked for: whether a running feed missed it, and how often the venue left it out."""

    live: bool
    tries: int = 0


class Repairer:
    """Holds the open holes of all series and works on them.

    Errors of the venue pause all requests: for the time it named, else with back-off, so that a venue in trouble gets
    no more than the budgeted requests.
    """

    def __init__(self, venue: Venue, deliver: Deliver, *, again_s: float = 2.0, backoff: Backoff | None = None) -> None:
        self._venue, self._deliver, self._again_s = venue, deliver, again_s
        self._backoff = backoff or Backoff(1.0, 60.0)
        self._holes: dict[str, dict[int, Hole]] = defaultdict(dict)  # symbol → open time → hole
        self._series: dict[str, Series] = {}
        self._wake = asyncio.Event()

    def need(self, series: Series, open_times: Iterable[int], *, live: bool) -> None:
        """Ask for minutes; `live` marks them as holes of a running feed."""
        holes = self._holes[series.symbol]
        for open_time in open_times:
            holes.setdefault(int(open_time), Hole(live))
        self._series[series.symbol] = series
        if holes:
            self._wake.set()

    def came(self, series: Series, open_time: int) -> None:
        """The stream brought it after all."""
        self._holes[series.symbol].pop(open_time, None)

    @property
    def open_holes(self) -> int:
        """Minutes still asked for."""
        return sum(len(holes) for holes in self._holes.values())

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            pause = await self._round()
            if pause:
                await asyncio.sleep(pause)  # also for what is needed meanwhile
                self._wake.set()
            elif self.open_holes:
                asyncio.get_running_loop().call_later(self._again_s, self._wake.set)

    async def _round(self) -> float:
        """Ask once for every series with holes; returns how long all requests must pause."""
        gate = asyncio.Semaphore(AT_ONCE)
        symbols = [symbol for symbol, holes in self._holes.items() if holes]
        answers = await asyncio.gather(*(self._ask(symbol, gate) for symbol in symbols))
        waits = [wait for wait in answers if wait is not None]
        if not waits:
            self._backoff.reset()
            return 0.0
        return max(*waits, self._backoff.next_wait())

    async def _ask(self, symbol: str, gate: asyncio.Semaphore) -> float | None:
        """Fetch one series' holes; returns a wait when the venue failed."""
        holes = self._holes[symbol]
        async with gate:
            wanted = sorted(holes)
            if not wanted:
                return None
            try:
                async for page in self._venue.history(symbol, wanted[0], wanted[-1] + MINUTE_S):
                    await self._take(symbol, page)
            except VenueError as error:
                return self._failed(symbol, error)
        self._count_tries(symbol, wanted)
        return None

    async def _take(self, symbol: str, page: list[Ohlcv]) -> None:
        holes = self._holes[symbol]
        found = [candle for candle in page if candle.open_time in holes]
        for live in (False, True):
            part = [candle for candle in found if holes[candle.open_time].live is live]
            if part:
                await self._deliver(self._series[symbol], part, live)
        REPAIRED.labels(self._venue.key).inc(len(found))
        for candle in found:
            holes.pop(candle.open_time, None)

    def _count_tries(self, symbol: str, wanted: list[int]) -> None:
        holes = self._holes[symbol]
        for open_time in wanted:
            if open_time not in holes:
                continue
            holes[open_time].tries += 1
            # A venue may take a while to publish the newest minute: its tries count from a minute after its close.
            old = market_now().timestamp() > open_time + 2 * MINUTE_S
            if holes[open_time].tries >= TRIES and old:
                del holes[open_time]
                log.info("hole_left_by_venue", venue=self._venue.key, symbol=symbol, open_time=open_time)

    def _failed(self, symbol: str, error: VenueError) -> float | None:
        FAILED.labels(self._venue.key).inc()
        log.warning("repair_failed", venue=self._venue.key, symbol=symbol, reason=str(error)[:200])
        if error.permanent:
            self._holes[symbol].clear()
            return None
        return error.retry_after or 0.0
