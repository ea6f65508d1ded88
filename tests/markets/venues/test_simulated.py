"""The simulated market: repeatable, consistent with itself, and without a predictable direction."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import numpy as np
import pytest

from markets.values import BookTop, Ohlcv, PriceTick, Trade, VenueEvent
from markets.venues import UnknownSymbolError, VenueError
from markets.venues.simulated import ANCHOR_DAY, DAY_S, TICKERS, Series, SimulatedVenue

NOON = 1_790_000_000 // DAY_S * DAY_S + DAY_S // 2


class FastClock:
    """A clock that jumps ahead by exactly what is slept."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


def simulated(at: float = NOON, seed: int = 7) -> SimulatedVenue:
    clock = FastClock(at)
    sleep: Callable[[float], Awaitable[object]] = clock.sleep
    return SimulatedVenue("simulated", seed=seed, now=clock.now, sleep=sleep)


async def collect(venue: SimulatedVenue, symbol: str, start: int, end: int, timeframe: str = "1m") -> list[Ohlcv]:
    return [candle async for page in venue.history(symbol, start, end, timeframe) for candle in page]


async def events_of_a_minute(venue: SimulatedVenue, symbols: list[str]) -> list[VenueEvent]:
    seen: list[VenueEvent] = []
    closed = 0
    async for event in venue.stream(symbols):
        seen.append(event)
        closed += isinstance(event, Ohlcv)
        if closed == len(symbols):
            break
    return seen


async def test_every_access_path_gives_the_same_candles() -> None:
    span = (NOON - 3 * DAY_S, NOON)
    whole = await collect(simulated(), "BTC/USDT", *span)
    other = simulated()
    late = await collect(other, "BTC/USDT", NOON - 3600, NOON)
    early = await collect(other, "BTC/USDT", span[0], NOON - 3600)
    assert early + late == whole
    assert [candle.open_time for candle in whole] == list(range(span[0], span[1], 60))


async def test_stream_says_what_history_says_afterwards() -> None:
    venue = simulated(NOON)
    closed = [event for event in await events_of_a_minute(venue, ["ETH/USDT", "EUR/USD"]) if isinstance(event, Ohlcv)]
    for candle in closed:
        assert await collect(venue, candle.symbol, NOON, NOON + 60) == [candle]


async def test_after_a_sleep_of_the_machine_the_stream_goes_on_from_now() -> None:
    clock = FastClock(NOON)
    stream = SimulatedVenue("simulated", now=clock.now, sleep=clock.sleep).stream(["BTC/USDT"])
    async with aclosing(stream):
        await anext(stream)
        clock.at += 8 * 3600
        ticks = [event.at async for event in until_ticks(stream, 6)]
    assert ticks[-1] >= NOON + 8 * 3600
    assert len([at for at in ticks if at < NOON + 8 * 3600]) <= 1


async def until_ticks(stream: AsyncIterator[VenueEvent], count: int) -> AsyncIterator[PriceTick]:
    """The next `count` price ticks."""
    async for event in stream:
        if isinstance(event, PriceTick):
            yield event
            count -= 1
        if count == 0:
            return


async def test_a_forming_candle_is_in_no_history() -> None:
    assert [c.open_time for c in await collect(simulated(NOON + 59), "BTC/USDT", NOON - 60, NOON + 600)] == [NOON - 60]
    assert await collect(simulated(NOON + 200), "BTC/USDT", NOON, NOON + 600, "5m") == []


async def test_trades_of_a_minute_make_up_its_candle() -> None:
    events = await events_of_a_minute(simulated(NOON), ["SOL/USDT"])
    trades = [event for event in events if isinstance(event, Trade)]
    (candle,) = (event for event in events if isinstance(event, Ohlcv))
    prices = [trade.price for trade in trades]
    assert (prices[0], max(prices), min(prices), prices[-1]) == (candle.open, candle.high, candle.low, candle.close)
    assert sum(trade.size for trade in trades) == pytest.approx(candle.volume)
    assert len(trades) == 120


async def test_books_stand_around_the_price_of_their_moment() -> None:
    events = await events_of_a_minute(simulated(NOON), ["BTC/USDT"])
    prices = {event.at: event.price for event in events if isinstance(event, PriceTick)}
    books = [event for event in events if isinstance(event, BookTop)]
    assert [book.at - NOON for book in books] == [float(at) for at in range(0, 60, 5)]
    for book in books:
        bids, asks = np.array(book.bids), np.array(book.asks)
        assert bids.shape == asks.shape == (20, 2)
        assert bids[0, 0] < prices[book.at] < asks[0, 0]
        assert (np.diff(bids[:, 0]) < 0).all()
        assert (np.diff(asks[:, 0]) > 0).all()
        assert (bids[:, 1] > 0).all()


async def test_candles_are_possible_and_on_the_tick() -> None:
    for symbol, ticker in TICKERS.items():
        rows = np.array(
            [(c.open, c.high, c.low, c.close, c.volume) for c in await collect(simulated(), symbol, NOON - DAY_S, NOON)]
        )
        assert (rows[:, 1] >= rows[:, [0, 3]].max(axis=1)).all()
        assert (rows[:, 2] <= rows[:, [0, 3]].min(axis=1)).all()
        assert (rows > 0).all()
        assert np.allclose(
            rows[:, :4] / ticker.spec.tick_size, np.round(rows[:, :4] / ticker.spec.tick_size), atol=1e-3
        )
        assert (rows[1:, 0] == rows[:-1, 3]).all(), "a minute opens where the last one closed, over midnight too"


async def test_higher_timeframes_fold_the_minutes() -> None:
    minutes = await collect(simulated(), "BTC/USDT", NOON - 3600, NOON)
    (hour,) = await collect(simulated(), "BTC/USDT", NOON - 3600, NOON, "1h")
    assert (hour.open, hour.close) == (minutes[0].open, minutes[-1].close)
    assert hour.high == max(candle.high for candle in minutes)
    assert hour.volume == pytest.approx(sum(candle.volume for candle in minutes))


def test_volatility_clusters_and_direction_does_not() -> None:
    start = (NOON // DAY_S - 60) * DAY_S
    _, rows = Series(TICKERS["BTC/USDT"], 7).candles(start, start + 60 * DAY_S)
    returns = np.diff(np.log(rows[:, 3]))
    signs, sizes = np.sign(returns), np.abs(returns)
    deviations = np.sqrt(len(returns))
    assert abs(signs.mean()) * deviations < 4
    for lag in (1, 2, 5, 60):
        assert abs((signs[lag:] * signs[:-lag]).mean()) * deviations < 4
        assert np.corrcoef(sizes[lag:], sizes[:-lag])[0, 1] > 0.05
    assert np.corrcoef(rows[1:, 4], sizes)[0, 1] > 0.5, "volume rises with volatility"
    kurtosis = ((returns / returns.std()) ** 4).mean()
    assert kurtosis > 5, "tails are fat"


def test_days_before_the_anchor_join_as_well() -> None:
    series = Series(TICKERS["ETH/USDT"], 7)
    _, rows = series.candles((ANCHOR_DAY - 2) * DAY_S, (ANCHOR_DAY + 1) * DAY_S)
    assert (rows[1:, 0] == rows[:-1, 3]).all()
    assert rows[2 * 1440, 0] == TICKERS["ETH/USDT"].price


async def test_seeds_and_symbols_differ() -> None:
    mine = await collect(simulated(seed=1), "BTC/USDT", NOON - 600, NOON)
    other = await collect(simulated(seed=2), "BTC/USDT", NOON - 600, NOON)
    assert mine != other
    eth = await collect(simulated(seed=1), "ETH/USDT", NOON - 600, NOON)
    ups = [[c.close > c.open for c in candles] for candles in (mine, eth)]
    assert ups[0] != ups[1]


async def test_wrong_options_give_one_clear_error() -> None:
    with pytest.raises(UnknownSymbolError, match="DOGE/USDT"):
        SimulatedVenue("simulated", symbols=["DOGE/USDT"])
    with pytest.raises(VenueError, match="seed -1"):
        SimulatedVenue("simulated", seed=-1)
    with pytest.raises(VenueError, match="swap them"):
        await collect(simulated(), "BTC/USDT", NOON, NOON - 60)
