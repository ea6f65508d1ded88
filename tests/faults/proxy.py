"""A TCP proxy that breaks things on purpose: in front of Redis, PostgreSQL, a venue, or anything else on a port.

    with FaultProxy("127.0.0.1", 6379) as proxy:
        client = connect("127.0.0.1", proxy.port)
        proxy.set(Mode.BLACK_HOLE)

Runs in its own thread and event loop. A mode holds for open and new connections alike, until the next `set`.
"""

import asyncio
import threading
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

CHUNK = 65_536


class Mode(Enum):
    """What the proxy does with bytes."""

    OK = "ok"
    RESET = "reset"  # cut open connections, refuse new ones
    BLACK_HOLE = "black hole"  # accept everything, deliver nothing
    LATENCY = "latency"  # deliver `delay_s` late
    CUT = "cut"  # deliver `after` more bytes, then break the connections


class FaultProxy:
    """See the module's docstring; `connections` counts accepted clients."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._mode, self._delay_s, self._left = Mode.OK, 0.0, 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop, self._open = threading.Event(), asyncio.Event(), asyncio.Event()
        self._open.set()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self.port = 0
        self.connections = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the fault proxy did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def set(self, mode: Mode, *, delay_s: float = 0.0, after: int = 0) -> None:
        """Switch to `mode`; returns once it holds."""
        done = threading.Event()

        def switch() -> None:
            self._mode, self._delay_s, self._left = mode, delay_s, after
            if mode is Mode.BLACK_HOLE:
                self._open.clear()
            else:
                self._open.set()
            if mode is Mode.RESET:
                self._break()
            done.set()

        self._loop.call_soon_threadsafe(switch)
        assert done.wait(5), "the fault proxy did not switch"

    def _break(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._mode = Mode.OK
        self._open.set()
        self._break()
        # Broken connections end their own tasks; cancelling them instead would be logged as errors.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=2)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._mode is Mode.RESET:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, back}
        self._writers |= pair
        try:
            await asyncio.wait(
                [asyncio.create_task(self._pump(reader, back)), asyncio.create_task(self._pump(there, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for one in pair:
                one.close()
            self._writers -= pair

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                await self._open.wait()
                if self._mode is Mode.LATENCY:
                    await asyncio.sleep(self._delay_s)
                if self._mode is Mode.CUT:
                    data, self._left = data[: self._left], self._left - len(data)
                writer.write(data)
                await writer.drain()
                if self._mode is Mode.CUT and self._left <= 0:
                    self._break()
                    return
