"""Which minutes are due, over weekends and the dates on which clocks change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from markets.calendars import UnknownCalendarError, is_open, last_open_minutes, open_minutes

NEW_YORK = ZoneInfo("America/New_York")


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("first_closed", "first_open"),
    [
        ("2026-01-09 22:00", "2026-01-11 22:00"),  # winter
        ("2026-03-06 22:00", "2026-03-08 21:00"),  # summer time begins on the Sunday
        ("2026-07-03 21:00", "2026-07-05 21:00"),  # summer
        ("2026-10-30 21:00", "2026-11-01 22:00"),  # summer time ends on the Sunday
        ("2027-01-01 22:00", "2027-01-03 22:00"),  # the year's end
    ],
)
def test_the_currency_week_follows_new_york(first_closed: str, first_open: str) -> None:
    closed, opened = utc(first_closed), utc(first_open)
    assert [is_open("fx", at) for at in (closed - 60, closed, opened - 60, opened)] == [True, False, False, True]
    minutes = open_minutes("fx", closed - 600, opened + 600)
    assert len(minutes) == 20
    assert (minutes[9], minutes[10]) == (closed - 60, opened)


def test_metals_pause_for_an_hour_a_day() -> None:
    pause = utc("2026-07-01 21:00")
    assert [is_open("metals", pause + s) for s in (-60, 0, 3540, 3600)] == [True, False, False, True]
    assert not is_open("metals", utc("2026-07-05 21:30"))


@pytest.mark.parametrize("day", ["2028-02-29", "2026-12-31", "2026-03-08", "2026-11-01"])
def test_always_is_every_minute(day: str) -> None:
    start = utc(f"{day} 00:00")
    assert np.array_equal(open_minutes("always", start, start + 86_400), np.arange(start, start + 86_400, 60))


@settings(max_examples=150, deadline=None)
@given(st.integers(1_500_000_000, 1_900_000_000), st.integers(0, 20_000))
def test_currency_minutes_are_those_new_york_would_name(start: int, minutes: int) -> None:
    found = set(open_minutes("fx", start, start + minutes * 60).tolist())
    first = -(-start // 60) * 60
    for at in range(first, start + minutes * 60, 60 * 97):
        local = datetime.fromtimestamp(at, NEW_YORK)
        closed = local.weekday() == 5 or (local.weekday() == 4 and local.hour >= 17)
        closed |= local.weekday() == 6 and local.hour < 17
        assert (at in found) is not closed
        assert is_open("fx", at) is not closed


def test_last_minutes_reach_over_a_weekend() -> None:
    sunday = utc("2026-01-11 22:00")
    found = last_open_minutes("fx", sunday + 300, 10)
    assert len(found) == 10
    assert found[-1] == sunday + 240
    assert found[4] == utc("2026-01-09 21:59")
    assert last_open_minutes("always", 600, 3).tolist() == [420, 480, 540]


def test_unknown_calendars_are_named() -> None:
    with pytest.raises(UnknownCalendarError, match="'tokyo': use one of always, fx"):
        is_open("tokyo", 0)
