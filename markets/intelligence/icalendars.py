"""Calendars of scheduled events as iCalendar (RFC 5545).

The currency is `X-CURRENCY`, a category of three letters, or what stands before a colon or space at the head of the
summary ("USD: payrolls"); the impact is `X-IMPACT`, a category low, medium or high, or PRIORITY (1 to 4 high, 5 medium,
6 to 9 low). Events of whole days and repeated ones have no minute of their own and are counted.
"""

import re
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar, Component

from markets.intelligence.calendars import IMPACTS, SETTINGS, add_event, zone_of
from markets.intelligence.items import LONGEST, FeedError, Items, Options

_HEAD = re.compile(r"^\W*([A-Z]{3})\b[\s:\-–]+(.+)$", re.DOTALL)
_CODE = re.compile(r"[A-Z]{3}")


def read(body: bytes, options: Options) -> Items:
    """The events of one file; option `impact_default` for those that name none.

    Raises:
        FeedError: no iCalendar, or too large.
    """
    if foreign := [name for name in options if name not in SETTINGS]:
        raise FeedError(f"option {foreign[0]!r}: use timezone or impact_default")
    if len(body) > LONGEST:
        raise FeedError(f"document of {len(body):,} bytes: at most {LONGEST:,} are read")
    try:
        calendar = Calendar.from_ical(body.decode("utf-8-sig"))
        events = list(calendar.walk("VEVENT"))
    except (ValueError, IndexError, KeyError, RecursionError) as error:
        raise FeedError(f"not a readable iCalendar file ({type(error).__name__}): check the address") from error
    items, zone = Items(), zone_of(options)
    for event in events:
        _add(items, event, zone, str(options.get("impact_default", "")))
    return items


def _add(items: Items, event: Component, zone: ZoneInfo | None, impact_default: str) -> None:
    try:
        start, repeated = event.decoded("DTSTART"), "RRULE" in event
    except (KeyError, ValueError, TypeError):
        items.skip("no time with a zone")
        return
    if repeated or not isinstance(start, datetime):
        items.skip("repeated" if repeated else "a whole day" if isinstance(start, date) else "no time with a zone")
        return
    categories = _categories(event)
    head = _HEAD.match(str(event.get("SUMMARY", "")))
    codes = [word for word in categories if _CODE.fullmatch(word) and word.lower() not in IMPACTS]
    found: dict[str, Any] = {
        "time": start.isoformat(),
        "title": head[2] if head and not codes else str(event.get("SUMMARY", "")),
        "currency": str(event.get("X-CURRENCY", "")) or next(iter(codes), head[1] if head else ""),
        "impact": str(event.get("X-IMPACT", "")) or _impact(event, categories),
        "id": str(event.get("UID", "")),
    }
    add_event(items, found, zone, impact_default)


def _categories(event: Component) -> list[str]:
    found = event.get("CATEGORIES")
    if found is None:
        return []
    rows = found if isinstance(found, list) else [found]
    return [str(word).strip() for row in rows for word in getattr(row, "cats", [row])]


def _impact(event: Component, categories: list[str]) -> str:
    named = next((word.lower() for word in categories if word.lower() in IMPACTS), "")
    priority = int(event.get("PRIORITY", 0))
    return named or ("" if not 1 <= priority <= 9 else "high" if priority < 5 else "medium" if priority == 5 else "low")
