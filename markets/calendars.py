"""When minutes are due. All times are epoch seconds UTC; a minute is named by its open time."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from lib.clock import MINUTE_S
from lib.errors import CandorError
from markets.values import IntArray

NEW_YORK = ZoneInfo("America/New_York")
CUT = time(17)
"""Currency trading's day ends, and its week begins and ends, at 17:00 in New York, summer and winter."""
METALS_START = time(18)
"""Metals and index contracts pause for the hour after the cut."""

Session = tuple[int, int]


class UnknownCalendarError(CandorError):
    """A calendar outside `CALENDARS`."""


def _always(start: int, end: int) -> Iterator[Session]:
    yield start, end


def _new_york(day: datetime, at: time) -> int:
    return int(datetime.combine(day.date(), at, NEW_YORK).timestamp())


def _sundays(start: int, end: int) -> Iterator[datetime]:
    """Sundays (New York dates) whose trading week may touch [start, end)."""
    first = datetime.fromtimestamp(start, UTC) - timedelta(days=8)
    day = first + timedelta(days=6 - first.weekday())
    while day.timestamp() < end + 2 * 86_400:
        yield day
        day += timedelta(days=7)


def _fx(start: int, end: int) -> Iterator[Session]:
    """Sunday 17:00 to Friday 17:00 New York."""
    for sunday in _sundays(start, end):
        yield _new_york(sunday, CUT), _new_york(sunday + timedelta(days=5), CUT)


def _metals(start: int, end: int) -> Iterator[Session]:
    """As currencies, but each day from 18:00 to 17:00 New York."""
    for sunday in _sundays(start, end):
        for day in range(5):
            at = sunday + timedelta(days=day)
            yield _new_york(at, METALS_START), _new_york(at + timedelta(days=1), CUT)


CALENDARS: dict[str, Callable[[int, int], Iterator[Session]]] = {"always": _always, "fx": _fx, "metals": _metals}
"""Calendar → its open stretches [from, to) around a span, ascending, without overlap."""


def sessions(calendar: str, start: int, end: int) -> list[Session]:
    """The open stretches within [start, end), cut to it; raises `UnknownCalendarError`."""
    try:
        around = CALENDARS[calendar](start, end)
    except KeyError:
        raise UnknownCalendarError(f"unknown calendar {calendar!r}: use one of {', '.join(CALENDARS)}") from None
    cut = ((max(a, start), min(b, end)) for a, b in around)
    return [(a, b) for a, b in cut if a < b]


def is_open(calendar: str, at: int) -> bool:
    """Whether the minute that holds `at` is due."""
    minute = at // MINUTE_S * MINUTE_S
    return bool(sessions(calendar, minute, minute + MINUTE_S))


def open_minutes(calendar: str, start: int, end: int) -> IntArray:
    """Open times (T,) of the due minutes with `start <= open_time < end`, ascending."""
    parts = [np.arange(-(-a // MINUTE_S), -(-b // MINUTE_S), dtype=np.int64) for a, b in sessions(calendar, start, end)]
    return np.concatenate(parts) * MINUTE_S if parts else np.empty(0, np.int64)


def last_open_minutes(calendar: str, until: int, bars: int) -> IntArray:
    """Open times (bars,) of the last due minutes that close at or before `until`."""
    span = bars * MINUTE_S
    while True:
        due = open_minutes(calendar, until - span, until - MINUTE_S + 1)
        if len(due) >= bars:
            return due[-bars:]
        span = span * 2 + 3 * 86_400  # over a weekend
