"""Fixtures of the whole suite."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app

from config.processes import QUEUES

pytest_plugins = [
    "tests.asked",
    "tests.billing.shop",
    "tests.database",
    "tests.logged",
    "tests.people",
    "tests.sharing",
    "tests.smtp_sink",
    "tests.trained",
]


def data_folder() -> Path:
    """Where recorded market data lies: `CANDOR_DATA`, by default beside the checkout."""
    return Path(os.environ.get("CANDOR_DATA", Path(__file__).parents[1] / "../shared/data")).resolve()


@pytest.fixture(scope="session")
def candor_data() -> Path:
    """The folder of recorded data; a test that needs it is skipped where it is absent, but never under CI."""
    folder = data_folder()
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"recorded data not found at {folder}: set CANDOR_DATA")
        pytest.skip(f"recorded data not found at {folder}: set CANDOR_DATA")
    return folder


@pytest.fixture(autouse=True)
def empty_broker() -> Iterator[None]:
    """No test finds the tasks that others left in the broker in memory: health counts them."""
    yield
    with current_app.connection_for_write() as broker:
        channel: Any = broker.default_channel  # of a virtual transport
        for name in QUEUES:
            channel.queue_purge(name)
