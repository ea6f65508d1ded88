"""The id of a request travels into the tasks that it causes."""

import threading
from collections.abc import Iterator

import pytest
import structlog
from celery import shared_task
from celery._state import _set_task_join_will_block  # type: ignore[attr-defined]  # not in the stubs

from config.processes import start_worker
from lib.sending import send_soon

seen: dict[str, object] = {}
done = threading.Event()


@shared_task(name="tests.config.test_request_ids.look")
def look() -> None:
    """Keep what the log would carry."""
    seen.update(structlog.contextvars.get_contextvars())
    done.set()


@pytest.fixture
def worker() -> Iterator[None]:
    stop = start_worker()
    yield
    stop()
    _set_task_join_will_block(False)  # a worker says so for the whole process, and does not take it back


@pytest.mark.django_db(transaction=True)
def test_a_task_carries_the_id_of_its_request_and_its_own(worker: None) -> None:
    for request_id in ("0123456789abcdef", None):
        seen.clear()
        done.clear()
        with structlog.contextvars.bound_contextvars(**({"request_id": request_id} if request_id else {})):
            send_soon(look)
        assert done.wait(20)
        assert seen.get("request_id") == request_id
        assert seen["task_id"]
