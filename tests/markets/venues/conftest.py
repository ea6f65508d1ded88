"""Loopback venues."""

from collections.abc import Iterator

import pytest

from tests.venue_server import VenueServer
from tests.venue_wire import generated


@pytest.fixture
def still() -> Iterator[VenueServer]:
    """A venue in real time that only sends what the test pushes."""
    with VenueServer(generated(["BTCUSDT", "ETHUSDT"])) as server:
        yield server


@pytest.fixture
def quick() -> Iterator[VenueServer]:
    """A venue that tells a minute each second."""
    with VenueServer(generated(["BTCUSDT", "ETHUSDT"]), play=True, speed=60) as server:
        yield server
