"""Calendars of scheduled events as CSV or JSON: time, currency, impact, title.

Columns `time` (ISO 8601; without a zone only with the option `timezone`), `currency` (USD, EUR, … or ALL), `impact`
(low, medium, high or 1 to 3), `title`, and where there are any `id` and `observed_at`. Other names are mapped by the
options: `{"time": "date", "currency": "country"}`. Rows that are no event (holidays, no time) are counted.
"""

import csv
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from markets.intelligence.items import (
    LONGEST,
    EventItem,
    FeedError,
    Items,
    Options,
    at_path,
    instant,
    parsed_json,
    plain,
)

NAMES = {name: name for name in ("time", "currency", "impact", "title", "id", "observed_at")}
IMPACTS = {"low": 1, "medium": 2, "moderate": 2, "high": 3, "1": 1, "2": 2, "3": 3}
SETTINGS = frozenset({"timezone", "items", "impact_default"})


def read_csv(body: bytes, options: Options) -> Items:
    """The events of a CSV file with a header.

    Raises:
        FeedError: not UTF-8, too large, or without the columns.
    """
    if len(body) > LONGEST:
        raise FeedError(f"document of {len(body):,} bytes: at most {LONGEST:,} are read")
    try:
        rows = list(csv.DictReader(body.decode("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FeedError(f"not a readable CSV file ({type(error).__name__})") from error
    names = _names(options)
    lacking = [
        names[name] for name in ("time", "currency", "impact", "title") if not rows or names[name] not in rows[0]
    ]
    if lacking:
        raise FeedError(f"no column {lacking[0]!r}: a calendar has time, currency, impact and title, or names them")
    return _events(rows, names, options)


def read_json(body: bytes, options: Options) -> Items:
    """The events of a JSON list of objects, or of the list at the option `items`.

    Raises:
        FeedError: no JSON, or no list there.
    """
    rows = at_path(parsed_json(body), str(options.get("items", "")))
    if not isinstance(rows, list):
        raise FeedError("no list of events: name where it stands in the option 'items'")
    return _events(rows, _names(options), options)


def _names(options: Options) -> dict[str, str]:
    foreign = [name for name in options if name not in NAMES and name not in SETTINGS]
    if foreign:
        raise FeedError(f"option {foreign[0]!r}: use {', '.join([*NAMES, *sorted(SETTINGS)])}")
    return {name: str(options.get(name, name)) for name in NAMES}


def _events(rows: Iterable[Any], names: dict[str, str], options: Options) -> Items:
    items, zone = Items(), zone_of(options)
    for row in rows:
        found = {name: at_path(row, path) for name, path in names.items()}
        add_event(items, found, zone, str(options.get("impact_default", "")))
    return items


def add_event(items: Items, found: dict[str, Any], zone: ZoneInfo | None, impact_default: str = "") -> None:
    """Add one event, or count why it is none."""
    at, title = moment(found["time"], zone), plain(found["title"], 200)
    currency = plain(found["currency"], 20).upper()
    impact = IMPACTS.get((plain(found["impact"], 20) or str(found["impact"] or "") or impact_default).lower())
    for reason, missing in (
        ("no time with a zone", at is None),
        ("no title", not title),
        ("no currency", not currency),
    ):
        if missing:
            items.skip(reason)
            return
    if impact is None or at is None:
        items.skip("no impact of low, medium or high")
        return
    key = plain(str(found.get("id") or ""), 300)
    items.events.append(EventItem(at, currency, impact, title, key, instant(found.get("observed_at"))))


def moment(value: object, zone: ZoneInfo | None) -> datetime | None:
    """A time with its own zone, or a local one in `zone`."""
    at = instant(value)
    if at is not None or zone is None or not isinstance(value, str):
        return at
    try:
        return datetime.fromisoformat(value.strip()).replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        return None


def zone_of(options: Options) -> ZoneInfo | None:
    """The option `timezone`, None where it is not set.

    Raises:
        FeedError: no such zone.
    """
    name = options.get("timezone")
    if not name:
        return None
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError) as error:
        raise FeedError(f"time zone {name!r} is not known: use a name like America/New_York") from error
