"""One open socket: what waits to be sent to it, and what becomes of one that does not read.

A send to a socket whose buffers have room finishes without waiting, so it needs no task and no queue: the broadcaster
starts it and it is done. Only a socket that is full gets a task, a queue and a deadline until it has caught up.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import Any

from accounts.access import Viewer
from signals.groups import Tier, tier_of

SEND_DEADLINE_S = 5.0
LINGER_S = 5.0  # how long a closed socket may take to read its close frame before the connection is cut
QUEUE_FRAMES = 256
QUEUE_BYTES = 1 << 20

JUNK, SIGNED_OUT, RIGHTS_CHANGED, SLOW, TOO_MANY = 4400, 4401, 4403, 4408, 4429
"""Close codes; docs/api.md says what each asks of a client."""

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Text(str):
    """A frame's text that is encoded once, however many sockets it goes to: ASGI servers call `encode` for each."""

    __slots__ = ("_bytes",)

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """The UTF-8 bytes."""
        try:
            return self._bytes
        except AttributeError:
            self._bytes: bytes = super().encode(encoding, errors)
            return self._bytes


def batched(texts: list[str]) -> Text:
    """One frame for all that is ready."""
    return Text(texts[0]) if len(texts) == 1 else Text('{"type":"batch","frames":[' + ",".join(texts) + "]}")


class Member:
    """A socket that has joined a group.

    Args:
        send: the ASGI server's send.
        abort: cuts the connection without waiting for the peer.
        viewer: what the session's user may see.
        session_key: the session it was opened with, for the re-checks; None for visitors without one.
    """

    __slots__ = (
        "_abort", "_deadline", "_latest", "_pending", "_pending_bytes", "_rest", "_send",
        "checked_at", "closed", "session_key", "tier", "viewer",
    )  # fmt: skip

    def __init__(self, send: Send, abort: Callable[[], None], viewer: Viewer, session_key: str | None = None) -> None:
        self.viewer, self.session_key = viewer, session_key
        self.tier: Tier = tier_of(viewer)
        self.checked_at = asyncio.get_running_loop().time()
        self.closed: int | None = None
        self._send, self._abort = send, abort
        self._pending: deque[str] = deque()
        self._pending_bytes = 0
        self._latest: str | None = None  # prices: only the newest are worth sending
        self._rest: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def stalled(self) -> bool:
        """The peer does not read as fast as we write."""
        return self._rest is not None

    def write(self, text: str, *, droppable: bool = False) -> None:
        """Send a frame now, or queue it while the peer does not read.

        A droppable frame replaces the droppable one that waits; any other is never dropped: when the queue is full
        the socket is closed as slow, and its client reads on from its last event.
        """
        if self.closed is not None:
            return
        if self._rest is None:
            self._start({"type": "websocket.send", "text": text})
        elif droppable:
            self._latest = text
        else:
            self._pending.append(text)
            self._pending_bytes += len(text)
            if len(self._pending) > QUEUE_FRAMES or self._pending_bytes > QUEUE_BYTES:
                self.close(SLOW, "slow client")

    def close(self, code: int, reason: str) -> None:
        """Close with a code; a peer that does not even read that is cut off after a while."""
        if self.closed is not None:
            return
        self.closed = code
        self._forget()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(LINGER_S, self._abort)
        self._rest = loop.create_task(self._finish({"type": "websocket.close", "code": code, "reason": reason}))

    def leave(self) -> None:
        """The connection is gone: nothing more is sent."""
        self.closed = self.closed or 1006
        self._forget()

    def _forget(self) -> None:
        self._pending.clear()
        self._latest = None
        if self._deadline is not None:
            self._deadline.cancel()
        if self._rest is not None:
            self._rest.cancel()

    def _start(self, message: dict[str, Any]) -> None:
        try:
            rest = started(self._send(message))
        except (OSError, RuntimeError):  # what ASGI servers raise for a peer that is gone or a socket that is closed
            self.closed = 1006
            return
        if rest is not None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(SEND_DEADLINE_S, self._expire)
            self._rest = loop.create_task(self._drain(rest))

    async def _drain(self, rest: Awaitable[None]) -> None:
        """Finish the send that did not fit, then what came in the meantime, coalesced; each has its own deadline."""
        loop = asyncio.get_running_loop()
        try:
            await rest
            while (text := self._next()) is not None:
                if self._deadline is not None:
                    self._deadline.cancel()
                self._deadline = loop.call_later(SEND_DEADLINE_S, self._expire)
                await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError):
            self.closed = self.closed or 1006
        finally:
            if self.closed is None or self.closed == 1006:
                if self._deadline is not None:
                    self._deadline.cancel()
                self._rest = self._deadline = None

    def _next(self) -> str | None:
        waiting, self._latest = [*self._pending, *([self._latest] if self._latest else [])], None
        self._pending.clear()
        self._pending_bytes = 0
        return batched(waiting) if waiting else None

    def _expire(self) -> None:
        self.close(SLOW, "slow client")

    async def _finish(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)
        except (OSError, RuntimeError):
            self._abort()


def started(sending: Awaitable[None]) -> Awaitable[None] | None:
    """Run an awaitable to its first wait; None when it finished, else what is left of it, for a task to await.

    What `asyncio.eager_task_factory` does from Python 3.12 on. It suits sends only: until its first wait the code
    runs in the caller's task, so it must not ask for the current task (a timeout or cancel scope would).
    """
    steps = sending.__await__()
    try:
        waited_for = next(steps)
    except StopIteration:
        return None
    return _rest_of(steps, waited_for)


@coroutine
def _rest_of(steps: Generator[Any, Any, None], waited_for: object) -> Generator[Any, Any, None]:
    """Yield what a started coroutine waits for to the task that awaits us, then what it waits for next."""
    try:
        yield waited_for
    except BaseException:  # cancelled: the send is given up
        steps.close()
        raise
    yield from steps
