"""The feed of an opened market: live or recorded, in a thread with its own event loop.

It says which instruments are due from now on, fills the store minute by minute and sends `candle_closed`; who decides
those minutes is told by its callers, because this floor knows no rounds.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from django.conf import settings
from django.db import connections

from lib.clock import epoch
from markets.backoff import Backoff
from markets.downloading import load_history
from markets.live import Feed, FeedLimits, OnTick
from markets.models import Instrument
from markets.opening import Opened
from markets.replaying import ReplayFeed, WaitDecided
from markets.venues import facts_of, open_venue
from markets.venues.replay import ReplayVenue

__all__ = ["Feed", "FeedLimits", "FeedThread", "Hooks", "ReplayFeed", "feed_of", "load_history"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the floors above want from a feed.

    `on_tick` gets (instrument id, price, forming candle) on the feed's loop and must not block. `wait_decided` is asked
    in the database thread, after each minute of a recording, whether all its decisions are written. `on_end` is called
    there when a recording is told.
    """

    on_tick: OnTick | None = None
    wait_decided: WaitDecided | None = None
    on_end: Callable[[], None] | None = None


NO_HOOKS = Hooks()


class Runner(Protocol):
    """A `Feed` or a `ReplayFeed`."""

    async def run(self) -> None:
        """Until cancelled, or until a recording ends."""


Make = Callable[[], Awaitable[Runner]]
"""Builds the feed; called on its event loop, again after each crash."""


async def _feed(make: Make) -> None:
    await (await make()).run()


async def supervise(make: Make, stop: asyncio.Event) -> None:
    """Run a feed until it ends or `stop` is set; a crash is logged and the feed built anew after a wait."""
    backoff = Backoff(1.0, 30.0)
    stopped = asyncio.create_task(stop.wait())
    while not stop.is_set():
        feed = asyncio.create_task(_feed(make))
        await asyncio.wait({feed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        feed.cancel()
        (outcome,) = await asyncio.gather(feed, return_exceptions=True)
        if outcome is None or stop.is_set():
            break
        log.error("feed_crashed", error=repr(outcome)[:500], exc_info=outcome)
        await asyncio.wait({stopped}, timeout=backoff.next_wait())
    stopped.cancel()


async def feed_of(opened: Opened, hooks: Hooks = NO_HOOKS, limits: FeedLimits | None = None) -> Runner:
    """The feed of an opened market over its followed instruments, for the loop it is built on."""
    run = opened.run
    instruments = await asyncio.to_thread(_followed, run.venue_id)
    venue = open_venue(opened.adapter, **opened.options)
    if isinstance(venue, ReplayVenue):
        if run.market_at is not None:
            venue.resume(epoch(run.market_at))
        return ReplayFeed(
            venue, run, instruments, speed=run.speed, wait_decided=hooks.wait_decided, on_end=hooks.on_end
        )
    witnesses = [open_venue(key) for key in settings.CLOCK_VENUES if key != opened.adapter] if _compares(opened) else []
    return Feed(venue, run, instruments, limits=limits, on_tick=hooks.on_tick, witnesses=witnesses)


def _compares(opened: Opened) -> bool:
    """Whether other venues are asked for their time: not for made-up markets, nor for a venue at another address."""
    return facts_of(opened.adapter).real and not opened.options


def _followed(venue_id: int) -> list[Instrument]:
    try:
        return list(Instrument.objects.filter(venue_id=venue_id, followed=True))
    finally:
        connections.close_all()  # of this passing thread


class FeedThread:
    """Start and stop the feed of an opened market from ordinary code."""

    def __init__(self, opened: Opened, hooks: Hooks = NO_HOOKS, limits: FeedLimits | None = None) -> None:
        self._make: Make = lambda: feed_of(opened, hooks, limits)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="feed", daemon=True)

    def start(self) -> None:
        """Start feeding; returns at once."""
        self._thread.start()
        self._ready.wait(10)

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Stop, store what has arrived; False when it did not end in time."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether the feed still runs; a recording ends by itself."""
        return self._thread.is_alive()

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await supervise(self._make, self._stop)
