"""Whose clock is wrong: the venue's time, and that of other venues, held against ours."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from prometheus_client import Gauge

from markets.skew import SkewMeter
from markets.venues import Venue, VenueError

log = structlog.get_logger(__name__)
SKEW = Gauge("candor_clock_skew_seconds", "A venue's clock minus ours", ["venue"], multiprocess_mode="mostrecent")

ANSWER_S = 3.0
"""A time that took longer to come says nothing."""


class ClockWatch:
    """Keeps a feed's `SkewMeter` up to date and says when clocks begin and cease to disagree.

    Args:
        venue: the feed's own.
        meter: what the feed judges its candles by.
        witnesses: other venues that are asked for their time, and for nothing else; closed by `close`.
        every_s: how often all of them are asked.
    """

    def __init__(self, venue: Venue, meter: SkewMeter, witnesses: Sequence[Venue], every_s: float) -> None:
        self._venue, self._meter, self._witnesses, self._every_s = venue, meter, tuple(witnesses), every_s
        self._said = ("", False)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self._look()
            self.tell()
            await asyncio.sleep(self._every_s)

    async def close(self) -> None:
        """Let go of the witnesses."""
        await asyncio.gather(*(witness.close() for witness in self._witnesses))

    def tick(self, wall: float, monotonic: float) -> None:
        """Hold our two clocks against each other, seconds."""
        self._meter.tick(wall, monotonic)
        if self._meter.jumped:
            self.tell()

    def tell(self) -> None:
        """Log what changed: who is wrong, and whether the venue's candles are trusted."""
        if self._meter.seconds is not None:
            SKEW.labels(self._venue.key).set(self._meter.seconds)
        now = (self._meter.warning, self._meter.suspect)
        if bool(now[0]) != bool(self._said[0]) or now[1] != self._said[1]:
            event = "clocks_disagree" if now[0] else "clocks_agree"
            log.warning(event, venue=self._venue.key, warning=now[0], signals_suspended=now[1])
        self._said = now

    async def _look(self) -> None:
        own, *others = await asyncio.gather(*(_asked(venue) for venue in (self._venue, *self._witnesses)))
        self._meter.told = own
        found = zip((witness.key for witness in self._witnesses), others, strict=True)
        self._meter.others = {key: seconds for key, seconds in found if seconds is not None}
        for key, seconds in self._meter.others.items():
            SKEW.labels(key).set(seconds)


async def _asked(venue: Venue) -> float | None:
    """A venue's clock minus ours; None where it tells none, or not now."""
    ask: Callable[[], Awaitable[float | None]] | None = getattr(venue, "clock_skew", None)
    if ask is None:
        return None
    try:
        async with asyncio.timeout(ANSWER_S):
            return await ask()
    except (VenueError, TimeoutError) as error:
        log.info("clock_not_measured", venue=venue.key, reason=str(error)[:200])
        return None
