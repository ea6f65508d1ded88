"""The ccxt adapter: any exchange id, REST history with paging, streams, funding and open interest."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

from lib.clock import MINUTE_S, market_now
from markets.values import Ohlcv
from markets.venues.base import (
    Capability,
    Events,
    FundingRate,
    InstrumentSpec,
    OpenInterest,
    Pages,
    UnknownSymbolError,
    Venue,
    VenueError,
    VenueFacts,
    check_window,
)
from markets.venues.ccxt_venue import facts as known
from markets.venues.ccxt_venue import parse
from markets.venues.ccxt_venue.breaker import Breaker
from markets.venues.ccxt_venue.closing import GRACE_S, ClosingRule, closed_only
from markets.venues.ccxt_venue.exchange import BINANCE_IDS, GARBAGE_ERRORS, Exchange, FrameCount, build, translated
from markets.venues.ccxt_venue.streaming import Session

log = logging.getLogger(__name__)

PAGE = 1000
CLOCK_JUMP_S, CLOCK_ANSWER_S = 1.0, 2.0
CHANNELS = frozenset({"candles", "book", "trades"})


def _market_now() -> float:
    return market_now().timestamp()


class _Relay:
    """Passes socket reports to the session, which needs the exchange and so is made after it."""

    session: Session | None = None

    def kline(self, candle: Ohlcv) -> None:
        if self.session is not None:
            self.session.kline(candle)

    def lost(self, reason: str) -> None:
        if self.session is not None:
            self.session.lost(reason)


class CcxtVenue(Venue):
    """Any exchange of ccxt.pro.

    Options: `base_url` and `ws_url` move every REST and socket URL to another host (a loopback server, a proxy);
    `timeout_s` (10) limits one REST request as a whole; `market_types` (("spot",)) what Binance lists: add "linear" for
    perpetuals, which have funding and open interest; `channels` what `stream` subscribes to; `book_every_s` (5) the
    rate at which books are passed on; `grace_s` (1.5) how long after its close an unannounced candle is asked for;
    `now` the clock candles are compared with, the market clock by default.

    A forming candle is passed on with `closed=False`, for the page only.
    """

    def __init__(
        self,
        key: str,
        *,
        base_url: str | None = None,
        ws_url: str | None = None,
        timeout_s: float = 10.0,
        market_types: Sequence[str] = ("spot",),
        channels: Sequence[str] = tuple(CHANNELS),
        book_every_s: float = 5.0,
        grace_s: float = GRACE_S,
        now: Callable[[], float] = _market_now,
    ) -> None:
        if not set(channels) <= CHANNELS:
            raise VenueError(f"channels {sorted(channels)}: choose from {sorted(CHANNELS)}", permanent=True)
        self.key = key
        self.frames = FrameCount()
        self.breaker = Breaker(key)
        self._settings = {
            "base_url": base_url,
            "ws_url": ws_url,
            "timeout_s": timeout_s,
            "market_types": tuple(market_types),
        }
        self._channels, self._book_every_s, self._grace_s, self._now = frozenset(channels), book_every_s, grace_s, now
        self._rest: Exchange = build(key, self.breaker, self.frames, settings=self._settings)
        self._sessions: set[Session] = set()
        self.facts = replace(self.facts_for(key), capabilities=known.offered(self._rest.has))

    @classmethod
    def facts_for(cls, key: str) -> VenueFacts:
        """Facts of a known exchange, or the little that holds for any."""
        return known.KNOWN.get(key) or known.generic(key)

    async def instruments(self) -> list[InstrumentSpec]:
        """Every active market; one that cannot be read is left out and logged."""
        import ccxt

        await self._markets()
        ticks = self._rest.precisionMode == ccxt.TICK_SIZE
        found = []
        for market in self._rest.markets.values():
            if market.get("active") is False or market.get("option"):
                continue
            try:
                spec = parse.instrument(market)
            except VenueError as error:
                log.warning("%s: a market was left out: %s", self.key, error)
                continue
            found.append(spec if ticks else replace(spec, tick_size=0.0))
        return found

    async def _markets(self) -> None:
        if not self._rest.markets:
            await self._call(self._rest.load_markets)

    async def _known(self, symbols: Sequence[str]) -> None:
        await self._markets()
        for symbol in symbols:
            if symbol not in self._rest.markets:
                raise UnknownSymbolError(symbol, self.key)

    async def _call(self, method: Callable[..., Awaitable[Any]], *args: object, symbol: str | None = None) -> Any:  # noqa: ANN401  # ccxt's payload
        """Call ccxt; whatever goes wrong comes out as `VenueError`."""
        import ccxt

        try:
            return await method(*args)
        except (ccxt.BaseError, *GARBAGE_ERRORS) as error:
            raise translated(error, self.key, symbol) from error

    async def history(self, symbol: str, start: int, end: int, timeframe: str = "1m") -> Pages:
        """Closed candles by pages of what the venue allows; a page it leaves empty is stepped over."""
        step = check_window(start, end, timeframe)
        await self._known([symbol])
        limit = self._page(symbol)
        since = -(-start // step) * step
        while since < min(end, self._now()):
            rows = await self._call(self._rest.fetch_ohlcv, symbol, timeframe, since * 1000, limit, symbol=symbol)
            page = [candle for candle in parse.candles(symbol, rows) if candle.open_time >= since]
            closed = [c for c in closed_only(page, step, self._now(), self._grace_s) if c.open_time < end]
            if closed:
                yield closed
            since = page[-1].open_time + step if page else since + limit * step

    def _page(self, symbol: str) -> int:
        """Candles a request may ask for, from ccxt's feature table."""
        market = self._rest.markets[symbol]
        limit = self._rest.feature_value(symbol, "fetchOHLCV", "limit", PAGE) if market else PAGE
        return int(limit or PAGE)

    async def stream(self, symbols: Sequence[str]) -> Events:
        """Candles, books and trades, merged; raises `VenueError` when a socket is lost: call again to reconnect."""
        await self._known(symbols)
        self.frames.streak = 0
        relay = _Relay()
        exchange = build(self.key, self.breaker, self.frames, settings=self._settings, sink=relay)
        exchange.set_markets_from_exchange(self._rest)
        session = Session(
            exchange,
            self.frames,
            symbols,
            channels=self._channels,
            closing=ClosingRule(symbols, flagged=self.key in BINANCE_IDS, started=self._now(), grace_s=self._grace_s),
            confirm=self._confirm,
            now=self._now,
            book_every_s=self._book_every_s,
        )
        relay.session = session
        self._sessions.add(session)
        try:
            async for event in session.events():
                yield event
        finally:
            self._sessions.discard(session)

    async def _confirm(self, symbol: str, open_time: int) -> Ohlcv | None:
        """The candle at `open_time` as REST shows it now that its close is past, None where there is none."""
        rows = await self._call(self._rest.fetch_ohlcv, symbol, "1m", open_time * 1000, 2, symbol=symbol)
        page = closed_only(parse.candles(symbol, rows), MINUTE_S, self._now(), self._grace_s)
        return next((candle for candle in page if candle.open_time == open_time), None)

    async def clock_skew(self) -> float | None:
        """Venue clock minus ours in seconds, half the round trip taken off.

        None where the venue tells no time, took too long to, or our clock was set while it was asked.
        """
        if not self._rest.has.get("fetchTime"):
            return None
        before, began = self._now(), monotonic()
        theirs = parse.stamp_ms(await self._call(self._rest.fetch_time), "venue time") / 1000
        after, took = self._now(), monotonic() - began
        if not -CLOCK_JUMP_S <= after - before <= took + CLOCK_JUMP_S or took > CLOCK_ANSWER_S:
            return None
        if theirs == int(theirs):  # Kraken tells whole seconds: on average half of one has passed since
            theirs += 0.5
        return theirs - (before + after) / 2

    async def funding(self, symbols: Sequence[str]) -> list[FundingRate]:
        """Current funding of perpetuals; raises `VenueError` where the venue has none."""
        self._need(Capability.FUNDING)
        await self._known(symbols)
        return [parse.funding(await self._call(self._rest.fetch_funding_rate, one, symbol=one)) for one in symbols]

    async def open_interest(self, symbols: Sequence[str]) -> list[OpenInterest]:
        """Open interest of perpetuals; raises `VenueError` where the venue has none."""
        self._need(Capability.OPEN_INTEREST)
        await self._known(symbols)
        return [
            parse.open_interest(await self._call(self._rest.fetch_open_interest, one, symbol=one)) for one in symbols
        ]

    def _need(self, capability: Capability) -> None:
        if capability not in self.facts.capabilities:
            raise VenueError(f"{self.key} offers no {capability.value}: see its facts", permanent=True)

    async def close(self) -> None:
        """Close REST and sockets; a running `stream` ends with a `VenueError`."""
        for session in list(self._sessions):
            session.lost("closed by us")
        await self._rest.close()
