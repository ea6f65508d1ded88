"""Loopback venues."""

from collections.abc import Iterator

import pytest

from tests.venue_server import VenueServer
from tests.venue_wire import generated


@pytest.fixture
def still() -> Iterator[VenueServer]:
    """A venue that only sends what the test pushes; its clock stands, so that no minute ends while a test listens."""
    with VenueServer(generated(["BTCUSDT", "ETHUSDT"]), speed=0) as server:
        yield server


@pytest.fixture
def quick() -> Iterator[VenueServer]:
    """A venue that tells a minute each second."""
    with VenueServer(generated(["BTCUSDT", "ETHUSDT"]), play=True, speed=60) as server:
        yield server
