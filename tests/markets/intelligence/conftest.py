"""A feed server for these tests, and leave to read it."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.feed_server import LOOPBACK, FeedServer, feed_server


@pytest.fixture
def feeds(settings: Settings) -> Iterator[FeedServer]:
    """A running server that FEED_NETWORKS lets us read."""
    settings.FEED_NETWORKS = LOOPBACK
    with feed_server() as server:
        yield server
