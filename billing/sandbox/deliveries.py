"""Webhooks: each event signed and sent to every endpoint that wants it, again with back-off until it is taken.

The signature is Stripe's (docs.stripe.com/webhooks#verify-manually): `t=<wall seconds>,v1=<hex>` with HMAC-SHA256 over
`"<t>.<body>"`; an endpoint in rotation has two secrets and gets two `v1`. Deliveries run beside the API: no answer
waits for them.
"""

import asyncio
import hmac
import json
import time
from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256

import aiohttp
import structlog

from billing.sandbox.api.simulation import fits
from billing.sandbox.world import Row, World, public

log = structlog.get_logger(__name__)

WAITS_S = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)  # seconds of wall time before each further attempt
AT_ONCE = 4
TIMEOUT_S = 10.0
REMEMBERED = 400


def sign(body: bytes, secrets: list[str], at: int) -> str:
    """The `Stripe-Signature` header of a body."""
    marks = [hmac.new(secret.encode(), f"{at}.".encode() + body, sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at}", *(f"v1={mark}" for mark in marks)])


def body_of(event: Row) -> bytes:
    """The bytes that are sent, and signed."""
    return json.dumps(public(event), indent=2).encode()


@dataclass
class Attempt:
    """One try, for the page that lists them."""

    event: str
    kind: str
    url: str
    number: int
    at: float
    answer: str


@dataclass
class Deliveries:
    """Everything that is on its way."""

    world: World
    waits: tuple[float, ...] = WAITS_S
    holding: bool = False
    held: list[Row] = field(default_factory=list)
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    session: aiohttp.ClientSession | None = None
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def open(self) -> None:
        """Begin to send, with what an earlier run left undelivered."""
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        for event in self.world.table("event").values():
            for endpoint in event.get("_waiting", []):
                self._begin(event, endpoint)

    async def close(self) -> None:
        """Stop sending; what waits is kept in the world."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.session:
            await self.session.close()

    def told(self, event: Row) -> None:
        """Take a new event."""
        if self.holding:
            self.held.append(event)
            return
        wanted = [
            row["id"]
            for row in self.world.table("webhook_endpoint").values()
            if row["status"] == "enabled" and any(fits(kind, event["type"]) for kind in row["enabled_events"])
        ]
        event["_waiting"] = wanted
        event["pending_webhooks"] = len(wanted)
        for endpoint in wanted:
            self._begin(event, endpoint)

    def resend(self, event: Row) -> None:
        """Send an event once more to every endpoint."""
        for endpoint in self.world.table("webhook_endpoint"):
            self._begin(event, endpoint)

    def _begin(self, event: Row, endpoint: str) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(event, endpoint))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _deliver(self, event: Row, endpoint_id: str) -> None:
        for number, wait in enumerate((0.0, *self.waits), 1):
            await asyncio.sleep(wait)
            endpoint = self.world.table("webhook_endpoint").get(endpoint_id)
            if endpoint is None:
                break
            async with self.gate:
                status = await self.post(event, endpoint, number)
            if 200 <= status < 300:
                break
        waiting = event.get("_waiting", [])
        if endpoint_id in waiting:
            waiting.remove(endpoint_id)
            event["pending_webhooks"] = len(waiting)
            self.world.changed = True

    async def post(self, event: Row, endpoint: Row, number: int = 1) -> int:
        """Send once; returns the status, 0 where there was none."""
        body = body_of(event)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Candor-Sandbox/1.0",
            "Stripe-Signature": sign(body, endpoint["_secrets"], int(time.time())),
        }
        status, answer = 0, ""
        try:
            if self.session is None:
                raise aiohttp.ClientConnectionError("the sandbox is not running")
            async with self.session.post(endpoint["url"], data=body, headers=headers, allow_redirects=False) as reply:
                await reply.read()
                status, answer = reply.status, str(reply.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            answer = "timed out" if isinstance(error, TimeoutError) else "not reached"
            log.info("sandbox_webhook_failed", url=endpoint["url"], error=type(error).__name__)
        self.attempts.appendleft(Attempt(event["id"], event["type"], endpoint["url"], number, time.time(), answer))
        return status

    async def settle(self) -> None:
        """Wait until nothing is on its way."""
        while self.tasks:
            await asyncio.gather(*self.tasks, return_exceptions=True)
