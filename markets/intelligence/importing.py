"""Files of headlines, events and index values into the store: each file whole or not at all."""

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from lib.clock import wall_now
from markets.intelligence import FeedError, reader_of
from markets.intelligence.fear_greed import number
from markets.intelligence.items import LONGEST, IndexItem, Items, Options
from markets.intelligence.json_feed import MAPPING, add
from markets.intelligence.storing import store

BIGGEST = 20 * LONGEST
"""Bytes of a file at most."""
LINES = MAPPING | {"url": "link", "published": "published", "source": "source", "observed": "observed_at"}
"""Names in JSON lines: `title`, `link` or `url`, `published`, `source`, `language`, `observed_at`."""
CALENDARS = {".csv": "calendar_csv", ".json": "calendar_json", ".ics": "calendar_ics"}


@dataclass(frozen=True, slots=True)
class ImportedWords:
    """What became of one file."""

    file: str
    read: int
    new: int
    skipped: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def import_headlines(path: Path, *, source: str = "", lag: timedelta | None = None) -> ImportedWords:
    """Headlines of one file: RSS or Atom (.xml, .rss, .atom), JSON Feed (.json), CSV or JSON lines (.csv, .jsonl).

    Without `lag` what does not say when it was observed is observed now.

    Raises:
        FeedError: a wrong file; nothing of it was stored.
    """
    body = _bytes(path)
    readers: dict[str, Callable[[bytes], Items]] = {
        ".jsonl": _lines,
        ".csv": _table,
        ".json": lambda body: reader_of("json_feed")(body, {}),
        **dict.fromkeys((".xml", ".rss", ".atom"), lambda body: reader_of("rss")(body, {})),
    }
    if path.suffix not in readers:
        raise FeedError(f"{path.name}: use one of {', '.join(readers)}")
    return _stored(path, lambda: readers[path.suffix](body), source, lag=lag)


def import_calendar(
    path: Path, *, source: str = "", options: Options | None = None, ahead: timedelta | None = None
) -> ImportedWords:
    """Events of one .csv, .json or .ics file; without `ahead` they are known from now on.

    Raises:
        FeedError: a wrong file; nothing of it was stored.
    """
    body = _bytes(path)
    if path.suffix not in CALENDARS:
        raise FeedError(f"{path.name}: use one of {', '.join(CALENDARS)}")
    return _stored(path, lambda: reader_of(CALENDARS[path.suffix])(body, options or {}), source, ahead=ahead)


def import_index(path: Path, *, key: str = "", column: str = "value", after_days: int = 0) -> ImportedWords:
    """Daily values of one CSV file (`date` and a column), or of an answer in alternative.me's shape (.json).

    Args:
        path: the file.
        key: name of the index, the file's own by default.
        column: which column of the CSV file.
        after_days: a value is known at the start of its day (UTC) and so many days: 1 for what is known at the close.

    Raises:
        FeedError: a wrong file; nothing of it was stored.
    """
    body, name = _bytes(path), (key or path.stem)[:40]
    if path.suffix == ".json":
        return _stored(path, lambda: reader_of("fear_greed")(body, {"key": name}), name)
    if path.suffix != ".csv":
        raise FeedError(f"{path.name}: use .csv or .json")
    return _stored(path, lambda: _values(body, name, column, timedelta(days=after_days)), name)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > BIGGEST:
            raise FeedError(f"{path.name}: more than {BIGGEST:,} bytes, split the file")
        return path.read_bytes()
    except OSError as error:
        raise FeedError(f"{path}: {error.strerror or 'cannot be read'}") from error


def _stored(
    path: Path,
    read: Callable[[], Items],
    source: str,
    *,
    lag: timedelta | None = None,
    ahead: timedelta | None = None,
) -> ImportedWords:
    try:
        items = read()
    except FeedError as error:
        raise FeedError(f"{path.name}: {error}") from error
    if not len(items):
        why = ", ".join(f"{count} {reason}" for reason, count in items.skipped.items()) or "it is empty"
        raise FeedError(f"{path.name}: nothing to store ({why})")
    done = store(items, source or path.stem[:80], wall_now(), lag=lag, ahead=ahead)
    return ImportedWords(str(path), done.read, done.new, items.skipped)


def _lines(body: bytes) -> Items:
    items = Items()
    try:
        rows = [json.loads(line) for line in body.decode("utf-8-sig").splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise FeedError(f"not JSON lines ({type(error).__name__})") from error
    for row in rows:
        _add(items, row)
    return items


def _table(body: bytes) -> Items:
    items, rows = Items(), _rows(body)
    if not rows or "title" not in rows[0]:
        raise FeedError("no column 'title'")
    for row in rows:
        _add(items, row)
    return items


def _add(items: Items, row: object) -> None:
    named = isinstance(row, dict) and "link" not in row
    add(items, row, LINES | {"url": "url"} if named else LINES)


def _rows(body: bytes) -> list[dict[str, Any]]:
    try:
        return list(csv.DictReader(body.decode("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FeedError(f"not a readable CSV file ({type(error).__name__})") from error


def _values(body: bytes, key: str, column: str, later: timedelta) -> Items:
    items, rows = Items(), _rows(body)
    for name in ("date", column):
        if not rows or name not in rows[0]:
            raise FeedError(f"no column {name!r}")
    for row in rows:
        value = number(row[column])
        try:
            day = date.fromisoformat(str(row["date"]))
        except ValueError:
            day = None
        if day is None or value is None:
            items.skip("no value with a day")
            continue
        items.indexes.append(IndexItem(key, day, value, datetime.combine(day, time(), UTC) + later))
    return items
