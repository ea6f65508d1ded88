"""The sandbox as a server on loopback: in a thread of its own, or in the foreground for `python -m billing.sandbox`."""

import asyncio
import contextlib
import secrets
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import structlog
from aiohttp import web

from billing.sandbox import catalog, passing, portal
from billing.sandbox.api.simulation import add_endpoint
from billing.sandbox.deliveries import WAITS_S, Deliveries
from billing.sandbox.faults import Fault, Faults
from billing.sandbox.gate import Gate
from billing.sandbox.pages import routes
from billing.sandbox.pages.frame import CONTEXT, Context, guard
from billing.sandbox.world import Row, Rules, World, public, save
from lib.errors import CandorError

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"
TICK_S = 0.5
START_S = 10.0
T = TypeVar("T")


class SandboxError(CandorError):
    """The sandbox cannot start as it was asked to."""


class Sandbox:
    """One sandbox: `start`, use `url` and `key` with the stripe library, `stop`.

    Args:
        key: the secret key that callers must show; made up where it is empty.
        port: where to listen; 0 takes any free port.
        more_ports: how many ports after `port` may be tried where it is taken.
        file: where the state is kept between runs; None keeps nothing.
        rules: dunning and notice periods.
        waits: seconds before each further webhook attempt.
    """

    def __init__(
        self,
        key: str = "",
        *,
        port: int = 0,
        more_ports: int = 0,
        file: Path | None = None,
        rules: Rules | None = None,
        waits: tuple[float, ...] = WAITS_S,
    ) -> None:
        self.world = World(rules=rules or Rules())
        self.faults = Faults()
        self.file = file
        self.door = _listen(port, more_ports)
        self.port = int(self.door.getsockname()[1])
        self.url = f"http://{HOST}:{self.port}"
        self.world.base_url = self.url
        self._restore()
        account = self.world.table("_account").setdefault("account", {"key": f"sk_test_{secrets.token_hex(24)}"})
        account["key"] = key or account["key"]
        self.key = str(account["key"])
        self._waits = waits
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)

    def _restore(self) -> None:
        if self.file is None or not self.file.exists():
            catalog.seed(self.world)
            portal.default_configuration(self.world)
            return
        try:
            self.world.restore(self.file.read_text())
        except (ValueError, KeyError, OSError) as error:
            raise SandboxError(f"{self.file} cannot be read as a sandbox's state ({error}): move it away") from error

    # --- running

    def start(self) -> "Sandbox":
        """Serve in a thread; returns when requests are answered."""
        self._thread.start()
        self._ready.result(START_S)
        return self

    def stop(self) -> None:
        """Stop serving and write the state; a second call does nothing."""
        if self._loop and self._ended and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(timeout=5)

    def __enter__(self) -> "Sandbox":
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self.serve())

    async def serve(self) -> None:
        """Serve until `stop`."""
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self.deliveries = Deliveries(self.world, self._waits)
        self.world.told = self.deliveries.told
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, self.door).start()
        await self.deliveries.open()
        ticking = asyncio.create_task(self._tick())
        self._ready.set_result(None)
        try:
            await self._ended.wait()
        finally:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
            await runner.cleanup()
            await self.deliveries.close()
            self._save()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[guard])
        app[CONTEXT] = Context(self.world, self.deliveries)
        app.router.add_route("*", "/v1/{rest:.*}", Gate(self.world, self.key, self.faults).handle)
        app.add_routes(routes())
        return app

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            passing.catch_up(self.world)
            self._save()

    def _save(self) -> None:
        if self.file is not None and self.world.changed:
            self.world.changed = False
            save(self.world, self.file)

    # --- from other threads: tests and whoever starts it

    def call(self, act: Callable[[], T]) -> T:
        """Run `act` on the sandbox's thread and give back what it returns."""

        async def run() -> T:
            return act()

        if self._loop is None:
            raise SandboxError("the sandbox is not running: call start() first")
        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def listen_to(self, url: str, secret: str | None = None, events: Iterable[str] = ("*",)) -> str:
        """Register a webhook endpoint once; returns its signing secret."""

        def act() -> str:
            for row in self.world.table("webhook_endpoint").values():
                if row["url"] == url and secret in {None, row["_secrets"][0]}:
                    return str(row["_secrets"][0])
            return str(add_endpoint(self.world, url, list(events), secret)["_secrets"][0])

        return self.call(act)

    def listen_alone(self, url: str) -> str:
        """Register an endpoint and take away all others: the site has moved to another port."""
        secret = self.listen_to(url)

        def act() -> None:
            table = self.world.table("webhook_endpoint")
            for row_id in [row["id"] for row in table.values() if row["url"] != url]:
                del table[row_id]

        self.call(act)
        return secret

    def roll_secret(self, url: str) -> str:
        """Give an endpoint a new secret; the old one signs as well, as in Stripe's rotation."""

        def act() -> str:
            row = next(row for row in self.world.table("webhook_endpoint").values() if row["url"] == url)
            row["_secrets"] = [f"whsec_{secrets.token_hex(24)}", *row["_secrets"]][:2]
            return str(row["_secrets"][0])

        return self.call(act)

    def advance(self, seconds: int) -> int:
        """Move the global clock; returns how many things happened."""
        return self.call(lambda: passing.advance(self.world, None, self.world.now() + seconds))

    def now(self) -> int:
        """The global clock, epoch seconds."""
        return self.call(self.world.now)

    def fault(self, kind: str, **more: object) -> Fault:
        """Script misbehaviour (see `faults.Fault`)."""
        rule = Fault(kind, **more)  # type: ignore[arg-type]  # the dataclass checks names, tests give the types
        self.call(lambda: self.faults.rules.append(rule))
        return rule

    def clear_faults(self) -> None:
        """Behave again."""
        self.call(self.faults.rules.clear)

    def hold(self, holding: bool = True) -> None:
        """Collect events instead of sending them; `hold(False)` sends again (not what was collected)."""
        self.call(lambda: setattr(self.deliveries, "holding", holding))

    def held(self) -> list[Row]:
        """Events collected so far, oldest first; they are taken out."""

        def act() -> list[Row]:
            found = [dict(public(event)) for event in self.deliveries.held]
            self.deliveries.held.clear()
            return found

        return self.call(act)

    def deliver(self, events: Iterable[Row]) -> list[int]:
        """Send events to every endpoint in exactly this order, one after the other; returns the statuses."""

        async def run() -> list[int]:
            endpoints = list(self.world.table("webhook_endpoint").values())
            return [await self.deliveries.post(event, endpoint) for event in events for endpoint in endpoints]

        if self._loop is None:
            raise SandboxError("the sandbox is not running: call start() first")
        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(600)

    def settle(self, timeout_s: float = 30.0) -> None:
        """Wait until every webhook was taken or given up."""
        if self._loop is None:
            raise SandboxError("the sandbox is not running: call start() first")
        asyncio.run_coroutine_threadsafe(self.deliveries.settle(), self._loop).result(timeout_s)


def _listen(port: int, more: int) -> socket.socket:
    """A listening socket on loopback.

    Raises:
        SandboxError: no port of the range is free.
    """
    for wanted in range(port, port + more + 1):
        found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((HOST, wanted))
        except OSError:
            found.close()
            continue
        found.listen(256)
        return found
    raise SandboxError(
        f"no port from {port} to {port + more} is free for the sandbox: choose another with SANDBOX_PORT="
    )
