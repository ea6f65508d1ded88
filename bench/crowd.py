"""A thousand readers of the live board in a process of their own: when did the last of them have a minute's rounds?

A reader is a bare protocol over one buffer that all share, so that the figures speak of the server. It looks into a
frame until it has found the rounds, and notes the time when the frame is complete.
"""

import asyncio
import base64
import json
import os
import re
import sys
import time
from collections import defaultdict
from functools import partial

from bench.rig import raise_file_limit

ROUNDS = re.compile(rb'"type":"rounds","id":\d+,"close_time":(\d+),')
MARK = b'"type":"rounds"'
MARK_BYTES = 80
"""What `ROUNDS` matches is never longer: so much of a chunk is looked at again with the next one."""
SHARED = bytearray(1 << 20)
VIEW = memoryview(SHARED)
PING, TEXT = 9, 1
EXTENDED = {126: 4, 127: 10}


class Arrivals:
    """Close time → wall times at which readers had the whole frame."""

    def __init__(self) -> None:
        self.at: dict[int, list[float]] = defaultdict(list)
        self.bytes = 0
        self.closed = 0


class Reader(asyncio.BufferedProtocol):
    """One socket."""

    def __init__(self, cookie: str, arrivals: Arrivals) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._cookie, self._arrivals = cookie, arrivals
        self._shaken = b""  # the answer to the hand-shake, until it is complete
        self._open = False
        self._head, self._need, self._left, self._opcode = bytearray(), 2, 0, 0
        self._found: int | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            "GET /ws/board/ HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Cookie: {self._cookie}\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        """The server closed it, or we did."""
        self._arrivals.closed += 1
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("closed before it was greeted"))

    def get_buffer(self, sizehint: int) -> memoryview:
        """The buffer of all readers: what arrives is read at once."""
        return VIEW

    def buffer_updated(self, nbytes: int) -> None:
        """Read what came."""
        now = time.time()
        at = 0 if self._open else self._shake(nbytes)
        while at < nbytes:
            at = self._payload(at, nbytes, now) if self._left else self._header(at, nbytes)

    def _shake(self, size: int) -> int:
        """Where the first frame begins; all of it while the answer is incomplete."""
        before = len(self._shaken)
        self._shaken += bytes(VIEW[:size])
        end = self._shaken.find(b"\r\n\r\n")
        if end < 0:
            return size
        assert self._shaken.startswith(b"HTTP/1.1 101"), self._shaken[:200]
        self._open = True
        self._send(0x80 | TEXT, b'{"type":"hello","last_event_id":null}')
        return end + 4 - before

    def _header(self, at: int, end: int) -> int:
        take = min(self._need - len(self._head), end - at)
        self._head += VIEW[at : at + take]
        if len(self._head) < self._need:
            return at + take
        if self._need == 2 and (need := EXTENDED.get(self._head[1] & 127)):
            self._need = need
            return at + take
        size = int.from_bytes(self._head[2:]) if self._need > 2 else self._head[1] & 127
        self._opcode, self._left, self._found, self._rest = self._head[0] & 15, size, None, b""
        self._head.clear()
        self._need = 2
        if not self.ready.done():
            self.ready.set_result(None)
        return at + take

    def _payload(self, at: int, end: int, now: float) -> int:
        take = min(self._left, end - at)
        self._arrivals.bytes += take
        if self._opcode == TEXT and self._found is None:
            self._look(at, at + take)
        elif self._opcode == PING:
            self._rest += bytes(VIEW[at : at + take])
        self._left -= take
        if not self._left:
            if self._found is not None:
                self._arrivals.at[self._found].append(now)
            elif self._opcode == PING:
                self._send(0x80 | 10, self._rest)
        return at + take

    def _look(self, start: int, end: int) -> None:
        """Look for the rounds' close time in this part of a frame, and over the seam to the part before."""
        seam = self._rest + bytes(VIEW[start : min(start + MARK_BYTES, end)])
        hit = ROUNDS.search(seam)
        if hit is None and (place := SHARED.find(MARK, start, end)) >= 0:
            hit = ROUNDS.search(bytes(VIEW[place : min(place + MARK_BYTES, end)]))
        self._found = int(hit[1]) if hit else None
        self._rest = bytes(VIEW[max(start, end - MARK_BYTES) : end])

    def _send(self, head: int, payload: bytes) -> None:
        mask = b"\0\0\0\0"  # masked by nothing: allowed, and free
        self._transport.write(bytes([head, 0x80 | len(payload)]) + mask + payload)


async def connect(port: int, count: int, cookies: list[str], arrivals: Arrivals) -> None:
    """`count` greeted readers, signed in by turns."""
    loop = asyncio.get_running_loop()
    for start in range(0, count, 50):
        some = [Reader(cookies[number % len(cookies)], arrivals) for number in range(start, min(start + 50, count))]
        for reader in some:
            await loop.create_connection(partial(_same, reader), "127.0.0.1", port)
        await asyncio.wait_for(asyncio.gather(*(reader.ready for reader in some)), 60)


def _same(reader: Reader) -> Reader:
    return reader


async def wait_for(close_time: int, count: int, within_s: float, arrivals: Arrivals) -> dict[str, float]:
    """The arrivals of a minute's rounds once all readers have them, or what came in time."""
    limit = time.monotonic() + within_s
    while len(arrivals.at[close_time]) < count and time.monotonic() < limit:  # noqa: ASYNC110  # nobody says when
        await asyncio.sleep(0.02)
    came = sorted(arrivals.at.pop(close_time)) or [float("nan")]
    size, arrivals.bytes = arrivals.bytes, 0
    return {"count": len(came), "first": came[0], "last": came[-1], "bytes": size, "closed": arrivals.closed}


async def main(port: int, count: int) -> None:
    """Read cookies, connect, then answer `<close time> <seconds>` lines."""
    raise_file_limit()
    loop, arrivals = asyncio.get_running_loop(), Arrivals()
    cookies = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    began = time.monotonic()
    await connect(port, count, cookies, arrivals)
    print(json.dumps({"connected": count, "seconds": time.monotonic() - began}), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        close_time, within = line.split()
        print(json.dumps(await wait_for(int(close_time), count, float(within), arrivals)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
