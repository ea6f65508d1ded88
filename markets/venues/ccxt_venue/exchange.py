"""A ccxt exchange object that tells us what ccxt keeps to itself.

ccxt is imported inside `build` only: it costs seconds, and only the feed process pays them. The subclass made there

* asks the circuit breaker before each REST request and reads `Retry-After`, status and web pages from each answer,
* reports a lost socket at once (ccxt reconnects silently when nobody happens to be waiting for a message),
* survives garbage frames: an exception in ccxt's frame handler would end its receive loop and leave a deaf socket,
* refuses an answer whose candles cannot be read, where ccxt would return none,
* hands over Binance's raw klines, whose closed flag ccxt drops.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog
from prometheus_client import Counter

from markets.values import Ohlcv
from markets.venues.base import UnknownSymbolError, UnknownVenueError, VenueError
from markets.venues.ccxt_venue import parse
from markets.venues.ccxt_venue.breaker import Breaker

BINANCE_IDS = frozenset({"binance", "binanceus", "binanceusdm", "binancecoinm"})
"""Exchanges whose kline events carry the closed flag and whose handler we hook."""
GARBAGE_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, VenueError)
"""What a malformed frame or answer makes ccxt's parsers raise."""
GARBAGE_IN_A_ROW = 10
KEEP_ALIVE_MS = 10_000
SAMPLE_CHARS = 500

Exchange = Any  # ccxt ships no types
UNREADABLE = Counter("candor_venue_unreadable_frames_total", "Frames of a venue that made no sense")
log = structlog.get_logger(__name__)


class Sink(Protocol):
    """Who listens to an exchange's sockets."""

    def kline(self, candle: Ohlcv) -> None:
        """A raw candle with the venue's own closed flag."""

    def lost(self, reason: str) -> None:
        """The socket is gone or useless."""


@dataclass
class FrameCount:
    """Garbage of one venue: how much, how much in a row, the last few samples; and events nobody took in time."""

    bad: int = 0
    streak: int = 0
    dropped: int = 0
    samples: deque[str] = field(default_factory=lambda: deque(maxlen=5))

    def reject(self, frame: object, error: Exception) -> bool:
        """Count a bad frame; True when there were too many in a row."""
        self.bad += 1
        self.streak += 1
        shown = frame if isinstance(frame, str) else type(frame).__name__
        self.samples.append(f"{type(error).__name__}: {shown[:SAMPLE_CHARS]}")
        UNREADABLE.inc()
        log.warning("frame_unreadable", error=type(error).__name__, sample=shown[:100], in_a_row=self.streak)
        return self.streak >= GARBAGE_IN_A_ROW


def point_at(urls: object, base_url: str | None, ws_url: str | None) -> object:
    """Every URL in ccxt's nested `urls["api"]` moved to another host, its path kept."""
    if isinstance(urls, Mapping):
        return {key: point_at(value, base_url, ws_url) for key, value in urls.items()}
    if not isinstance(urls, str):
        return urls
    target = ws_url if urls.startswith("ws") else base_url
    return urls if target is None else target.rstrip("/") + urlsplit(urls).path


def build(
    exchange_id: str, breaker: Breaker, frames: FrameCount, *, settings: Mapping[str, object], sink: Sink | None = None
) -> Exchange:
    """A ccxt.pro exchange (REST and sockets) with our hooks; raises `UnknownVenueError` for an id ccxt lacks.

    `settings`: `timeout_s`, `market_types`, `base_url`, `ws_url`.
    """
    import ccxt.pro

    if exchange_id not in ccxt.pro.exchanges:
        raise UnknownVenueError(f"no venue {exchange_id!r}: use simulated, replay or a ccxt.pro exchange id")
    kind = type("Hooked", (_Hooks, getattr(ccxt.pro, exchange_id)), {})
    exchange = kind(_config(exchange_id, settings))
    exchange.hook(breaker, frames, sink)
    exchange.has["fetchCurrencies"] = False  # coins and networks are of no use here and cost a request
    exchange.streaming["keepAlive"] = KEEP_ALIVE_MS
    exchange.urls["api"] = point_at(exchange.urls["api"], _url(settings, "base_url"), _url(settings, "ws_url"))
    return exchange


def _url(settings: Mapping[str, object], name: str) -> str | None:
    value = settings.get(name)
    return None if value is None else str(value)


def _config(exchange_id: str, settings: Mapping[str, object]) -> dict[str, object]:
    options: dict[str, object] = {"defaultType": "spot", "watchOrderBookLimit": 100}
    if exchange_id in BINANCE_IDS:
        # Without these ccxt also loads futures, margin pairs and currencies from other hosts.
        types = settings.get("market_types", ("spot",))
        options |= {"fetchMarkets": {"types": list(types)}, "fetchCurrencies": False, "fetchMargins": False}  # type: ignore[call-overload]  # checked by CcxtVenue
    return {"enableRateLimit": True, "timeout": int(float(str(settings["timeout_s"])) * 1000), "options": options}


class _Hooks:
    """Mixed in before the exchange's class, so that its methods come first; `super()` is ccxt."""

    id: str

    def hook(self, breaker: Breaker, frames: FrameCount, sink: Sink | None) -> None:
        """Attach what the hooks report to."""
        self._breaker, self._frames, self._sink = breaker, frames, sink
        self._ended = False

    async def end(self) -> None:
        """Close for good. Book snapshots still waiting for their turn would otherwise be fetched for nobody."""
        self._ended, self._sink = True, None
        await self.close()  # type: ignore[attr-defined]  # ccxt's

    async def fetch(self, url: str, method: str = "GET", headers: object = None, body: object = None) -> object:
        """Every REST request of ccxt passes here."""
        import ccxt

        if self._ended:
            raise VenueError(f"{self.id}: this connection has ended")
        self._breaker.check()
        try:
            answer = await super().fetch(url, method, headers, body)  # type: ignore[misc]  # ccxt's, untyped
        except VenueError as error:
            self._breaker.failed(error.retry_after, at_once=error.retry_after is not None)
            raise
        except ccxt.NetworkError:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return answer

    def on_rest_response(self, code: int, reason: str, url: str, method: str, headers: Any, body: str, *_: Any) -> str:  # noqa: ANN401  # ccxt's signature
        """The only place where ccxt shows an answer's headers together with that answer."""
        where = f"{self.id} {urlsplit(url).path}"
        if code in {418, 429}:
            named = next((value for key, value in headers.items() if key.lower() == "retry-after"), None)
            wait = parse.retry_after(named, time.time())
            raise VenueError(f"{where} answered {code}, too many requests: slow down", retry_after=wait or 1.0)
        if code >= 500:
            raise VenueError(f"{where} answered {code} {reason[:60]}: the venue has trouble")
        if body.lstrip()[:1] == "<":
            raise VenueError(f"{where} answered {code} with a web page instead of data")
        return body.strip()

    def parse_ohlcvs(self, ohlcvs: object, market: object = None, *_: object, **__: object) -> list[Any]:
        """Every candle of an answer, ascending; one that cannot be read must not pass as no candle."""
        rows = [self.parse_ohlcv(row, market) for row in parse.sequence(ohlcvs, "candles")]  # type: ignore[attr-defined]  # ccxt's
        return sorted(rows, key=lambda row: parse.stamp_ms(row[0], "candle time"))

    def client(self, url: str) -> Any:  # noqa: ANN401  # ccxt's client
        """A new socket client gets a frame handler that cannot be killed by a frame."""
        fresh = url not in (getattr(self, "clients", None) or {})
        client = super().client(url)  # type: ignore[misc]  # ccxt's, untyped
        if fresh:
            client.handle_text_or_binary_message = self._guard(client, client.handle_text_or_binary_message)
        return client

    def _guard(self, client: Any, handle: Callable[[Any], None]) -> Callable[[Any], None]:  # noqa: ANN401  # ccxt's client
        import ccxt

        def guarded(data: Any) -> None:  # noqa: ANN401  # text or bytes
            try:
                handle(data)
            except (*GARBAGE_ERRORS, ccxt.BaseError) as error:
                if self._frames.reject(data, error):
                    client.on_error(ccxt.NetworkError(f"{GARBAGE_IN_A_ROW} unusable frames in a row"))
            else:
                self._frames.streak = 0

        return guarded

    def on_close(self, client: Any, code: Any) -> None:  # noqa: ANN401  # ccxt's client
        """The venue closed a socket."""
        super().on_close(client, code)  # type: ignore[misc]  # ccxt's, untyped
        self._report(f"socket closed by the venue with code {code}")

    def on_error(self, client: Any, error: Exception) -> None:  # noqa: ANN401  # ccxt's client
        """A socket failed or could not be opened."""
        super().on_error(client, error)  # type: ignore[misc]  # ccxt's, untyped
        self._report(f"socket failed: {str(error)[:200]}")

    def _report(self, reason: str) -> None:
        if self._sink is not None:
            self._sink.lost(reason)

    def handle_ohlcv(self, client: Any, message: Any, *rest: Any) -> None:  # noqa: ANN401  # ccxt's client and frame
        """On Binance the raw kline goes to the sink before ccxt drops its flag."""
        if self._sink is not None and self.id in BINANCE_IDS:
            market_id, interval, candle = parse.kline_event(message)
            kind = "spot" if self.is_spot_url(client) else "contract"  # type: ignore[attr-defined]  # Binance's
            symbol = self.safe_symbol(market_id, None, None, kind)  # type: ignore[attr-defined]  # ccxt's
            if interval == "1m":
                self._sink.kline(_renamed(candle, symbol))
        super().handle_ohlcv(client, message, *rest)  # type: ignore[misc]  # ccxt's, untyped


def _renamed(candle: Ohlcv, symbol: str) -> Ohlcv:
    return Ohlcv(
        symbol, candle.open_time, candle.open, candle.high, candle.low, candle.close, candle.volume, candle.closed
    )


def translated(error: Exception, venue: str, symbol: str | None = None) -> VenueError:
    """A ccxt error (or what a broken answer made ccxt raise) as ours."""
    import ccxt

    if isinstance(error, VenueError):
        return error
    if isinstance(error, ccxt.BadSymbol) and symbol is not None:
        return UnknownSymbolError(symbol, venue)
    if isinstance(error, ccxt.NotSupported | ccxt.BadRequest | ccxt.AuthenticationError | ccxt.ArgumentsRequired):
        return VenueError(f"{venue} refused the request: {str(error)[:200]}", permanent=True)
    if isinstance(error, ccxt.BaseError):
        return VenueError(f"{venue} failed ({type(error).__name__}): {str(error)[:200]}")
    return parse.PayloadError(f"{venue} answered with something unusable ({type(error).__name__}: {str(error)[:100]})")
