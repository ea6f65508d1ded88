"""One live feed: streams closed candles into the store, notices silence, comes back by itself, loses nothing.

The stream brings candles within a second; REST brings what the stream did not: everything missed before the start and
during a cut, and each minute's candle that is not there 1.5 s after its close. Which of the two was first does not
matter, because the store takes a candle once.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog
from django.db import InterfaceError, OperationalError
from prometheus_client import Counter

from lib.clock import MINUTE_S, market_now, wall_now
from markets import schedule
from markets.backoff import Backoff
from markets.calendars import is_open, open_minutes
from markets.candles import Source, find_gaps
from markets.clocks import ClockWatch
from markets.minutes import Arrival, Collector, Series
from markets.models import Instrument, Run
from markets.repairing import Repairer
from markets.runs import mark
from markets.skew import SkewMeter
from markets.states import StateBoard
from markets.storing import DatabaseThread, store_batch
from markets.validation import CandleRows, verdicts
from markets.values import BookTop, Heartbeat, Ohlcv, PriceTick, TaintFlag, Trade, VenueEvent
from markets.venues import Venue, VenueError

log = structlog.get_logger(__name__)
CONNECTS = Counter("candor_feed_connects_total", "Streams opened", ["venue"])
GARBAGE = Counter("candor_feed_garbage_total", "Events that made no sense", ["venue"])

REPEATED = Counter("candor_candles_repeated_total", "Closed candles that the stream told again", ["venue"])
UNORDERED = Counter("candor_candles_out_of_order_total", "Closed candles that came after a later one", ["venue"])

WIND_UP_S = 5.0

OnTick = Callable[[int, float, Ohlcv], None]
"""Told (instrument id, price, forming candle) for the page; called on the feed's loop, must not block."""


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """Seconds, monotonic unless said otherwise; the defaults are those of the reliability plan."""

    silence_s: float = 10.0  # no message on any series: reset
    heartbeat_s: float = 5.0  # how often adapters pass a venue's sign of life on
    first_message_s: float = 15.0  # subscribed is not receiving
    confirm_s: float = 1.5  # market clock: a close older than this without its candle is asked for by REST
    late_s: float = 3.0  # market clock: later ones are marked repaired
    backfill_s: int = 6 * 3600  # market clock: what a feed closes by itself; more is download_candles' work
    batch_grace_s: float = 0.25
    look_every_s: float = 0.1
    report_every_s: float = 1.0
    garbage_in_a_row: int = 10
    missed_in_a_row: int = 2  # candles that one series' stream did not bring before the stream is reset for it
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 30.0
    book_every_s: float = 5.0
    clock_every_s: float = 20.0  # how often venues are asked for their time

    @property
    def alive_s(self) -> float:
        """Silence of a connection that means it is dead."""
        return max(self.silence_s, 1.5 * self.heartbeat_s)


class Feed:
    """Feeds the followed `instruments` of one venue; see the module's docstring.

    Args:
        venue: opened on the loop that runs the feed; closed by it.
        run: the run whose sign of life and states are kept.
        on_tick: prices between closes.
        witnesses: other venues whose clocks say whose is wrong when ours and the venue's disagree; closed by the feed.
    """

    def __init__(
        self,
        venue: Venue,
        run: Run,
        instruments: Sequence[Instrument],
        *,
        limits: FeedLimits | None = None,
        on_tick: OnTick | None = None,
        witnesses: Sequence[Venue] = (),
    ) -> None:
        self.venue, self.limits, self._on_tick = venue, limits or FeedLimits(), on_tick
        self._run = run
        self.series = {instrument.raw_symbol: Series.of(instrument) for instrument in instruments}
        self.database = DatabaseThread()
        self.collector = Collector(grace_s=self.limits.batch_grace_s, book_every_s=self.limits.book_every_s)
        self.repairer = Repairer(venue, self._deliver)
        self.skew = SkewMeter()
        self.clocks = ClockWatch(venue, self.skew, witnesses, self.limits.clock_every_s)
        self.states = StateBoard(run, self.series, self.limits.silence_s, self.skew)
        self.backoff = Backoff(self.limits.backoff_base_s, self.limits.backoff_cap_s)
        self._source = Source.STREAM if venue.facts.real else Source.SIMULATED
        self._ready = asyncio.Event()
        self._garbage = 0
        self._checked = 0  # open time of the last minute held against the stream

    async def run(self) -> None:
        """Feed until cancelled; then store what has arrived and say that the feed is down."""
        jobs: list[Callable[[], Awaitable[None]]] = [
            self._stream_for_ever,
            self._store_for_ever,
            self.repairer.run,
            self._check_minutes,
            self._report_for_ever,
            self.clocks.run,
        ]
        try:
            await self.database.insist(self._begin)
            await self._catch_up(live=False)
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(job())  # type: ignore[arg-type]  # all are coroutine functions
        finally:
            await asyncio.shield(self._wind_up())

    def _begin(self) -> None:
        schedule.align(self._run.venue_id)
        mark(self._run, state=Run.State.RUNNING)

    async def _wind_up(self) -> None:
        """What has arrived is stored if the database answers; the rest comes again by back-fill."""
        self.states.stopped()
        try:
            await asyncio.wait_for(self._store_ready(everything=True), WIND_UP_S)
            await self.database.call(self.states.write, everything=True)
        except (TimeoutError, OperationalError, InterfaceError) as error:
            log.warning("feed_stopped_without_database", reason=str(error)[:200])
        await self.venue.close()
        await self.clocks.close()
        await asyncio.to_thread(self.database.close)

    # -- the connection

    async def _stream_for_ever(self) -> None:
        while True:
            try:
                await self._session()
            except VenueError as error:
                self.states.disconnected(str(error))
                wait = max(self.backoff.next_wait(), error.retry_after or 0.0)
                log.warning("feed_disconnected", venue=self.venue.key, reason=str(error)[:300], wait_s=round(wait, 2))
                await asyncio.sleep(wait)

    async def _session(self) -> None:
        """One connection, until it fails or falls silent."""
        CONNECTS.labels(self.venue.key).inc()
        self.states.connecting(time.monotonic())
        self._garbage = 0
        tasks = {asyncio.create_task(self._read()), asyncio.create_task(self._watch())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _read(self) -> None:
        async with aclosing(self.venue.stream(list(self.series))) as stream:
            async for event in stream:
                if not self.states.receiving:
                    log.info("feed_connected", venue=self.venue.key, reconnects=self.states.reconnects)
                    self.states.receiving = True
                    # Subscribed and receiving: from here on nothing falls between the two ways.
                    await self._catch_up(live=self.states.reconnects > 0)
                self._take(event)
        raise VenueError(f"{self.venue.key}: the stream ended")

    async def _catch_up(self, *, live: bool) -> None:
        """Ask REST for every hole up to the last whole minute; from there on each minute is checked as it closes."""
        end = int(market_now().timestamp()) // MINUTE_S * MINUTE_S
        start = end - self.limits.backfill_s
        for series in self.series.values():
            gaps = await self.database.insist(find_gaps, series.instrument_id, start, end, calendar=series.calendar)
            holes = [minute for a, b in gaps for minute in open_minutes(series.calendar, a, b).tolist()]
            self.repairer.need(series, holes, live=live)
            series.last_open, series.missed = max(series.last_open, end - MINUTE_S), 0
        self._checked = max(self._checked, end - MINUTE_S)

    async def _watch(self) -> None:
        """Raise when the connection is silent: of everything, of data, or of its first message."""
        while True:
            await asyncio.sleep(self.limits.look_every_s)
            now, limits = time.monotonic(), self.limits
            silent, dumb = self.states.silent_for(now), self.states.without_data_for(now)
            if not self.states.receiving and silent > limits.first_message_s:
                raise VenueError(f"{self.venue.key}: no first message within {limits.first_message_s:g} s")
            if self.states.receiving and silent > limits.alive_s:
                raise VenueError(f"{self.venue.key}: no message for {silent:.0f} s")
            # Signs of life without data: a quiet market, or a subscription that died behind them.
            if self.states.receiving and dumb > 3 * limits.alive_s and self._anything_open():
                raise VenueError(f"{self.venue.key}: only heartbeats for {dumb:.0f} s")
            if self.states.reset_wanted:
                raise VenueError(f"{self.venue.key}: {self.states.reset_wanted}")
            self.clocks.tick(wall_now().timestamp(), now)

    def _anything_open(self) -> bool:
        at = int(market_now().timestamp())
        return any(is_open(calendar, at) for calendar in {series.calendar for series in self.series.values()})

    # -- events

    def _take(self, event: VenueEvent) -> None:
        now = time.monotonic()
        self.states.heard(now)
        if isinstance(event, Heartbeat):
            return
        series = self.series.get(event.symbol)
        if series is None or not _sane(event):
            self._reject(event)
            return
        self._garbage = 0
        self.states.heard_data(series, now)
        if isinstance(event, Ohlcv):
            self._take_candle(series, event)
        elif isinstance(event, BookTop):
            self.collector.add_book(series, event)
        else:
            self._take_price(series, event)

    def _take_price(self, series: Series, event: PriceTick | Trade) -> None:
        self.skew.message(event.at, market_now().timestamp())
        if isinstance(event, Trade):
            self.collector.add_trade(series, event)
        forming = series.tick(event)
        if self._on_tick is not None:
            self._on_tick(series.instrument_id, event.price, forming)

    def _take_candle(self, series: Series, candle: Ohlcv) -> None:
        if candle.closed:
            self._closed(series, candle)
            return
        series.forming = candle
        if self._on_tick is not None:
            self._on_tick(series.instrument_id, candle.close, candle)

    def _closed(self, series: Series, candle: Ohlcv) -> None:
        """A candle closed by the venue's word; what it leaves open behind it is asked for."""
        if candle == series.last:
            REPEATED.labels(self.venue.key).inc()
            return
        flags = TaintFlag.CLOCK_SKEW if self.skew.suspect else TaintFlag.NONE
        if candle.open_time < series.last_open:
            flags |= TaintFlag.OUT_OF_ORDER
            UNORDERED.labels(self.venue.key).inc()
            log.info("candle_out_of_order", symbol=series.symbol, open_time=candle.open_time, newest=series.last_open)
        elif _sound(candle):
            missing = open_minutes(series.calendar, series.last_open + MINUTE_S, candle.open_time)
            self.repairer.need(series, missing[-self.limits.backfill_s // MINUTE_S :], live=True)
            series.last_open, series.last, series.missed, series.resets = candle.open_time, candle, 0, 0
            self.backoff.reset()
        self.repairer.came(series, candle.open_time)
        self._add(series, candle, int(flags))

    def _add(self, series: Series, candle: Ohlcv, flags: int) -> None:
        self._collect(series, candle, flags)
        if self.collector.complete(candle.open_time, self._expected(candle.open_time)):
            self._ready.set()

    def _collect(self, series: Series, candle: Ohlcv, flags: int) -> None:
        arrival = Arrival(series.instrument_id, candle, market_now().timestamp(), wall_now().timestamp(), flags)
        if self.collector.add(arrival, time.monotonic()):
            asyncio.get_running_loop().call_later(self.limits.batch_grace_s, self._ready.set)

    def _expected(self, open_time: int) -> list[int]:
        """Instruments whose candle of this minute is worth waiting for: due, and not silent."""
        now = time.monotonic()
        due = {calendar: is_open(calendar, open_time) for calendar in {one.calendar for one in self.series.values()}}
        return [
            series.instrument_id
            for series in self.series.values()
            if due[series.calendar] and not self.states.is_silent(series, now)
        ]

    def _reject(self, event: VenueEvent) -> None:
        GARBAGE.labels(self.venue.key).inc()
        self._garbage += 1
        self.states.garbage(repr(event)[:200])
        if self._garbage >= self.limits.garbage_in_a_row:
            raise VenueError(
                f"{self.venue.key}: {self._garbage} events in a row made no sense, the last {event!r:.200}"
            )

    # -- minutes

    async def _check_minutes(self) -> None:
        """After each close ask REST for the candles that did not come; reset a stream that keeps missing one."""
        while True:
            await asyncio.sleep(self.limits.look_every_s)
            last = int(market_now().timestamp() - self.limits.confirm_s) // MINUTE_S * MINUTE_S - MINUTE_S
            if last <= self._checked:
                continue
            first, self._checked = max(self._checked, last - self.limits.backfill_s) + MINUTE_S, last
            for series in self.series.values():
                self._check(series, first, last)

    def _check(self, series: Series, first: int, last: int) -> None:
        missing = open_minutes(series.calendar, max(first, series.last_open + MINUTE_S), last + MINUTE_S)
        if not len(missing):
            return
        self.repairer.need(series, missing, live=True)
        series.missed += len(missing)
        log.info("candle_missing", venue=self.venue.key, symbol=series.symbol, open_time=last, missed=series.missed)
        # Each reset for one silent series costs the others a moment, so they become rarer: after 2, 4, 8 … minutes.
        if self.states.receiving and series.missed >= self.limits.missed_in_a_row * 2**series.resets:
            series.resets, series.missed = min(series.resets + 1, 10), 0
            self.states.reset_wanted = f"the stream brings no candles of {series.symbol}"

    async def _deliver(self, series: Series, candles: list[Ohlcv], live: bool) -> None:
        """Candles that REST brought."""
        now = market_now().timestamp()
        for candle in candles:
            late = live and now - candle.open_time - MINUTE_S > self.limits.late_s
            self._collect(series, candle, int(TaintFlag.REPAIRED) if late else 0)

    # -- the database

    async def _store_for_ever(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            await self._store_ready()

    async def _store_ready(self, *, everything: bool = False) -> None:
        batch = self.collector.take_ready(time.monotonic(), None if everything else self._expected)
        if batch is not None:
            report = await self.database.insist(store_batch, batch, self._source)
            self.states.stored(batch)
            if report.refused:
                log.warning("candles_refused", venue=self.venue.key, reasons=report.refused)

    async def _report_for_ever(self) -> None:
        while True:
            self.states.unreadable(getattr(self.venue, "frames", None), time.monotonic())
            self.states.judge(time.monotonic(), market_now())
            await self.database.insist(self.states.write)
            await self._follow(await self.database.insist(self._followed))
            await asyncio.sleep(self.limits.report_every_s)

    def _followed(self) -> list[Instrument]:
        return list(Instrument.objects.filter(venue_id=self._run.venue_id, followed=True))

    async def _follow(self, instruments: list[Instrument]) -> None:
        """Take on what an operator ticked since, and let go of what was unticked."""
        wanted = {instrument.raw_symbol: instrument for instrument in instruments}
        if wanted.keys() == self.series.keys():
            return
        for symbol in self.series.keys() - wanted.keys():
            del self.series[symbol]
        for symbol in wanted.keys() - self.series.keys():
            self.series[symbol] = Series.of(wanted[symbol])
        await self.database.insist(schedule.align, self._run.venue_id)
        self.states.reset_wanted = "the followed instruments changed"


def _sane(event: Ohlcv | BookTop | Trade | PriceTick) -> bool:
    """Whether prices that go to the page are numbers; closed candles are judged by the store."""
    if isinstance(event, Trade | PriceTick):
        return math.isfinite(event.price) and event.price > 0
    return not isinstance(event, Ohlcv) or event.closed or math.isfinite(event.close)


def _sound(candle: Ohlcv) -> bool:
    """Whether the store will take the candle: only such a one moves a series forward."""
    hits = verdicts(CandleRows.of([(0, candle)]), market_now().timestamp())
    return not any(hit[0] for hit in hits.values())
