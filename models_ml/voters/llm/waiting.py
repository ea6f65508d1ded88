"""The loop that waits for providers: a thread of its own, many calls at once, each cut at its deadline."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from models_ml.voters.llm.client import Account, Client, NoReply, Reply
from models_ml.voters.llm.prompts import Prompt
from models_ml.votes import AbstainReason

log = structlog.get_logger(__name__)

POOL = 64
"""Calls to one provider that are out at the same time; a minute of fifty instruments fits."""


@dataclass(frozen=True, slots=True)
class Heard:
    """How one call ended: a reply, or why there is none."""

    reply: Reply | None
    latency_ms: float
    reason: AbstainReason | None = None
    detail: str = ""
    retry_after_s: float | None = None


Open = Callable[[Account], Client]


class WaitingRoom:
    """Asks without being waited for. `ask` may be called from any thread; futures never raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients: dict[tuple[Open, Account], tuple[Client, asyncio.Semaphore]] = {}

    def ask(
        self, open_client: Open, account: Account, prompt: Prompt, until: float, delay_s: float = 0.0
    ) -> "Future[Heard]":
        """Put one question after `delay_s`; the answer, or DEADLINE at `until` (`time.monotonic()`)."""
        question = self._ask(open_client, account, prompt, until, delay_s)
        return asyncio.run_coroutine_threadsafe(question, self._running())

    def warm(self, open_client: Open, account: Account) -> None:
        """Make the client now: its library takes a second to set up."""
        asyncio.run_coroutine_threadsafe(self._made(open_client, account), self._running()).result(30)

    def close(self) -> None:
        """Close every connection and end the thread; the next question starts another."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None or not thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)

    def _running(self) -> asyncio.AbstractEventLoop:
        """The loop, started by the first question of this process; a fork inherits none."""
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                self._loop, self._clients = asyncio.new_event_loop(), {}
                self._thread = threading.Thread(target=self._loop.run_forever, name="language-models", daemon=True)
                self._thread.start()
            return self._loop

    async def _made(self, open_client: Open, account: Account) -> tuple[Client, asyncio.Semaphore]:
        """The client of this account, made once; its library is imported beside the loop, not on it."""
        key = open_client, account
        if key not in self._clients:
            client = await asyncio.to_thread(open_client, account)
            self._clients.setdefault(key, (client, asyncio.Semaphore(POOL)))
        return self._clients[key]

    async def _ask(self, open_client: Open, account: Account, prompt: Prompt, until: float, delay_s: float) -> Heard:
        started = time.monotonic()
        try:
            async with asyncio.timeout_at(until):
                client, places = await self._made(open_client, account)
                await asyncio.sleep(max(delay_s, 0.0) - (time.monotonic() - started))
                async with places:
                    started = time.monotonic()
                    reply = await client.ask(prompt)
        except TimeoutError:
            return Heard(None, _ms(started), AbstainReason.DEADLINE, "deadline")
        except NoReply as error:
            return Heard(None, _ms(started), error.reason, error.detail, error.retry_after_s)
        except Exception as error:  # noqa: BLE001  # two foreign libraries on hostile input: a seat fails, no round does
            log.warning("language_model_failed", model=account.model, error=type(error).__name__)
            return Heard(None, _ms(started), AbstainReason.FAILED, type(error).__name__)
        return Heard(reply, _ms(started))

    async def _end(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        for client, _ in clients:
            await client.close()


def _ms(started: float) -> float:
    return (time.monotonic() - started) * 1000
