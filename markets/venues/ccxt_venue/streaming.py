"""One run of a venue's sockets: candles, books and trades in one line of events until the connection is lost."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from markets.values import Heartbeat, Ohlcv, VenueEvent
from markets.venues.base import VenueError
from markets.venues.ccxt_venue import parse
from markets.venues.ccxt_venue.closing import ClosingRule
from markets.venues.ccxt_venue.exchange import BINANCE_IDS, GARBAGE_ERRORS, Exchange, FrameCount, translated

log = logging.getLogger(__name__)

CHUNK = 100
"""Symbols a subscription message names at most; Binance allows 200 for books and trades."""
BACKLOG = 20_000
"""Events that may wait. Beyond it forming candles, books and trades are dropped; closed candles never are."""
LOOK_EVERY_S = 0.25
HEARTBEAT_S = 5.0
RETRY_S = 5.0
"""Pause before a book or trade stream that failed on its own is asked for again."""

Confirm = Callable[[str, int], Awaitable[Ohlcv | None]]


class Session:
    """Runs the subscriptions of `symbols` on one fresh exchange object; used once, then closed.

    A fresh object per run is on purpose: ccxt keeps subscriptions, rejections and half-built books of a dead socket.
    """

    def __init__(
        self,
        exchange: Exchange,
        frames: FrameCount,
        symbols: Sequence[str],
        *,
        channels: frozenset[str],
        closing: ClosingRule,
        confirm: Confirm,
        now: Callable[[], float],
        book_every_s: float,
    ) -> None:
        self._exchange, self._frames, self._symbols = exchange, frames, list(symbols)
        self._channels, self._closing, self._confirm, self._now = channels, closing, confirm, now
        self._book_every_s = book_every_s
        self._waiting: deque[VenueEvent] = deque()
        self._wake = asyncio.Event()
        self._lost: VenueError | None = None
        self._book_slots: dict[str, tuple[int, object]] = {}  # symbol → slot and venue time of its last snapshot
        self._hooked = exchange.id in BINANCE_IDS

    async def events(self) -> AsyncGenerator[VenueEvent, None]:
        """Everything that arrives; raises `VenueError` once the connection is lost, after what arrived before it."""
        tasks = [asyncio.create_task(job) for job in self._jobs()]
        try:
            while True:
                while self._waiting:
                    yield self._waiting.popleft()
                if self._lost is not None:
                    raise self._lost
                self._wake.clear()
                await self._wake.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._exchange.end()

    def _jobs(self) -> list[Coroutine[Any, Any, None]]:
        jobs: list[Coroutine[Any, Any, None]] = [self._look()]
        if "candles" in self._channels and self._exchange.has.get("watchOHLCV"):
            jobs += self._watchers("watch_ohlcv", "watchOHLCVForSymbols", self._on_candles, essential=True)
        if "book" in self._channels and self._exchange.has.get("watchOrderBook"):
            jobs += self._watchers("watch_order_book", "watchOrderBookForSymbols", self._on_book, essential=False)
        if "trades" in self._channels and self._exchange.has.get("watchTrades"):
            jobs += self._watchers("watch_trades", "watchTradesForSymbols", self._on_trades, essential=False)
        return jobs

    def _watchers(
        self, method: str, many: str, take: Callable[[Any], None], *, essential: bool
    ) -> list[Coroutine[Any, Any, None]]:
        """One coroutine per subscription message where the exchange takes many symbols at once, else one per symbol."""
        if not self._exchange.has.get(many):
            return [self._watch(partial(self._one, method, symbol), take, essential) for symbol in self._symbols]
        chunks = [self._symbols[at : at + CHUNK] for at in range(0, len(self._symbols), CHUNK)]
        return [self._watch(partial(self._several, method, chunk), take, essential) for chunk in chunks]

    async def _one(self, method: str, symbol: str) -> Any:  # noqa: ANN401  # ccxt's payload
        answer = await getattr(self._exchange, method)(symbol, *(["1m"] if method == "watch_ohlcv" else []))
        return {symbol: {"1m": answer}} if method == "watch_ohlcv" else answer

    async def _several(self, method: str, symbols: list[str]) -> Any:  # noqa: ANN401  # ccxt's payload
        wanted = [[symbol, "1m"] for symbol in symbols] if method == "watch_ohlcv" else symbols
        # Once a second is plenty for a book that is stored every five; Binance's default is ten times that.
        slower = (
            {"watchOrderBookRate": "1000"} if method == "watch_order_book" and self._exchange.id == "binance" else {}
        )
        return await getattr(self._exchange, f"{method}_for_symbols")(wanted, params=slower)

    async def _watch(self, ask: Callable[[], Awaitable[Any]], take: Callable[[Any], None], essential: bool) -> None:
        """Ask for the next payload and pass it on, for ever; failing candles end the session, books are asked again."""
        import ccxt

        while True:
            try:
                payload = await ask()
            except (ccxt.BaseError, *GARBAGE_ERRORS) as error:
                problem = translated(error, self._exchange.id)
                if essential:
                    self._fail(problem)
                log.warning("a stream of %s failed: %s", self._exchange.id, problem)
                if essential or problem.permanent:
                    return
                await asyncio.sleep(problem.retry_after or RETRY_S)
                continue
            try:
                take(payload)
            except VenueError as error:
                self._frames.reject("", error)

    def _on_candles(self, payload: Any) -> None:  # noqa: ANN401  # {symbol: {timeframe: rows}}
        if self._hooked:
            return  # the raw kline came through `kline` already, with its flag
        for symbol, by_timeframe in payload.items():
            for row in by_timeframe["1m"]:
                self._take(parse.candle(symbol, row, closed=False))

    def _on_book(self, payload: Any) -> None:  # noqa: ANN401  # ccxt's order book
        now, told = self._now(), str(payload["symbol"])
        slot = int(now // self._book_every_s)
        if self._book_slots.get(told, (0, None))[0] == slot:
            return
        # One call may stand for several books that changed together: all that moved since their last snapshot are read.
        for symbol in {told, *self._symbols}:
            book = payload if symbol == told else self._exchange.orderbooks.get(symbol)
            taken, stamp = self._book_slots.get(symbol, (0, None))
            if book is None or taken == slot or (symbol != told and book["timestamp"] in {None, stamp}):
                continue
            self._put(parse.book(symbol, book, now))
            self._book_slots[symbol] = (slot, book["timestamp"])

    def _on_trades(self, payload: Any) -> None:  # noqa: ANN401  # ccxt's trades
        for one in payload:
            self._put(parse.trade(one))

    def kline(self, candle: Ohlcv) -> None:
        """A raw candle with the venue's own flag."""
        self._take(candle)

    def lost(self, reason: str) -> None:
        """A socket is gone; the feed decides when to come back."""
        self._fail(VenueError(f"{self._exchange.id}: {reason}"))

    def _take(self, candle: Ohlcv) -> None:
        for one in self._closing.take(candle):
            self._put(one)

    def _put(self, event: VenueEvent) -> None:
        if len(self._waiting) >= BACKLOG and not (isinstance(event, Ohlcv) and event.closed):
            self._frames.dropped += 1
            return
        self._waiting.append(event)
        self._wake.set()

    def _fail(self, problem: VenueError) -> None:
        if self._lost is None:
            self._lost = problem
        self._wake.set()

    async def _look(self) -> None:
        """Ask REST for candles nobody announced, and pass on the venue's pongs as heartbeats."""
        beat = self._now()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            overdue = self._closing.overdue(self._now()) if "candles" in self._channels else []
            await asyncio.gather(*(self._ask(symbol, open_time) for symbol, open_time in overdue))
            pongs = [client.lastPong or 0 for client in (self._exchange.clients or {}).values()]
            latest = max(pongs, default=0) / 1000
            if latest > beat + HEARTBEAT_S:
                beat = latest
                self._put(Heartbeat(latest))

    async def _ask(self, symbol: str, open_time: int) -> None:
        try:
            candle = await self._confirm(symbol, open_time)
        except VenueError as error:
            # Not fatal: the stream may still bring it, and the minute's REST catch-up follows.
            log.info("could not confirm %s at %s: %s", symbol, open_time, error)
            return
        if candle is not None:
            self._put(self._closing.confirmed(candle))
