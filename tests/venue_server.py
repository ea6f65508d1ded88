"""A venue on loopback: Binance's spot REST and WebSocket, for the real ccxt, with scripted misbehaviour.

Shapes as documented at https://developers.binance.com/docs/binance-spot-api-docs (REST: general and market data
endpoints; sockets: kline, trade and diff-depth streams); tests/venue_dialects.py adds what Kraken and Coinbase need.
Runs in its own thread and event loop:

    with VenueServer(generated(["BTCUSDT"]), play=True) as server:
        venue = server.venue()

`play=True` tells the candles by the server's clock, which runs `speed` times as fast as the wall clock; without it the
test pushes each frame itself. `script(...)` sets what goes wrong from then on.
"""

import asyncio
import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from aiohttp import WSCloseCode, WSMsgType, web

from markets.timeframes import TIMEFRAMES, aggregate
from markets.venues import open_venue
from markets.venues.ccxt_venue.client import CcxtVenue
from tests import venue_dialects
from tests import venue_wire as wire
from tests.venue_wire import Book, RestFault, Rows, Script

T = TypeVar("T")


@dataclass(eq=False)
class Socket:
    """One client connection and what it subscribed to."""

    response: web.WebSocketResponse
    request: web.Request
    streams: set[str] = field(default_factory=set)

    async def end(self, code: int) -> None:
        """Close with `code`; 1006 is what a client sees when the connection just breaks."""
        if code == WSCloseCode.ABNORMAL_CLOSURE:
            transport = self.request.transport
            if transport is not None:
                transport.abort()
            return
        await self.response.close(code=code)


class VenueServer:
    """See the module's docstring. All public methods may be called from the test's thread."""

    def __init__(
        self,
        candles: Mapping[str, Rows],
        *,
        books: Mapping[str, Book] | None = None,
        play: bool = False,
        speed: float = 1.0,
        start: float | None = None,
        updates: int = 6,
        seed: int = 0,
    ) -> None:
        self.candles = dict(candles)
        self.books = {
            market_id: wire.made_up_book(float(rows[0, 4]), at)
            for at, (market_id, rows) in enumerate(self.candles.items())
        } | dict(books or {})
        self.requests: list[tuple[float, str, int]] = []  # monotonic time, path and query, status
        self.connections = 0
        self.closings: dict[tuple[str, int], float] = {}  # (market id, open time) → wall time before the socket write
        self._play, self._speed, self._updates = play, speed, updates
        self._started, self._origin = time.time(), time.time() if start is None else start
        self._random = random.Random(seed)
        self._script, self._faults = Script(), list[RestFault]()
        self._sockets: list[Socket] = []
        self._late: list[int] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="venue", daemon=True)
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._port = 0

    # -- the test's side

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the loopback venue did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def rest_url(self) -> str:
        """For `base_url`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def ws_url(self) -> str:
        """For `ws_url`; ccxt tells spot sockets from futures by `/stream` in the URL."""
        return f"ws://127.0.0.1:{self._port}/stream"

    @property
    def port(self) -> int:
        """Where to point a proxy."""
        return self._port

    def venue(self, key: str = "binance", **options: object) -> CcxtVenue:
        """Our adapter (binance, kraken or coinbase), pointed here and reading this server's clock."""
        where = {"base_url": self.rest_url, "ws_url": self.ws_url, "now": self.now}
        venue = open_venue(key, **(where | options))
        assert isinstance(venue, CcxtVenue)
        return venue

    def now(self) -> float:
        """The venue's clock, epoch seconds, without the scripted skew."""
        return self._origin + (time.time() - self._started) * self._speed

    def script(self, *faults: RestFault, **changes: object) -> None:
        """Change what goes wrong from now on; `faults` are queued for the next REST requests."""
        self._script = replace(self._script, **changes)  # type: ignore[arg-type]  # field names are checked by replace
        self._faults.extend(faults)

    def push_candle(self, market_id: str, row: Sequence[float], *, closed: bool = True) -> float:
        """Send one candle to everyone subscribed; the wall time just before the first socket write."""
        return self._call(self._kline(market_id, row, closed=closed))

    def close_minute(self, open_time: int) -> dict[str, float]:
        """Send the closing frames of every market for the minute that opened at `open_time`: id → time of the write."""
        return self._call(self._close_minute(open_time))

    def push_raw(self, text: str) -> None:
        """Send any text to every socket."""
        self._call(self._everyone(text))

    def push_depth(self, market_id: str) -> None:
        """Let the book of `market_id` take its next step."""
        self._call(self._depth(market_id))

    def push_trade(self, market_id: str, price: float, size: float, *, buyer_is_maker: bool = False) -> None:
        """Send one trade, stamped now."""
        self._call(self._trade(market_id, price, size, buyer_is_maker))

    def close_sockets(self, code: int = 1012) -> None:
        """Close every socket with `code` (1006: break the connections)."""
        self._call(self._end_all(code))

    def subscribed(self, *streams: str, within_s: float = 15.0) -> None:
        """Wait until each stream (`btcusdt@kline_1m`) has a socket; fails the test when that takes too long."""
        limit = time.monotonic() + within_s
        while not set(streams) <= {stream for socket in list(self._sockets) for stream in set(socket.streams)}:
            assert time.monotonic() < limit, f"nobody subscribed to {streams} within {within_s} s"
            time.sleep(0.01)

    def row(self, market_id: str, open_time: int) -> Rows:
        """The candle (6,) that opens at `open_time`."""
        rows = self.candles[market_id]
        found: Rows = rows[int(np.searchsorted(rows[:, 0], open_time))]
        return found

    def _call(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    # -- the server's side

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._port = runner.addresses[0][1]
        jobs = [asyncio.create_task(self._cut())] + ([asyncio.create_task(self._tell())] if self._play else [])
        self._ready.set()
        await self._stop.wait()
        for job in jobs:
            job.cancel()
        await self._end_all(1001)
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        response = await self._rest(request)
        self.requests.append((time.monotonic(), request.path_qs, response.status))
        return response

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        for at, fault in enumerate(self._faults):
            if fault.path in request.path:
                self._faults[at : at + 1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                kind = "text/html" if fault.body.startswith("<") else "application/json"
                return web.Response(status=fault.status, headers=fault.headers, text=fault.body, content_type=kind)
        status, answer = self._answer(request.path, request.query)
        if self._script.drip_s:
            return await self._drip(request, json.dumps(answer).encode())
        return web.json_response(answer, status=status)

    async def _drip(self, request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for at in range(0, len(body), max(1, len(body) // 20)):
            await response.write(body[at : at + max(1, len(body) // 20)])
            await asyncio.sleep(self._script.drip_s / 20)
        return response

    def _answer(self, path: str, query: Mapping[str, str]) -> tuple[int, object]:
        spoken = venue_dialects.answer(self, path, query)
        if spoken is not None:
            return spoken
        futures, endpoint = path.startswith("/fapi/"), path.rpartition("/")[2]
        general: dict[str, object] = {"ping": {}, "time": {"serverTime": self._told_ms()}}
        if endpoint in general:
            return 200, general[endpoint]
        if endpoint == "exchangeInfo":
            describe = wire.perpetual if futures else wire.listing
            symbols = [describe(market_id) for market_id in self.candles]
            return 200, {"timezone": "UTC", "serverTime": self._told_ms(), "symbols": symbols}
        market_id = query.get("symbol", "")
        if market_id not in self.candles:
            return 400, {"code": -1121, "msg": "Invalid symbol."}
        answers: dict[str, Callable[[], object]] = {
            "klines": lambda: self._klines(market_id, query),
            "depth": lambda: self.books[market_id].rest(int(query.get("limit", 100))),
            "premiumIndex": lambda: wire.premium(market_id, self._told_ms()),
            "openInterest": lambda: {"symbol": market_id, "openInterest": "1234.500", "time": self._told_ms()},
        }
        if endpoint not in answers:
            return 404, {"code": -1, "msg": f"no endpoint {path}"}
        return 200, answers[endpoint]()

    def _told_ms(self) -> int:
        return int((self.now() + self._script.skew_s) * 1000)

    def _klines(self, market_id: str, query: Mapping[str, str]) -> list[list[object]]:
        rows = self.seen(market_id)
        minutes = TIMEFRAMES[query.get("interval", "1m")]
        times, ohlcv = aggregate(rows[:, 0].astype(np.int64), rows[:, 1:], minutes)
        start = int(query.get("startTime", 0)) / 1000
        until = int(query.get("endTime", 10**15)) / 1000
        limit = min(int(query.get("limit", 500)), 1000)
        chosen = np.flatnonzero((times >= start) & (times <= until))
        chosen = chosen[:limit] if "startTime" in query else chosen[-limit:]
        return [wire.kline_row(int(times[at]), ohlcv[at], minutes) for at in chosen]

    def seen(self, market_id: str) -> Rows:
        """What has happened by now; the last row is the forming candle unless the script hides it."""
        rows, now = self.candles[market_id], self.now()
        over = rows[: int(np.searchsorted(rows[:, 0], now - 60, side="right"))]
        if not self._script.forming_in_rest or len(over) == len(rows) or rows[len(over), 0] > now:
            return over
        share = (now - rows[len(over), 0]) / 60
        return np.vstack([over, wire.forming(rows[len(over)], share)])

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(compress=False)
        await response.prepare(request)
        self.connections += 1
        socket = Socket(response, request)
        self._sockets.append(socket)
        try:
            async for message in response:
                if message.type == WSMsgType.TEXT:
                    await self._request(socket, json.loads(message.data))
        finally:
            self._sockets.remove(socket)
        return response

    async def _request(self, socket: Socket, message: Mapping[str, object]) -> None:
        kraken = venue_dialects.kraken_subscription(message)
        if kraken is not None:
            socket.streams.update(kraken[0])
            for acknowledgement in kraken[1]:
                await socket.response.send_str(acknowledgement)
            return
        streams = message.get("params")
        if not isinstance(streams, list):
            return
        if message.get("method") == "SUBSCRIBE":
            socket.streams.update(streams)
        else:
            socket.streams.difference_update(streams)
        await socket.response.send_str(json.dumps({"result": None, "id": message.get("id")}))

    async def _everyone(self, text: str, stream: str | None = None) -> None:
        if self._script.silent and stream is not None:
            return
        for socket in list(self._sockets):
            if stream is None or stream in socket.streams:
                if stream is not None and self._random.random() < self._script.garbage:
                    await _send(socket, self._random.choice(wire.GARBAGE))
                await _send(socket, text)

    async def _kline(self, market_id: str, row: Sequence[float], *, closed: bool) -> float:
        if market_id in self._script.silent_ids:
            return time.time()
        moved = [row[0] + self._script.future_s, *row[1:]]
        frame = json.dumps(
            {"e": "kline", "E": self._told_ms(), "s": market_id, "k": wire.kline(market_id, moved, closed)}
        )
        written = time.time()
        if closed:
            self.closings.setdefault((market_id, int(row[0])), written)
        await self._everyone(frame, f"{market_id.lower()}@kline_1m")
        plain = venue_dialects.kraken_candle(market_id, moved, self.now())
        await self._everyone(plain, venue_dialects.kraken_stream(market_id))
        return written

    async def _close_minute(self, open_time: int) -> dict[str, float]:
        out: dict[str, float] = {}
        for market_id, rows in self.candles.items():
            at = int(np.searchsorted(rows[:, 0], open_time))
            if at == len(rows) or rows[at, 0] != open_time:
                continue
            for _ in range(self._script.duplicates):
                written = await self._kline(market_id, rows[at].tolist(), closed=True)
                out.setdefault(market_id, written)
            if self._random.random() < self._script.revise:
                row = rows[at].tolist()
                await self._kline(market_id, [*row[:4], round((row[2] + row[3]) / 2, 8), row[5]], closed=True)
        return out

    async def _depth(self, market_id: str) -> None:
        frame = {"e": "depthUpdate", "E": self._told_ms(), "s": market_id, **self.books[market_id].step()}
        if market_id not in self._script.silent_ids:
            for rate in ("", "@100ms", "@1000ms"):
                await self._everyone(json.dumps(frame), f"{market_id.lower()}@depth{rate}")

    async def _trade(self, market_id: str, price: float, size: float, buyer_is_maker: bool) -> None:
        if market_id in self._script.silent_ids:
            return
        at = self._told_ms()
        what = {"s": market_id, "p": f"{price:.8f}", "q": f"{size:.8f}", "T": at, "m": buyer_is_maker, "M": True}
        number = self._random.getrandbits(40)
        await self._everyone(json.dumps({"e": "trade", "E": at, "t": number, **what}), f"{market_id.lower()}@trade")

    async def _end_all(self, code: int) -> None:
        for socket in list(self._sockets):
            await socket.end(code)

    async def _cut(self) -> None:
        """Close sockets at random instants where the script says so."""
        while True:
            await asyncio.sleep(0.05)
            for socket in list(self._sockets):
                if self._random.random() < self._script.cut * 0.05:
                    await socket.end(self._random.choice(self._script.codes))

    async def _tell(self) -> None:
        """Tell the candles by the venue's clock: forming ones, trades and books within the minute, then the close."""
        step_s = 60 / self._updates
        step = int(self.now() / step_s)
        while True:
            step += 1
            await asyncio.sleep(max(step * step_s - self.now(), 0) / self._speed)
            open_time = int((step - 1) * step_s) // 60 * 60
            if step % self._updates == 0:
                await self._announce(open_time)
            else:
                await self._within(open_time, step % self._updates / self._updates)

    async def _announce(self, open_time: int) -> None:
        if self._script.withhold_close:
            return
        self._late.append(open_time)
        if len(self._late) >= max(self._script.shuffle, 1):
            self._random.shuffle(self._late)
            for one in self._late:
                await self._close_minute(one)
            self._late.clear()

    async def _within(self, open_time: int, share: float) -> None:
        for market_id, rows in self.candles.items():
            at = int(np.searchsorted(rows[:, 0], open_time))
            if at < len(rows) and rows[at, 0] == open_time:
                row = wire.forming(rows[at], share)
                await self._kline(market_id, row.tolist(), closed=False)
                await self._trade(market_id, float(row[4]), max(float(row[5]) / self._updates, 1e-5), share > 0.5)
                await self._depth(market_id)


async def _send(socket: Socket, text: str) -> None:
    # A client may vanish between two frames; that is its right.
    with contextlib.suppress(ConnectionError):
        await socket.response.send_str(text)
