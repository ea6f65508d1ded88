"""What the code under test logged."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

Logged = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """The event dictionaries logged so far under a name, on any thread and whichever test used the logger first.

    `structlog.testing.capture_logs` swaps the processors of the newest `configure`; a logger cached before that call
    keeps its own and is not heard.
    """
    caplog.set_level(logging.INFO)
    return lambda event: [
        record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == event
    ]
