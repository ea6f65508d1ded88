"""The two clocks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import clock

NOON = datetime(2025, 5, 20, 12, 0, 30, 123, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_clock() -> Iterator[None]:
    yield
    clock.release()


def test_the_wall_clock_is_aware_and_now() -> None:
    assert clock.wall_now().tzinfo is UTC
    assert abs(clock.wall_now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_market_clock_is_the_wall_clock_until_it_follows_another() -> None:
    assert abs(clock.market_now() - clock.wall_now()) < timedelta(seconds=5)
    clock.follow(lambda: NOON)
    assert clock.market_now() == NOON
    assert clock.wall_now() != NOON, "sessions, tokens and limits never follow a recording"
    clock.release()
    assert abs(clock.market_now() - clock.wall_now()) < timedelta(seconds=5)


def test_epoch_seconds_are_whole_and_zone_free() -> None:
    assert clock.epoch(NOON) == 1_747_742_430
    assert clock.epoch(NOON.astimezone(timezone(timedelta(hours=9)))) == clock.epoch(NOON)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="attach a time zone"):
        clock.epoch(datetime(2025, 5, 20, 12))  # noqa: DTZ001  # the fault under test


@given(st.integers(0, 4_000_000_000))
def test_there_and_back(seconds: int) -> None:
    assert clock.epoch(clock.from_epoch(seconds)) == seconds
    minute = clock.floor_minute(clock.from_epoch(seconds))
    assert clock.epoch(minute) == seconds // clock.MINUTE_S * clock.MINUTE_S
