"""Tasks leave for the broker in the background: neither a feed, a decision nor a page waits for Redis."""

import contextvars
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from celery import Task, current_app
from django.conf import settings
from kombu import Connection
from kombu.exceptions import OperationalError
from prometheus_client import Counter

from lib.clock import wall_now

log = structlog.get_logger(__name__)
UNSENT = Counter("candor_tasks_unsent_total", "Tasks that the broker did not take", ["task"])

QUEUE = 1000  # tasks a process holds while the broker is away; the sweeper finds what the oldest were for
ANSWER_S = 1
"""What the broker may take for one task; the workers' own connections are more patient."""
IMPATIENT = {"socket_timeout": ANSWER_S, "socket_connect_timeout": ANSWER_S, "max_retries": 0}
"""Of a connection that says soon that it cannot; kombu's own would try again for ever."""


@dataclass(frozen=True)
class Letter:
    """One task on its way, with the log's context of the one who sent it."""

    task: "Task[Any, Any]"
    args: tuple[object, ...]
    kwargs: dict[str, object]
    options: dict[str, Any]
    expires: datetime | None
    context: contextvars.Context


def _connection() -> Connection:
    return current_app.connection_for_write(transport_options=IMPATIENT, connect_timeout=ANSWER_S)


class Sender:
    """The thread of one process that speaks to the broker.

    Args:
        connect: makes an impatient connection.
    """

    def __init__(self, connect: Callable[[], Connection] = _connection) -> None:
        self._connect = connect
        self._letters: deque[Letter] = deque(maxlen=QUEUE)
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._failing = False

    def offer(self, letter: Letter) -> None:
        """Queue one task; returns at once."""
        with self._wake:
            if len(self._letters) == QUEUE:
                UNSENT.labels(self._letters[0].task.name).inc()
            self._letters.append(letter)
            if self._thread is None or not self._thread.is_alive():  # not started yet, or lost in a fork
                self._connection = None
                self._thread = threading.Thread(target=self._run, name="task-sender", daemon=True)
                self._thread.start()
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._letters:
                    self._wake.wait()
                letter = self._letters.popleft()
            if letter.expires is None or letter.expires > wall_now():
                letter.context.run(self._send, letter)
            else:
                UNSENT.labels(letter.task.name).inc()

    def _send(self, letter: Letter) -> None:
        try:
            self._connection = self._connection or self._connect()
            options = letter.options | {"connection": self._connection}
            letter.task.apply_async(letter.args, letter.kwargs, **options)
        except (OperationalError, redis.RedisError, OSError) as error:
            UNSENT.labels(letter.task.name).inc()
            if not self._failing:
                log.warning("tasks_unsent", task=letter.task.name, error=str(error)[:200])
            self._failing = True
            if self._connection is not None:
                self._connection.release()
            self._connection = None
        else:
            self._failing = False


_sender = Sender()


def send_soon(
    task: "Task[Any, Any]",
    args: tuple[object, ...] = (),
    kwargs: dict[str, object] | None = None,
    *,
    expires_s: float | None = None,
) -> None:
    """Hand a task to the broker without waiting for it.

    Where the broker is away the task is lost and counted: what must happen is found in the database by a sweeper.

    Args:
        task: what is to run.
        args, kwargs: its arguments; ids.
        expires_s: seconds from now after which it is not worth running any more; None for never.
    """
    expires = None if expires_s is None else wall_now() + timedelta(seconds=expires_s)
    options: dict[str, Any] = {} if expires is None else {"expires": expires}
    if not settings.REDIS_URL:  # the queue is in this process and takes it at once
        task.apply_async(args, kwargs or {}, **options)
        return
    _sender.offer(Letter(task, args, kwargs or {}, options, expires, contextvars.copy_context()))
