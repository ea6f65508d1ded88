"""The platform's own web server on loopback, and readers of its live board, for tests over real sockets."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from django.conf import settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

Frame = dict[str, Any]
PATIENCE_S = 30.0
"""How long what must come is waited for: far longer than it takes, because no machine is always quiet."""


@contextmanager
def serving() -> Iterator[str]:
    """`host:port` of a uvicorn that serves the platform from a thread of its own, as in life."""
    from config.asgi import application

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        config = uvicorn.Config(
            application,
            lifespan="off",
            log_level="error",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        host, port = listener.getsockname()
        try:
            yield f"{host}:{port}"
        finally:
            server.should_exit = True
            thread.join(timeout=15)
            assert not thread.is_alive(), "the server did not stop"


class Reader:
    """One reader of the board; `frames` holds what it was told, batches taken apart, without prices and pings."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[Frame] = []
        self.ephemeral: list[Frame] = []
        self._looked_at = 0

    async def hello(self, last_event_id: int | None) -> Frame:
        """Greet, and wait for the greeting."""
        await self.connection.send(json.dumps({"type": "hello", "last_event_id": last_event_id}))
        return await self.until("hello")

    async def until(self, kind: str, *, within: float = PATIENCE_S) -> Frame:
        """The next frame of a kind after the one found before; AssertionError where none comes."""
        try:
            async with asyncio.timeout(within):
                while True:
                    while self._looked_at < len(self.frames):
                        frame = self.frames[self._looked_at]
                        self._looked_at += 1
                        if frame["type"] == kind:
                            return frame
                    self._read(json.loads(await self.connection.recv()))
        except TimeoutError:
            raise AssertionError(f"no {kind} within {within} s, but {self.frames}") from None

    async def reads(self, enough: Callable[[], bool]) -> None:
        """Read until there is enough; AssertionError where that never comes."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not enough():
                    self._read(json.loads(await self.connection.recv()))
        except TimeoutError:
            raise AssertionError(f"not enough within {PATIENCE_S} s, but {self.frames} {self.ephemeral}") from None

    async def listen(self, seconds: float) -> None:
        """Read for so long: for what must not come."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self._read(json.loads(await self.connection.recv()))
        except TimeoutError:
            pass

    def ids(self, kind: str) -> list[int]:
        """Ids of the frames of a kind, in the order they came."""
        return [frame["id"] for frame in self.frames if frame["type"] == kind]

    def _read(self, frame: Frame) -> None:
        for each in frame["frames"] if frame["type"] == "batch" else [frame]:
            (self.ephemeral if each["type"] in {"prices", "ping"} else self.frames).append(each)


@asynccontextmanager
async def reading(
    address: str, session: str | None = None, *, origin: str | None = "http://127.0.0.1", max_queue: int = 16
) -> AsyncIterator[Reader]:
    """A reader connected to `address`, with a session's cookie where one is given."""
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"} if session else {}
    async with connect(
        f"ws://{address}/ws/board/",
        origin=Origin(origin) if origin else None,
        additional_headers=headers,
        compression=None,
        max_size=None,
        max_queue=max_queue,
    ) as connection:
        yield Reader(connection)
