"""The Redis Stream between processes: a writer thread and a reader task each. Redis may lose all of it at any time."""

import asyncio
import random
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
import structlog
from prometheus_client import Counter

KEY = "candor:push"
KEPT = 4096  # entries: minutes of ticks; a reader that was away longer reads rows anyway
BLOCK_MS = 2000
SOCKET_TIMEOUT_S = 6.0  # longer than the blocking read, or redis-py would cut an idle one
QUEUE = 2000  # messages a process holds while Redis is away; stored events are not lost with them
RETRY_S = (0.1, 2.0)

log = structlog.get_logger(__name__)
UNWRITTEN = Counter("candor_push_unwritten_total", "Messages that Redis did not take; stored events are read anyway")
RESETS = Counter("candor_push_resets_total", "Times the push stream was found emptied")


class StreamWriter:
    """Writes messages in the background, so that neither a decision nor a feed ever waits for Redis."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._queue: deque[bytes] = deque(maxlen=QUEUE)
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def offer(self, data: bytes) -> None:
        """Queue one message; where Redis stays away the oldest is forgotten, and readers find the row."""
        with self._wake:
            self._queue.append(data)
            if self._thread is None or not self._thread.is_alive():  # not started yet, or lost in a fork
                self._thread = threading.Thread(target=self._run, name="push-writer", daemon=True)
                self._thread.start()
            self._wake.notify()

    def _run(self) -> None:
        client = redis.Redis.from_url(self._url, socket_timeout=1, socket_connect_timeout=1, protocol=2)
        failures = 0
        while True:
            batch = self._take()
            try:
                self._write(client, batch)
                failures = 0
            except (redis.RedisError, OSError) as error:
                UNWRITTEN.inc(len(batch))
                if not failures:
                    log.warning("push stream cannot be written, readers go by the database", error=str(error))
                failures += 1
                threading.Event().wait(_pause(failures))

    def _take(self) -> list[bytes]:
        with self._wake:
            while not self._queue:
                self._wake.wait()
            batch = list(self._queue)
            self._queue.clear()
        return batch

    def _write(self, client: "redis.Redis", batch: list[bytes]) -> None:
        pipeline = client.pipeline(transaction=False)
        for data in batch:
            pipeline.xadd(KEY, {"m": data}, maxlen=KEPT, approximate=True)
        pipeline.execute()


_writers: dict[str, StreamWriter] = {}


def writer(url: str) -> StreamWriter:
    """This process's writer for a Redis."""
    return _writers.setdefault(url, StreamWriter(url))


class StreamReader:
    """Reads the stream for one process, for ever: every loss of the connection ends in a call of `lost`."""

    def __init__(self, url: str, deliver: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._url, self._deliver, self._lost = url, deliver, lost
        self._last: bytes | None = None
        self._failures = 0

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            client = redis.asyncio.Redis.from_url(
                self._url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=1, protocol=2
            )
            try:
                async with client:
                    await self._read(client)
            except (redis.RedisError, OSError) as error:
                if not self._failures:
                    log.warning("push stream cannot be read, going by the database", error=str(error))
                self._failures += 1
            self._lost()
            await asyncio.sleep(_pause(self._failures))

    async def _read(self, client: "redis.asyncio.Redis") -> None:
        await self._settle(client)
        self._failures = 0
        self._lost()  # what was written while nobody read is in the database
        while True:
            answer: Any = await client.xread({KEY: self._last or b"0-0"}, count=500, block=BLOCK_MS)
            if not answer:
                await self._settle(client)
                continue
            for entry, fields in answer[0][1]:
                self._last = entry
                self._deliver(fields[b"m"])

    async def _settle(self, client: "redis.asyncio.Redis") -> None:
        """Stand at the end of the stream: after a flush, or with a Redis behind in time, it may lie before us."""
        newest: Any = await client.xrevrange(KEY, count=1)
        tail: bytes = newest[0][0] if newest else b"0-0"
        if self._last is not None and _order(tail) < _order(self._last):
            RESETS.inc()
            log.warning("push_stream_was_emptied", stood_at=self._last.decode())
            self._last = tail
        self._last = self._last or tail


def _order(entry: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in entry.split(b"-"))


def _pause(failures: int) -> float:
    low, high = RETRY_S
    return min(low * 2.0 ** min(failures, 10), high) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret
