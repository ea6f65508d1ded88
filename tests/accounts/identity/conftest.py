"""Fixtures of the identity tests."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.core.cache import cache

from accounts.models import User
from tests.accounts.identity.doing import PERIOD_S, Browser, signed_in
from tests.factories import make_organization, make_user


@pytest.fixture(autouse=True)
def fresh_limits() -> Iterator[None]:
    """Rate limits and used codes live in the cache, which outlives a test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def steady() -> Iterator[time_machine.Traveller]:
    """A clock that has just entered a period of the authenticator app, so that no test ends in the next one."""
    start = (int(time.time()) // PERIOD_S + 1) * PERIOD_S
    with time_machine.travel(datetime.fromtimestamp(start, UTC)) as traveller:
        yield traveller


@pytest.fixture
def ada(db: None) -> User:
    """Owns an organization."""
    user = make_user("ada@lovelace.example", "Ada")
    make_organization(user, "Engines")
    return user


@pytest.fixture
def browser(ada: User) -> Browser:
    """Ada's, signed in."""
    return signed_in(ada)
