"""The live feed against the simulated market, a scripted one, and the loopback venue; the recording's feed."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import numpy as np
import pytest
from django.db import connections

from lib import clock
from markets.candles import Source, find_gaps, load_ohlcv, load_panel, store_closed
from markets.events import candle_closed
from markets.live import Feed, FeedLimits
from markets.models import Activation, BookSnapshot, Candle, FeedState, Instrument, Run, TradeFlow, Venue
from markets.validation import CandleRows
from markets.values import BookTop, Heartbeat, Ohlcv, PriceTick, TaintFlag, Trade
from markets.venues.base import Venue as Adapter
from markets.venues.base import VenueError
from markets.venues.simulated import SimulatedVenue
from tests.markets.scripted import ScriptedVenue
from tests.markets.worlds import START, at, candle, make_instrument, make_venue, walk

T = TypeVar("T")
pytestmark = pytest.mark.django_db(transaction=True)
QUICK = FeedLimits(
    silence_s=60.0,
    heartbeat_s=0.1,
    first_message_s=60.0,
    batch_grace_s=0.05,
    look_every_s=0.02,
    report_every_s=0.05,
    backoff_base_s=0.05,
    backoff_cap_s=0.2,
    backfill_s=3600,
)
"""Short where a test waits for it, long where a busy machine must not be taken for a silent venue."""


class Clock:
    """A market clock that the test moves."""

    def __init__(self, now: float) -> None:
        self.now = now

    def read(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _nobody_above() -> Iterator[None]:
    """The floors above do not hear: these tests end at the event."""
    heard, candle_closed.receivers = candle_closed.receivers, []
    candle_closed.sender_receivers_cache.clear()
    yield
    candle_closed.receivers = heard
    candle_closed.sender_receivers_cache.clear()


@pytest.fixture
def market() -> Iterator[Clock]:
    moved = Clock(START + 3600.0)
    clock.follow(lambda: at(moved.now))
    yield moved
    clock.release()


class Running:
    """A feed at work inside a test."""

    def __init__(self, venue: Adapter, instruments: list[Instrument], limits: FeedLimits = QUICK) -> None:
        self.venue, self.instruments, self.limits = venue, instruments, limits
        self.ticks: list[tuple[int, float, Ohlcv]] = []
        self.news: list[tuple[int, list[int]]] = []

    async def __aenter__(self) -> "Running":
        run = await db(
            Run.objects.create, venue=self.instruments[0].venue, started_at=clock.wall_now(), beat_at=clock.wall_now()
        )
        self.run = run
        self.feed = Feed(
            self.venue, run, self.instruments, limits=self.limits, on_tick=lambda *tick: self.ticks.append(tick)
        )
        candle_closed.connect(self.hear)
        self.job = asyncio.create_task(self.feed.run())
        return self

    def hear(self, close_time: int, instrument_ids: list[int], **_: object) -> None:
        self.news.append((close_time, instrument_ids))

    async def __aexit__(self, *_: object) -> None:
        self.job.cancel()
        await asyncio.gather(self.job, return_exceptions=True)
        candle_closed.disconnect(self.hear)


async def db(work: Callable[..., T], *args: object, **kwargs: object) -> T:
    """Database work in a thread of its own, whose connection ends with it."""

    def job() -> T:
        try:
            return work(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(job)


async def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for a database condition."""
    deadline = time.monotonic() + timeout_s
    while not await db(condition):
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.02)


def stored(instrument: Instrument) -> list[int]:
    return sorted((int(t.timestamp()) - START) // 60 for t in _times(instrument))


def _times(instrument: Instrument) -> list[datetime]:
    return list(Candle.objects.filter(instrument=instrument).values_list("open_time", flat=True))


@pytest.fixture
def btc() -> Instrument:
    return make_instrument(venue=make_venue("scripted", Venue.Kind.LIVE))


async def test_what_was_missed_before_the_start_is_fetched(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    venue.serve("BTC/USDT", 60)
    await db(store_closed, [(btc.pk, venue.rows["BTC/USDT"][START])], source=Source.REST)
    async with Running(venue, [btc]):
        await until(lambda: stored(btc) == list(range(60)))
    assert venue.requests[0] == ("BTC/USDT", START + 60, START + 3600)
    assert await db(lambda: set(Candle.objects.values_list("flags", flat=True))) == {0}


async def test_a_closed_candle_is_stored_and_told_at_once(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    venue.serve("BTC/USDT", 60)
    async with Running(venue, [btc]) as running:
        await venue.events.put(PriceTick("BTC/USDT", market.now, 101.0))
        await until(lambda: stored(btc) == list(range(60)))
        market.now = START + 3660.2
        await venue.events.put(candle(START + 3600))
        await until(lambda: (START + 3660, [btc.pk]) in running.news)
        row = await db(Candle.objects.get, open_time=at(START + 3600))
        assert (row.source, row.flags, row.observed_at) == (Source.STREAM, 0, at(START + 3660.2))
    assert running.ticks[0][:2] == (btc.pk, 101.0)
    assert await db(Activation.objects.get, instrument=btc)


async def test_duplicates_and_corrections_of_the_stream(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    async with Running(venue, [btc]):
        await venue.events.put(PriceTick("BTC/USDT", market.now, 101.0))
        market.now = START + 3660.2
        for close in (100.5, 100.5, 100.5, 100.7, 100.7):
            await venue.events.put(candle(START + 3600, close=close))
        await until(lambda: load_ohlcv(btc.pk, START + 3600, START + 3660)[1][:, 3].tolist() == [100.7])
    assert await db(lambda: stored(btc)) == [60]


async def test_a_candle_the_stream_left_out_is_fetched_after_its_close(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    venue.serve("BTC/USDT", 62)
    async with Running(venue, [btc]) as running:
        await venue.events.put(PriceTick("BTC/USDT", market.now, 101.0))
        await until(lambda: stored(btc) == list(range(60)))
        market.now = START + 3661.0
        await asyncio.sleep(0.1)
        assert await db(lambda: stored(btc)) == list(range(60))  # the stream still has half a second
        market.now = START + 3661.6
        await until(lambda: 60 in stored(btc))
        market.now = START + 3725.0
        await until(lambda: (START + 3720, [btc.pk]) in running.news)
    flags = await db(lambda: dict(Candle.objects.values_list("open_time", "flags")))
    assert flags[at(START + 3600)] == 0  # confirmed in time
    assert flags[at(START + 3660)] == TaintFlag.REPAIRED  # 5 s after its close


async def test_a_cut_loses_and_doubles_nothing(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    venue.serve("BTC/USDT", 70)
    async with Running(venue, [btc]):
        await venue.events.put(PriceTick("BTC/USDT", market.now, 101.0))
        await until(lambda: stored(btc) == list(range(60)))
        for code in range(3):
            await venue.events.put(VenueError(f"closed with 100{code}"))
            market.now += 120.0
            await venue.events.put(Heartbeat(market.now))
            await until(lambda: stored(btc) == list(range(int(market.now - START) // 60)))
        await until(lambda: FeedState.objects.get(instrument=None).reconnects == 3)
    assert len(venue.connects) == 4
    assert await db(lambda: find_gaps(btc.pk, START, int(market.now))) == []


async def test_out_of_order_candles_equal_sorted_ones(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    venue.serve("BTC/USDT", 66)
    late = [venue.rows["BTC/USDT"].pop(START + 60 * minute) for minute in range(60, 66)]
    async with Running(venue, [btc]):
        await venue.events.put(PriceTick("BTC/USDT", market.now, 101.0))
        await until(lambda: stored(btc) == list(range(60)))
        market.now = START + 3960.1
        for minute in (5, 2, 0, 1, 4, 3):
            await venue.events.put(late[minute])
        await until(lambda: stored(btc) == list(range(66)))
    panel = await db(load_panel, [btc.pk], START + 3960, 66)
    assert np.array_equal(panel.ohlcv[0], walk(66)[1])
    assert panel.taint[0] == TaintFlag.OUT_OF_ORDER


async def test_a_silent_connection_is_reset(market: Clock, btc: Instrument) -> None:
    venue, limits = ScriptedVenue(), replace(QUICK, silence_s=0.6)
    async with Running(venue, [btc], limits):
        await venue.events.put(PriceTick("BTC/USDT", market.now, 101.0))
        await until(lambda: len(venue.connects) >= 2)
        await until(lambda: "no message for" in FeedState.objects.get(instrument=None).detail)
    assert venue.connects[1] - venue.connects[0] >= limits.alive_s


async def test_subscribed_is_not_receiving(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    async with Running(venue, [btc], replace(QUICK, first_message_s=0.6)):
        await until(lambda: len(venue.connects) >= 2)
        await until(lambda: "no first message" in FeedState.objects.get(instrument=None).detail)


async def test_one_silent_series_is_seen_and_does_not_hold_up_the_others(market: Clock, btc: Instrument) -> None:
    eth = await db(make_instrument, "ETH/USDT", venue=btc.venue)
    venue = ScriptedVenue()
    limits = replace(QUICK, silence_s=4.0, missed_in_a_row=100)

    async def talk() -> None:
        while True:
            await venue.events.put(PriceTick("BTC/USDT", market.now, 100.0))
            await asyncio.sleep(0.03)

    async with Running(venue, [btc, eth], limits) as running:
        talking = asyncio.create_task(talk())
        for minute in range(4):
            await asyncio.sleep(0.2)
            market.now = START + 3660.1 + 60 * minute
            await venue.events.put(candle(START + 3600 + 60 * minute))
        closes = {START + 3660 + 60 * minute for minute in range(4)}
        await until(lambda: {close for close, ids in running.news if ids == [btc.pk]} == closes)
        await until(lambda: FeedState.objects.filter(instrument=eth, state=FeedState.State.DELAYED).exists())
        assert len(venue.connects) == 1
        talking.cancel()


async def test_a_series_that_misses_candles_resets_the_stream(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    venue.serve("BTC/USDT", 64)
    async with Running(venue, [btc]):
        await venue.events.put(PriceTick("BTC/USDT", market.now, 101.0))
        await until(lambda: stored(btc) == list(range(60)))
        for _ in range(2):
            market.now += 62.0
            await venue.events.put(PriceTick("BTC/USDT", market.now, 101.0))
            await asyncio.sleep(0.1)
        await until(lambda: len(venue.connects) == 2)
        await until(lambda: stored(btc) == list(range(62)))


async def test_nonsense_is_counted_and_resets_after_a_row_of_it(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    async with Running(venue, [btc]):
        for _ in range(9):
            await venue.events.put(PriceTick("BTC/USDT", market.now, float("nan")))
        await venue.events.put(PriceTick("BTC/USDT", market.now, 100.0))
        for _ in range(9):
            await venue.events.put(PriceTick("WHO/KNOWS", market.now, 1.0))
        await asyncio.sleep(0.2)
        assert len(venue.connects) == 1
        await venue.events.put(Trade("BTC/USDT", market.now, -1.0, 1.0, buy=True))
        await until(lambda: len(venue.connects) == 2)


async def test_a_future_or_impossible_candle_moves_nothing(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    async with Running(venue, [btc]):
        market.now = START + 3660.1
        await venue.events.put(candle(START + 86_400 * 365))
        await venue.events.put(replace(candle(START + 3600), high=1.0))
        await venue.events.put(candle(START + 3600))
        await until(lambda: stored(btc) == [60])
        assert not venue.requests or max(end for _, _, end in venue.requests) <= START + 3660


async def test_a_venue_that_asks_for_peace_gets_it(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    venue.serve("BTC/USDT", 60)
    venue.broken = [VenueError("429", retry_after=0.5)]
    async with Running(venue, [btc]):
        began = time.monotonic()
        await until(lambda: stored(btc) == list(range(60)))
        assert time.monotonic() - began >= 0.5
    assert len(venue.requests) == 2


async def test_books_and_trades_go_with_the_minute(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    levels = tuple((100.0 - n * 0.01, 1.0 + n) for n in range(20))
    asks = tuple((100.01 + n * 0.01, 2.0 + n) for n in range(20))
    async with Running(venue, [btc]):
        for second in range(0, 60, 2):
            await venue.events.put(BookTop("BTC/USDT", START + 3600.0 + second, levels, asks))
            await venue.events.put(Trade("BTC/USDT", START + 3600.5 + second, 100.0, 0.5, buy=second % 4 == 0))
        market.now = START + 3660.1
        await venue.events.put(candle(START + 3600))
        await until(lambda: stored(btc) == [60])
    panel = await db(load_panel, [btc.pk], START + 3660, 1, snapshots=12, flow_s=60)
    assert panel.books is not None
    assert panel.flow is not None
    assert panel.books.times[0].tolist() == [START + 3600 + s for s in (0, 6, 10, 16, 20, 26, 30, 36, 40, 46, 50, 56)]
    assert np.allclose(panel.books.prices((0, -1))[0], [p for p, _ in levels])
    assert np.allclose(panel.books.sizes[0, -1, 1], [s for _, s in asks])
    assert (panel.flow.buy.sum(), panel.flow.sell.sum(), panel.flow.count.sum()) == (7.5, 7.5, 30)
    assert await db(BookSnapshot.objects.count) == await db(TradeFlow.objects.count) == 1


async def test_ticking_an_instrument_takes_it_on(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    async with Running(venue, [btc]) as running:
        await venue.events.put(PriceTick("BTC/USDT", market.now, 100.0))
        eth = await db(make_instrument, "ETH/USDT", venue=btc.venue)
        await until(lambda: len(venue.connects) == 2)
        assert set(running.feed.series) == {"BTC/USDT", "ETH/USDT"}
        assert await db(Activation.objects.filter(instrument=eth, active=True).count) == 1


async def test_stopping_says_so(market: Clock, btc: Instrument) -> None:
    venue = ScriptedVenue()
    async with Running(venue, [btc]):
        await venue.events.put(PriceTick("BTC/USDT", market.now, 100.0))
        await until(lambda: FeedState.objects.filter(instrument=None, state=FeedState.State.LIVE).exists())
    states = await db(lambda: set(FeedState.objects.values_list("state", flat=True)))
    assert states == {FeedState.State.DOWN}


async def test_the_simulated_market_runs_through_it(market: Clock) -> None:
    """Two minutes of the simulated venue, its time running thirty times as fast."""
    origin, began = float(START + 3600), time.monotonic()
    clock.follow(lambda: at(origin + (time.monotonic() - began) * 30))

    def now() -> float:
        return clock.market_now().timestamp()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 30)

    names = ["BTC/USDT", "ETH/USDT", "EUR/USD"]
    home = await db(make_venue, "simulated")
    rows = [await db(make_instrument, name, venue=home) for name in names]
    venue = SimulatedVenue(symbols=names, now=now, sleep=sleep)
    together = [row.pk for row in rows]
    async with Running(venue, rows) as running:
        await until(lambda: all(len(stored(row)) >= 62 for row in rows))
        await until(lambda: together in [sorted(ids) for _, ids in running.news])
    for row, name in zip(rows, names, strict=True):
        times, ohlcv = await db(load_ohlcv, row.pk, START, START + 62 * 60)
        expected = venue.series(name).candles(START, START + 62 * 60)
        assert np.array_equal(times, expected[0])
        assert np.array_equal(ohlcv, expected[1])
    assert await db(BookSnapshot.objects.count) >= 3


def test_rows_of_a_batch_keep_their_own_times() -> None:
    from markets.minutes import Arrival, Batch

    rows, seen = Batch([Arrival(1, candle(), 10.0, 11.0, 4), Arrival(2, candle(), 12.0, 13.0)]).rows()
    assert isinstance(rows, CandleRows)
    assert (rows.flags.tolist(), seen.tolist()) == ([4, 0], [10.0, 12.0])
