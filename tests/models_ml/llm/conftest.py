"""Whom the tests ask about."""

import pytest

from markets.models import Instrument
from tests.factories_market import instruments_of, make_run


@pytest.fixture
def pair(db: None) -> list[Instrument]:
    """Two instruments of a live market."""
    return instruments_of(make_run("live"))
