"""The ccxt adapter over real sockets: the real library against the loopback venue."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from markets.values import BookTop, Ohlcv, Trade, VenueEvent
from markets.venues import Capability, UnknownSymbolError, UnknownVenueError, VenueError, open_venue
from markets.venues.ccxt_venue.client import CcxtVenue
from tests.venue_server import VenueServer
from tests.venue_wire import Book, RestFault, forming, generated, recorded

BTC, ETH = "BTC/USDT", "ETH/USDT"
STREAM = "btcusdt@kline_1m"


@pytest.fixture
def still() -> Iterator[VenueServer]:
    """A venue in real time that only sends what the test pushes."""
    with VenueServer(generated(["BTCUSDT", "ETHUSDT"])) as server:
        yield server


@pytest.fixture
def quick() -> Iterator[VenueServer]:
    """A venue that tells a minute each second."""
    with VenueServer(generated(["BTCUSDT", "ETHUSDT"]), play=True, speed=60) as server:
        yield server


async def history(venue: CcxtVenue, symbol: str, start: int, end: int, timeframe: str = "1m") -> list[Ohlcv]:
    return [candle async for page in venue.history(symbol, start, end, timeframe) for candle in page]


async def listen(venue: CcxtVenue, symbols: list[str], enough: Callable[[list[VenueEvent]], bool]) -> list[VenueEvent]:
    """Events until there are enough; fails after 20 s."""
    seen: list[VenueEvent] = []

    async def take() -> None:
        async with aclosing(venue.stream(symbols)) as stream:
            async for event in stream:
                seen.append(event)
                if enough(seen):
                    return

    await asyncio.wait_for(take(), 20)
    return seen


def closed(events: list[VenueEvent]) -> list[Ohlcv]:
    return [event for event in events if isinstance(event, Ohlcv) and event.closed]


def row(server: VenueServer, candle: Ohlcv) -> tuple[float, ...]:
    return tuple(server.row(candle.symbol.replace("/", ""), candle.open_time))


def values(candle: Ohlcv) -> tuple[float, ...]:
    return (candle.open_time, candle.open, candle.high, candle.low, candle.close, candle.volume)


async def after(delay: float, action: Callable[[], object]) -> None:
    """Let a thread of the server act while the loop listens."""
    await asyncio.sleep(delay)
    await asyncio.to_thread(action)


# -- REST


async def test_the_whole_market_list_comes_with_ticks(still: VenueServer) -> None:
    async with still.venue() as venue:
        listed = {spec.symbol: spec for spec in await venue.instruments()}
    assert set(listed) == {BTC, ETH}
    assert (listed[BTC].base, listed[BTC].quote, listed[BTC].tick_size) == ("BTC", "USDT", 0.01)


async def test_history_pages_through_closed_candles_only() -> None:
    with VenueServer(generated(["BTCUSDT"], minutes=5000)) as server:
        async with server.venue() as venue:
            now = int(server.now())
            found = await history(venue, BTC, now - 2400 * 60, now + 600)
        rows = server.candles["BTCUSDT"]
    times = [candle.open_time for candle in found]
    assert times == list(range(times[0], times[-1] + 60, 60))
    assert times[-1] + 60 <= now, "the forming candle was taken for closed"
    assert len(found) >= 2399
    assert [values(candle) for candle in found[-5:]] == [tuple(one) for one in rows[rows[:, 0] <= times[-1]][-5:]]
    assert sum("klines" in path for _, path, _ in server.requests) >= 3


async def test_a_changed_forming_candle_changes_nothing(still: VenueServer) -> None:
    async with still.venue() as venue:
        now = int(still.now())
        before = await history(venue, BTC, now - 600, now)
        at = int(np.searchsorted(still.candles["BTCUSDT"][:, 0], now, side="right")) - 1
        still.candles["BTCUSDT"][at, 1:5] *= 3
        assert (await history(venue, BTC, now - 600, now))[: len(before)] == before


async def test_history_goes_on_over_a_hole_and_in_other_timeframes() -> None:
    candles = generated(["BTCUSDT"], minutes=600)
    candles["BTCUSDT"] = np.delete(candles["BTCUSDT"], slice(100, 140), axis=0)
    with VenueServer(candles) as server:
        async with server.venue() as venue:
            start, now = int(candles["BTCUSDT"][0, 0]), int(server.now())
            found = await history(venue, BTC, start, now)
            quarters = await history(venue, BTC, start, now, "15m")
    assert np.diff([candle.open_time for candle in found]).max() == 41 * 60
    assert all(candle.open_time % 900 == 0 and candle.open_time + 900 <= now for candle in quarters)


async def test_an_unknown_symbol_and_an_unknown_venue_say_so(still: VenueServer) -> None:
    async with still.venue() as venue:
        with pytest.raises(UnknownSymbolError, match="DOGE/XYZ"):
            await history(venue, "DOGE/XYZ", 0, 60)
        with pytest.raises(UnknownSymbolError, match="DOGE/XYZ"):
            await listen(venue, ["DOGE/XYZ"], bool)
    with pytest.raises(UnknownVenueError, match="no venue 'nowhere'"):
        open_venue("nowhere")
    with pytest.raises(VenueError, match="channels"):
        open_venue("binance", channels=["gossip"])


async def test_too_many_requests_are_obeyed(still: VenueServer) -> None:
    async with still.venue() as venue:
        await venue.instruments()
        now = int(still.now())
        still.script(RestFault(status=429, headers={"Retry-After": "2"}))
        with pytest.raises(VenueError, match="too many requests") as refused:
            await history(venue, BTC, now - 600, now)
        assert refused.value.retry_after == 2
        assert not refused.value.permanent
        sent = len(still.requests)
        with pytest.raises(VenueError, match="paused") as paused:
            await history(venue, BTC, now - 600, now)
        assert len(still.requests) == sent, "a request left although the venue had asked for a pause"
        await asyncio.sleep(paused.value.retry_after or 0)
        assert len(await history(venue, BTC, now - 600, now)) >= 9


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (RestFault(status=503, body="{}"), "503"),
        (RestFault(status=418, headers={"Retry-After": "1"}), "418"),
        (RestFault(status=502, body="<html><h1>Bad gateway</h1></html>"), "502"),
        (RestFault(status=200, body="<!DOCTYPE html><p>hello</p>"), "web page"),
        (RestFault(status=200, body='{"what": 1}'), "candle time is None"),
        (RestFault(status=200, body='[["soon","1","1","1","1","1"]]'), "candle time is None"),
        (RestFault(status=200, body='[[60000,"NaN","1","1","1","1"]]'), "not a"),
        (RestFault(status=200, body="[[60000,1,1,1,1,1],[60000,1,1,1,1,1]]"), "ascending"),
        (RestFault(status=200, body="[[60000,1,1]]"), "not a number"),
        (RestFault(status=200, body="[" * 3000), "not a list"),
    ],
)
async def test_broken_answers_are_one_kind_of_error(still: VenueServer, fault: RestFault, says: str) -> None:
    async with still.venue() as venue:
        await venue.instruments()
        still.script(fault)
        with pytest.raises(VenueError, match=says):
            await history(venue, BTC, 0, 600)


async def test_nobody_there_is_a_passing_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with open_venue("binance", base_url=f"http://127.0.0.1:{port}") as venue:
        with pytest.raises(VenueError) as nobody:
            await venue.instruments()
    assert not nobody.value.permanent
    with VenueServer(generated(["BTCUSDT"])) as server:
        async with server.venue(ws_url=f"ws://127.0.0.1:{port}/stream") as venue:
            with pytest.raises(VenueError, match="socket failed"):
                await listen(venue, [BTC], bool)


async def test_an_outage_opens_the_circuit_and_ends(still: VenueServer) -> None:
    async with still.venue() as venue:
        await venue.instruments()
        sent = len(still.requests)
        still.script(RestFault(status=500, body="{}", times=3))
        now = int(still.now())
        for _ in range(20):
            with pytest.raises(VenueError):
                await history(venue, BTC, now - 600, now)
        assert len(still.requests) == sent + 3
        assert venue.breaker.refused == 17


async def test_a_slow_drip_is_cut_off(still: VenueServer) -> None:
    async with still.venue(timeout_s=1) as venue:
        await venue.instruments()
        still.script(drip_s=30.0)
        started = time.monotonic()
        with pytest.raises(VenueError, match="RequestTimeout"):
            await history(venue, BTC, 0, 600)
        assert time.monotonic() - started < 5


async def test_skew_is_measured(still: VenueServer) -> None:
    async with still.venue() as venue:
        assert abs(await venue.clock_skew() or 0) < 0.5
        still.script(skew_s=90.0)
        assert await venue.clock_skew() == pytest.approx(90, abs=0.5)


async def test_funding_and_open_interest_of_perpetuals(still: VenueServer) -> None:
    async with still.venue(market_types=["spot", "linear"]) as venue:
        assert {Capability.FUNDING, Capability.OPEN_INTEREST} <= venue.facts.capabilities
        (rate,) = await venue.funding(["BTC/USDT:USDT"])
        (interest,) = await venue.open_interest(["BTC/USDT:USDT"])
        assert rate.rate == 0.0001
        assert rate.next_at is not None
        assert rate.next_at > still.now()
        assert interest.amount == 1234.5
        with pytest.raises(VenueError):
            await venue.funding([BTC])


# -- sockets


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


async def test_a_closing_frame_is_an_event_within_a_moment(still: VenueServer) -> None:
    async with still.venue(channels=["candles"]) as venue:
        await venue.instruments()
        open_time = int(still.now()) // 60 * 60
        arrived: list[float] = []

        def enough(seen: list[VenueEvent]) -> bool:
            arrived.append(time.time())
            return len(closed(seen)) == 2

        hearing = asyncio.create_task(listen(venue, [BTC, ETH], enough))
        await asyncio.to_thread(still.subscribed, STREAM)
        written = await asyncio.to_thread(still.close_minute, open_time)
        await hearing
    assert arrived[-1] - min(written.values()) < 0.25


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
        cut = asyncio.create_task(after(1.5, lambda: quick.close_sockets(code)))
        started = time.monotonic()
        with pytest.raises(VenueError, match="socket") as lost:
            await listen(venue, [BTC], lambda _: False)
        assert not lost.value.permanent
        assert time.monotonic() - started < 5
        await cut
        again = closed(await listen(venue, [BTC], lambda seen: len(closed(seen)) >= 2))
    assert values(again[0]) == row(quick, again[0])


async def test_an_ended_stream_asks_for_nothing_more() -> None:
    with VenueServer(generated([f"C{n:02d}USDT" for n in range(30)])) as server:
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
