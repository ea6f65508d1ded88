"""Every venue keeps the promises of `Venue`."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from markets.values import Ohlcv, VenueEvent
from markets.venues import VENUES, Capability, UnknownSymbolError, Venue, VenueError, facts_of, open_venue, venue_class
from tests.venue_server import VenueServer
from tests.venue_wire import generated


@dataclass(frozen=True)
class Bench:
    """A venue ready to be examined: how to open it, a symbol it lists, and its clock."""

    open: Callable[[], Venue]
    symbol: str
    now: Callable[[], float]


class FastClock:
    """A clock that jumps ahead by what is slept."""

    def __init__(self) -> None:
        self.at = 1_790_000_000.0

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


@contextmanager
def _simulated(_: Path) -> Iterator[Bench]:
    clock = FastClock()
    yield Bench(lambda: open_venue("simulated", now=clock.now, sleep=clock.sleep), "BTC/USDT", clock.now)


@contextmanager
def _replay(folder: Path) -> Iterator[Bench]:
    times = 1_748_000_040 + 60 * np.arange(300, dtype=np.int64)
    close = 100 + np.sin(np.arange(300))
    rows = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": close}
    path = folder / "test_BTCUSDT.parquet"
    pq.write_table(pa.table({"ts": pa.array(times * 1000, pa.timestamp("ms", "UTC")), **rows}), path)
    live = int(times[-120])
    yield Bench(lambda: open_venue("replay", paths=[path], live_s=120 * 60), "BTC/USDT", lambda: live)


@contextmanager
def _loopback(key: str) -> Iterator[Bench]:
    with VenueServer(generated(["BTCUSD", "ETHUSD"]), play=True, speed=60) as server:
        yield Bench(lambda: server.venue(key, channels=["candles"]), "BTC/USD", server.now)


BENCHES = {"simulated": _simulated, "replay": _replay} | {
    key: lambda _, key=key: _loopback(key) for key in ("binance", "kraken", "coinbase")
}


@pytest.fixture(params=sorted(VENUES))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Each registered venue; a new one without a bench fails here."""
    with BENCHES[request.param](tmp_path) as ready:
        yield ready


async def collect(venue: Venue, symbol: str, start: int, end: int, timeframe: str = "1m") -> list[Ohlcv]:
    return [candle async for page in venue.history(symbol, start, end, timeframe) for candle in page]


async def first(stream: AsyncGenerator[VenueEvent, None], wanted: Callable[[VenueEvent], bool]) -> VenueEvent:
    """The first event that is wanted; the stream is ended."""
    async with asyncio.timeout(60), aclosing(stream):
        async for event in stream:
            if wanted(event):
                return event
    raise AssertionError("the stream ended without it")


@pytest.mark.parametrize("key", [*sorted(VENUES), "bybit"])
def test_facts_are_complete(key: str) -> None:
    facts = facts_of(key)
    assert facts.title
    assert Capability.HISTORY in facts.capabilities
    assert facts.licence
    assert facts.redistribution
    assert facts.limits
    assert facts.market_classes
    assert facts.clock in {"wall", "recording"}
    if facts.real and facts.clock == "wall" and key in VENUES:
        assert facts.terms_url.startswith("https://")
    assert issubclass(venue_class(key), Venue)


def test_only_the_simulated_market_is_unreal() -> None:
    assert [key for key in VENUES if not facts_of(key).real] == ["simulated"]
    assert "simulated" in facts_of("simulated").title.lower()


async def test_instruments_are_whole(bench: Bench) -> None:
    async with bench.open() as venue:
        listed = await venue.instruments()
        assert bench.symbol in [spec.symbol for spec in listed]
        assert len({spec.symbol for spec in listed}) == len(listed)
        for spec in listed:
            assert spec.base
            assert spec.market_class in {"crypto", "forex", "metal", "index", "synthetic"}
            assert spec.calendar in {"always", "fx"}
            assert spec.tick_size >= 0


async def test_history_is_closed_ascending_and_on_the_grid(bench: Bench) -> None:
    async with bench.open() as venue:
        now = int(bench.now())
        found = await collect(venue, bench.symbol, now - 3600, now + 3600)
        times, passed = [candle.open_time for candle in found], int(bench.now()) - now
        assert 55 <= len(found) <= 62 + passed // 60
        assert times == sorted(set(times))
        assert all(time % 60 == 0 for time in times)
        assert times[0] >= now - 3600
        assert times[-1] + 60 <= bench.now() + 1
        for candle in found:
            assert candle.closed
            assert candle.symbol == bench.symbol
            assert candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high


async def test_history_keeps_to_its_window_and_repeats_itself(bench: Bench) -> None:
    async with bench.open() as venue:
        end = int(bench.now()) // 60 * 60 - 600
        found = await collect(venue, bench.symbol, end - 600, end)
        assert [candle.open_time for candle in found] == list(range(end - 600, end, 60))
        assert await collect(venue, bench.symbol, end - 600, end) == found
        assert await collect(venue, bench.symbol, end, end) == []
        quarters = await collect(venue, bench.symbol, end - 3600, end, "15m")
        assert quarters
        assert all(candle.open_time % 900 == 0 for candle in quarters)


async def test_the_stream_brings_a_closed_candle_that_history_confirms(bench: Bench) -> None:
    async with bench.open() as venue:
        event = await first(venue.stream([bench.symbol]), lambda event: isinstance(event, Ohlcv) and event.closed)
        assert isinstance(event, Ohlcv)
        assert event.symbol == bench.symbol
        assert event.open_time % 60 == 0
        assert await collect(venue, bench.symbol, event.open_time, event.open_time + 60) == [event]


async def test_an_unknown_symbol_is_named(bench: Bench) -> None:
    async with bench.open() as venue:
        with pytest.raises(UnknownSymbolError, match="NO/SUCH") as raised:
            await collect(venue, "NO/SUCH", 0, 60)
        assert raised.value.permanent
        with pytest.raises(UnknownSymbolError, match="NO/SUCH"):
            await first(venue.stream(["NO/SUCH"]), bool)


async def test_a_wrong_window_is_refused(bench: Bench) -> None:
    async with bench.open() as venue:
        with pytest.raises(VenueError, match="before it starts"):
            await collect(venue, bench.symbol, 120, 60)


async def test_close_may_be_called_twice(bench: Bench) -> None:
    venue = bench.open()
    await venue.instruments()
    await venue.close()
    await venue.close()


def test_asking_for_facts_loads_no_exchange_library() -> None:
    code = (
        "import sys; from markets.venues import VENUES, facts_of; [facts_of(key) for key in [*VENUES, 'okx']];"
        "print([name for name in ('ccxt', 'django', 'aiohttp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
