"""The ccxt adapter over sockets: the real library against the loopback venue."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from markets.values import BookTop, Heartbeat, Ohlcv, Trade, VenueEvent
from markets.venues import VenueError
from markets.venues.ccxt_venue.breaker import Breaker
from markets.venues.ccxt_venue.closing import ClosingRule
from markets.venues.ccxt_venue.exchange import FrameCount, build
from markets.venues.ccxt_venue.streaming import BACKLOG, Session
from tests.faults.proxy import FaultProxy, Mode
from tests.markets.venues.hearing import BTC, ETH, LIMIT_S, STREAM, closed, history, listen, row, values
from tests.venue_server import VenueServer
from tests.venue_wire import Book, RestFault, forming, generated, recorded


async def test_a_stream_brings_what_the_venue_told(quick: VenueServer) -> None:
    async with quick.venue() as venue:
        events = await listen(venue, [BTC, ETH], lambda seen: len(closed(seen)) >= 8)
    counts = Counter(type(event) for event in events)
    assert counts[Trade] >= 20
    assert counts[BookTop] >= 4
    for candle in closed(events):
        assert values(candle) == row(quick, candle)
    half = [event for event in events if isinstance(event, Ohlcv) and not event.closed]
    assert half
    for candle in half:
        assert values(candle) != row(quick, candle)
    assert venue.frames.bad == 0


async def test_a_closing_frame_is_an_event_without_a_look_at_rest(still: VenueServer) -> None:
    async with still.venue(channels=["candles"]) as venue:
        await venue.instruments()
        open_time = int(still.now()) // 60 * 60
        hearing = asyncio.create_task(listen(venue, [BTC, ETH], lambda seen: len(closed(seen)) == 2))
        await asyncio.to_thread(still.subscribed, STREAM, "ethusdt@kline_1m")
        await asyncio.to_thread(still.close_minute, open_time)
        found = closed(await hearing)
    assert {(candle.symbol, candle.open_time) for candle in found} == {(BTC, open_time), (ETH, open_time)}
    assert not any("klines" in path for _, path, _ in still.requests)


async def test_books_are_the_venues_books(candor_data: Path) -> None:
    table = pq.read_table(next((candor_data / "lob").glob("binance_spot_BTCUSDT_book20_*")))
    frame = {name: np.asarray(table[name]) for name in table.column_names if name != "ts"}
    sides = [
        [np.column_stack([frame[f"{side}_px_{n}"], frame[f"{side}_sz_{n}"]]) for n in range(1, 21)]
        for side in ("bid", "ask")
    ]
    snapshots = np.array(sides).transpose(2, 0, 1, 3)[:400]
    with VenueServer(
        generated(["BTCUSDT"]), books={"BTCUSDT": Book(snapshots)}, play=True, speed=60, updates=30
    ) as server:
        async with server.venue(book_every_s=1.0) as venue:
            events = await listen(venue, [BTC], lambda seen: sum(isinstance(event, BookTop) for event in seen) >= 30)
    told = {(tuple(map(tuple, one[0].tolist())), tuple(map(tuple, one[1].tolist()))) for one in snapshots}
    books = [event for event in events if isinstance(event, BookTop)]
    # The venue deletes what falls out of its 20 levels, so every full book must be one of the recorded ones.
    assert all((book.bids, book.asks) in told for book in books)
    assert len({book.bids for book in books}) > 20


async def test_recorded_candles_come_through_unchanged(candor_data: Path) -> None:
    path = candor_data / "crypto_1m/binance_usdm_BTCUSDT_2025.parquet"
    candles = recorded([path], now_at=2000)
    with VenueServer(candles, play=True, speed=60) as server:
        async with server.venue(channels=["candles"]) as venue:
            start = int(candles["BTCUSDT"][0, 0])
            past = await history(venue, BTC, start, int(server.now()))
            live = closed(await listen(venue, [BTC], lambda seen: len(closed(seen)) >= 3))
    assert len(past) >= 2000
    for candle in [*past, *live]:
        assert values(candle) == row(server, candle)


@pytest.mark.parametrize("code", [1000, 1006, 1012])
async def test_a_cut_is_said_at_once_and_the_next_stream_works(quick: VenueServer, code: int) -> None:
    async with quick.venue() as venue:
        hearing = asyncio.create_task(listen(venue, [BTC], lambda _: False))
        await asyncio.to_thread(quick.subscribed, STREAM)
        await asyncio.to_thread(quick.close_sockets, code)
        with pytest.raises(VenueError, match="socket") as lost:
            await hearing
        assert not lost.value.permanent
        again = closed(await listen(venue, [BTC], lambda seen: len(closed(seen)) >= 2))
    assert values(again[0]) == row(quick, again[0])


async def test_a_refused_book_does_not_end_the_candles(quick: VenueServer) -> None:
    quick.script(RestFault(status=429, headers={"Retry-After": "4"}, path="depth"))  # four minutes of this venue
    async with quick.venue(channels=["candles", "book"]) as venue:
        events = await listen(venue, [BTC], lambda seen: any(isinstance(event, BookTop) for event in seen))
    assert closed(events), "candles came while the book was refused"


async def test_an_unconfirmed_candle_does_not_end_the_stream(quick: VenueServer) -> None:
    quick.script(RestFault(status=500, path="klines"), silent_ids=frozenset({"ETHUSDT"}))
    async with quick.venue(channels=["candles"]) as venue:
        events = await listen(venue, [BTC, ETH], lambda seen: len({c.symbol for c in closed(seen)}) == 2)
    for candle in closed(events):
        assert values(candle) == row(quick, candle)


@pytest.mark.slow
async def test_pongs_are_heartbeats_and_their_absence_ends_the_stream(still: VenueServer) -> None:
    with FaultProxy("127.0.0.1", still.port) as proxy:
        async with still.venue(channels=["candles"], ws_url=f"ws://127.0.0.1:{proxy.port}/stream") as venue:
            await venue.instruments()
            async with aclosing(venue.stream([BTC])) as stream:
                await asyncio.wait_for(first(stream, Heartbeat), LIMIT_S)
                await asyncio.to_thread(proxy.set, Mode.BLACK_HOLE)
                with pytest.raises(VenueError, match="keepalive"):
                    await asyncio.wait_for(first(stream, type(None)), 2 * LIMIT_S)


async def first(stream: AsyncIterator[VenueEvent], kind: type) -> None:
    """Take events until the first of a kind, whatever else comes before it."""
    async for event in stream:
        if isinstance(event, kind):
            return


async def test_a_reader_too_slow_loses_forming_candles_never_closed_ones() -> None:
    breaker, frames = Breaker("binance"), FrameCount()
    session = Session(
        build("binance", breaker, frames, settings={"timeout_s": 1}),
        frames,
        [BTC],
        channels=frozenset(),
        closing=ClosingRule([BTC], flagged=True, started=0.0),
        confirm=nobody,
        now=time.time,
        book_every_s=5.0,
    )
    for n in range(BACKLOG + 5):
        session.kline(Ohlcv(BTC, 60 * n, 1, 1, 1, 1, 1, closed=False))
    session.kline(Ohlcv(BTC, 0, 1, 1, 1, 1, 1, closed=True))
    async with aclosing(session.events()) as events:
        taken = [await anext(events) for _ in range(BACKLOG + 1)]
    assert frames.dropped == 5
    assert closed(taken[-1:])


async def nobody(_: str, __: int) -> Ohlcv | None:
    """No REST to confirm by."""
    return None


async def test_an_ended_stream_asks_for_nothing_more() -> None:
    with VenueServer(generated([f"C{n:02d}USDT" for n in range(30)]), speed=0) as server:
        async with server.venue(channels=["candles", "book"]) as venue:
            symbols = [spec.symbol for spec in await venue.instruments()]
            hearing = asyncio.create_task(listen(venue, symbols, lambda _: False))
            await asyncio.to_thread(server.subscribed, "c29usdt@depth@1000ms")
            await asyncio.to_thread(server.close_sockets, 1006)
            with pytest.raises(VenueError):
                await hearing
            sent = len(server.requests)
            assert sent < 25, "the snapshots were all fetched before the cut, so this shows nothing"
            await asyncio.sleep(2)
            assert len(server.requests) <= sent + 1


async def test_garbage_is_counted_and_candles_still_come(quick: VenueServer) -> None:
    quick.script(garbage=0.3)
    async with quick.venue(channels=["candles", "trades"]) as venue:
        events = await listen(venue, [BTC, ETH], lambda seen: len(closed(seen)) >= 10)
    for candle in closed(events):
        assert values(candle) == row(quick, candle)
    assert venue.frames.bad > 3
    assert all(len(sample) < 600 for sample in venue.frames.samples)


async def test_nothing_but_garbage_resets_the_connection(still: VenueServer) -> None:
    async with still.venue(channels=["candles"]) as venue:
        await venue.instruments()
        hearing = asyncio.create_task(listen(venue, [BTC], lambda _: False))
        await asyncio.to_thread(still.subscribed, STREAM)
        for _ in range(10):
            await asyncio.to_thread(still.push_raw, '{"e":"kline","k":{')
        with pytest.raises(VenueError, match="unusable frames in a row"):
            await hearing
    assert venue.frames.bad == 10


async def test_a_ten_megabyte_frame_ends_the_socket_not_the_process(still: VenueServer) -> None:
    async with still.venue(channels=["candles"]) as venue:
        await venue.instruments()
        hearing = asyncio.create_task(listen(venue, [BTC], lambda _: False))
        await asyncio.to_thread(still.subscribed, STREAM)
        await asyncio.to_thread(still.push_raw, '{"e":"' + "x" * 11_000_000 + '"}')
        with pytest.raises(VenueError):
            await hearing


async def test_without_a_flag_the_next_open_closes() -> None:
    with VenueServer(generated(["BTCUSD", "ETHUSD"]), play=True, speed=60) as server:
        async with server.venue("kraken", channels=["candles"], grace_s=1e6) as venue:
            events = await listen(venue, ["BTC/USD", "ETH/USD"], lambda seen: len(closed(seen)) >= 6)
    assert [values(candle) == row(server, candle) for candle in closed(events)] == [True] * len(closed(events))
    assert not any("OHLC" in path for _, path, _ in server.requests), "the sockets alone told it"


async def test_an_unannounced_close_is_confirmed_by_rest(quick: VenueServer) -> None:
    quick.script(withhold_close=True)
    async with quick.venue(channels=["candles"]) as venue:
        found = closed(await listen(venue, [BTC], lambda seen: len(closed(seen)) >= 3))
    for candle in found:
        assert values(candle) == row(quick, candle)


async def test_one_silent_symbol_is_asked_for_by_rest(quick: VenueServer) -> None:
    quick.script(silent_ids=frozenset({"ETHUSDT"}))
    async with quick.venue(channels=["candles"]) as venue:
        events = await listen(venue, [BTC, ETH], lambda seen: len({c.symbol for c in closed(seen)}) == 2)
    assert not [event for event in events if isinstance(event, Ohlcv) and event.symbol == ETH and not event.closed]
    for candle in closed(events):
        assert values(candle) == row(quick, candle)


async def test_duplicates_revisions_and_late_candles_are_passed_on(quick: VenueServer) -> None:
    quick.script(duplicates=3, revise=1.0, shuffle=2)
    async with quick.venue(channels=["candles"], grace_s=1e6) as venue:
        found = closed(await listen(venue, [BTC], lambda seen: len(closed(seen)) >= 8))
    by_minute = Counter(candle.open_time for candle in found)
    assert set(by_minute.values()) == {4}
    for open_time in by_minute:
        told = [candle for candle in found if candle.open_time == open_time]
        assert [values(candle) == row(quick, candle) for candle in told] == [True, True, True, False]


async def test_a_future_candle_keeps_its_stamp_for_the_store_to_refuse(still: VenueServer) -> None:
    still.script(future_s=31_536_000)
    async with still.venue(channels=["candles"]) as venue:
        await venue.instruments()
        hearing = asyncio.create_task(listen(venue, [BTC], lambda seen: bool(closed(seen))))
        await asyncio.to_thread(still.subscribed, STREAM)
        await asyncio.to_thread(still.close_minute, int(still.now()) // 60 * 60)
        (candle,) = closed(await hearing)
    assert candle.open_time > still.now() + 31_000_000


async def test_a_black_hole_says_nothing_and_close_ends_it(still: VenueServer) -> None:
    still.script(silent=True)
    venue = still.venue(channels=["candles"])
    await venue.instruments()
    hearing = asyncio.create_task(listen(venue, [BTC], lambda _: False))
    await asyncio.to_thread(still.subscribed, STREAM)
    await asyncio.sleep(0.5)
    assert not hearing.done()
    await venue.close()
    await venue.close()
    with pytest.raises(VenueError, match="closed by us"):
        await hearing


def test_a_forming_candle_of_the_loopback_venue_is_never_the_final_one() -> None:
    rows = generated(["BTCUSDT"])["BTCUSDT"]
    assert all((forming(one, share)[1:] != one[1:]).any() for one in rows for share in (0.1, 0.5, 0.9))
