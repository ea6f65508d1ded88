"""Who plays on a stage: the loopback venue on the stage's clock, the feed, and what beat would send."""

import asyncio
import threading
from collections.abc import Callable

from django.db import connections

from markets.feed import FeedThread, Hooks
from markets.live import Feed, FeedLimits
from markets.models import Instrument
from markets.opening import Opened
from markets.venues import Venue, open_venue
from signals import tasks
from tests.venue_server import VenueServer
from tests.venue_wire import Rows


class Staged(VenueServer):
    """The loopback venue on the stage's clock."""

    def __init__(self, candles: dict[str, Rows], read: Callable[[], float]) -> None:
        super().__init__(candles)
        self._read = read

    def now(self) -> float:
        """The stage's clock, in place of the server's own."""
        return self._read()

    def tell(self, open_time: int, share: float) -> None:
        """Forming candles and a trade of each market, `share` of the minute after its open."""
        self._call(self._within(open_time, share))

    def announce(self, open_time: int) -> None:
        """The closing frames of a minute, as the script lets them out."""
        self._call(self._announce(open_time))


class StagedFeed(FeedThread):
    """A feed thread whose feed may be of a class with a defect."""

    def __init__(
        self, opened: Opened, limits: FeedLimits, make_feed: Callable[..., Feed], witnesses: Callable[[], list[Venue]]
    ) -> None:
        super().__init__(opened, Hooks(), limits)

        async def make() -> Feed:
            followed = await asyncio.to_thread(_followed, opened.run.venue_id)
            venue = open_venue(opened.adapter, **opened.options)
            return make_feed(venue, opened.run, followed, limits=limits, witnesses=witnesses())

        self._make = make


def _followed(venue_id: int) -> list[Instrument]:
    try:
        return list(Instrument.objects.filter(venue_id=venue_id, followed=True))
    finally:
        connections.close_all()


def metronome(every_s: float = 0.4) -> Callable[[], None]:
    """Send what beat sends for rounds and outcomes, only faster; returns what stops it."""
    stopping = threading.Event()

    def tick() -> None:
        while not stopping.wait(every_s):
            tasks.sweep.apply_async(expires=5)
            tasks.resolve_outcomes.apply_async(expires=5)
        connections.close_all()

    thread = threading.Thread(target=tick, name="metronome", daemon=True)
    thread.start()

    def stop() -> None:
        stopping.set()
        thread.join(5)

    return stop
