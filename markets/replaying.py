"""Drives a recording: tells its minutes one by one, moves the market clock, and waits until each is decided."""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog
from django.db import transaction

from lib import clock
from lib.clock import MINUTE_S, from_epoch, wall_now
from markets import schedule
from markets.candles import Source, StoreReport
from markets.minutes import Arrival, Batch
from markets.models import FeedState, Instrument, Run
from markets.quality import SeriesState, write_states
from markets.runs import mark
from markets.storing import DatabaseThread, store_batch
from markets.values import Ohlcv
from markets.venues.replay import ReplayVenue

log = structlog.get_logger(__name__)

WaitDecided = Callable[[int], bool]
"""Asked whether every decision of a close time (epoch seconds) is written; called in the feed's database thread."""

ASK_EVERY_S = 0.02
DECIDE_WITHIN_S = 30.0
"""A minute that nobody decides in this time is left to the sweeper, so that a recording cannot hang for ever."""


class Position:
    """Where the recording stands: between two minutes the market clock runs on at `speed`, never past the next."""

    def __init__(self, at: float, speed: float) -> None:
        self._at, self._speed, self._set = at, speed, time.monotonic()

    def move(self, at: float) -> None:
        """The recording reached `at`."""
        self._at, self._set = at, time.monotonic()

    def read(self) -> float:
        """The market clock, epoch seconds."""
        return self._at + min((time.monotonic() - self._set) * self._speed, MINUTE_S - 0.001)


class ReplayFeed:
    """Feeds the live part of a recording into the store at `speed` candle minutes a minute.

    Args:
        venue: the recording. run: its run; `market_at`, `speed_reached` and the end are written there.
        wait_decided: asked before each next minute; None waits for nobody.
        on_end: called in the database thread when all is told, before the run is marked ended.
    """

    def __init__(
        self,
        venue: ReplayVenue,
        run: Run,
        instruments: Sequence[Instrument],
        *,
        speed: float = 1.0,
        wait_decided: WaitDecided | None = None,
        on_end: Callable[[], None] | None = None,
        decide_within_s: float = DECIDE_WITHIN_S,
    ) -> None:
        self.venue, self._run, self._speed = venue, run, speed
        self._ids = {instrument.raw_symbol: instrument.pk for instrument in instruments}
        self._wait_decided, self._on_end, self._decide_within_s = wait_decided, on_end, decide_within_s
        self._position = Position(venue.reached, speed)
        self._reached = speed
        self.database = DatabaseThread()

    async def run(self) -> None:
        """Tell the recording to its end, or until cancelled."""
        clock.follow(lambda: from_epoch(self._position.read()))
        try:
            await self.database.insist(self._begin)
            await self._tell()
            if self._on_end is not None:
                await self.database.insist(self._on_end)
            await self.database.insist(self._end)
        finally:
            await asyncio.shield(asyncio.to_thread(self.database.close))

    async def _tell(self) -> None:
        due, told = time.monotonic(), time.monotonic()
        for open_time, candles in self.venue.minutes(list(self._ids)):
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
            now = time.monotonic()
            self._reached += 0.2 * (MINUTE_S / max(now - told, 1e-6) - self._reached)  # a moving mean of five minutes
            told, due = now, max(due, now - MINUTE_S / self._speed) + MINUTE_S / self._speed
            close = open_time + MINUTE_S
            self._position.move(close)
            await self.database.insist(self._store, close, candles, wall_now().timestamp())
            await self._decided(close)
        self._position.move(self.venue.span.end)

    async def _decided(self, close_time: int) -> None:
        """Wait until the minute is decided."""
        if self._wait_decided is None:
            return
        deadline = time.monotonic() + self._decide_within_s
        while not await self.database.insist(self._wait_decided, close_time):
            if time.monotonic() > deadline:
                log.warning("minute_left_undecided", close_time=close_time, after_s=self._decide_within_s)
                return
            await asyncio.sleep(ASK_EVERY_S)

    def _begin(self) -> None:
        span = self.venue.span
        mark(
            self._run,
            state=Run.State.RUNNING,
            speed=self._speed,
            market_at=from_epoch(self._position.read()),
            market_end=from_epoch(span.end),
        )
        # The candle that closes at the span's start is history; the first that is told is due.
        schedule.align(self._run.venue_id, from_epoch(span.start + MINUTE_S))
        self._states(FeedState.State.LIVE, "")
        log.info("replay_started", minutes=span.minutes, speed=self._speed)

    def _store(self, close: int, candles: list[Ohlcv], received: float) -> StoreReport:
        """One transaction: the clock moves and the candles are there, then the news goes out."""
        arrivals = [Arrival(self._ids[candle.symbol], candle, float(close), received) for candle in candles]
        with transaction.atomic():
            reached = round(min(self._reached, self._speed), 3)
            mark(self._run, market_at=from_epoch(close), speed_reached=reached)
            return store_batch(Batch(arrivals), Source.REPLAY)

    def _end(self) -> None:
        mark(self._run, state=Run.State.ENDED, ended_at=wall_now(), market_at=from_epoch(self.venue.span.end))
        self._states(FeedState.State.DOWN, "recording ended")
        log.info("recording_ended")

    def _states(self, state: str, detail: str) -> None:
        states = [SeriesState(key, state, detail=detail) for key in (None, *self._ids.values())]
        write_states(self._run.venue_id, states, clock.market_now())
