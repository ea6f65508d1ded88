"""The ccxt adapter over REST: the real library against the loopback venue."""

import asyncio
import socket
import time

import numpy as np
import pytest

from markets.venues import Capability, UnknownSymbolError, UnknownVenueError, VenueError, open_venue
from tests.markets.venues.hearing import BTC, ETH, history, listen, values
from tests.venue_server import VenueServer
from tests.venue_wire import RestFault, generated


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
        assert times[-1] + 60 <= server.now(), "the forming candle was taken for closed"
    assert times == list(range(times[0], times[-1] + 60, 60))
    assert len(found) >= 2399
    assert [values(candle) for candle in found[-5:]] == [tuple(one) for one in rows[rows[:, 0] <= times[-1]][-5:]]
    assert sum("klines" in path for _, path, _ in server.requests) >= 3


async def test_a_changed_forming_candle_changes_nothing() -> None:
    with VenueServer(generated(["BTCUSDT"]), start=time.time() // 60 * 60 + 10) as server:
        async with server.venue() as venue:
            now = int(server.now())
            before = await history(venue, BTC, now - 600, now + 60)
            rows = server.candles["BTCUSDT"]
            rows[int(np.searchsorted(rows[:, 0], now, side="right")) - 1, 1:5] *= 3
            assert await history(venue, BTC, now - 600, now + 60) == before


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
        still.script(RestFault(status=429, headers={"Retry-After": "4"}))
        with pytest.raises(VenueError, match="too many requests") as refused:
            await history(venue, BTC, now - 600, now)
        assert refused.value.retry_after == 4
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
        assert time.monotonic() - started < 20, "the drip was not cut"


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
