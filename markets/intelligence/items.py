"""What a document of a feed comes down to, and the one error of those that cannot be read. Pure."""

import html
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from lib.errors import CandorError

LONGEST = 5_000_000
"""Bytes of a document at most."""
MOST = 1_000
"""Items read of one polled document; a feed that has more is read from its head."""
TITLE, ADDRESS = 300, 500
"""Characters kept."""

_TAG = re.compile(r"<[^>]{0,1000}>")


class FeedError(CandorError):
    """A document that cannot be fetched or read. It names its input and what to do."""


@dataclass(frozen=True, slots=True)
class HeadlineItem:
    """One line of news; `published` and `observed` are None where the source does not say."""

    title: str
    url: str = ""
    source: str = ""
    language: str = ""
    published: datetime | None = None
    observed: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventItem:
    """One scheduled event; impact 1 to 3."""

    time: datetime
    currency: str
    impact: int
    title: str
    key: str = ""
    observed: datetime | None = None


@dataclass(frozen=True, slots=True)
class IndexItem:
    """A day's value of the index `key`; `known` is when it was published."""

    key: str
    day: date
    value: float
    known: datetime


@dataclass(slots=True)
class Items:
    """What one document held, and how many entries of it could not be used, by reason."""

    headlines: list[HeadlineItem] = field(default_factory=list)
    events: list[EventItem] = field(default_factory=list)
    indexes: list[IndexItem] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: str) -> None:
        """Count one unusable entry."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def __len__(self) -> int:
        return len(self.headlines) + len(self.events) + len(self.indexes)


Options = Mapping[str, Any]
Read = Callable[[bytes, Options], Items]
"""(document, the adapter's options) → what it holds; raises `FeedError`."""


def plain(text: object, length: int = TITLE) -> str:
    """Text without tags, entities, control and invisible characters, spaces collapsed, cut to `length`."""
    if not isinstance(text, str):
        return ""
    bare = _TAG.sub(" ", html.unescape(text[: 20 * length]))
    kept = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in bare)
    return " ".join(kept.split())[:length].rstrip()


def address(text: object) -> str:
    """An http(s) address, else nothing: what cannot be opened is not kept."""
    url = text.strip() if isinstance(text, str) else ""
    return url if url.startswith(("http://", "https://")) and len(url) <= ADDRESS and not re.search(r"\s", url) else ""


def instant(value: object) -> datetime | None:
    """An ISO 8601 or RFC 822 time with a zone, or epoch seconds; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _from_seconds(float(value))
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip()
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        return _from_seconds(float(text))
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
            return found.astimezone(UTC) if found.tzinfo else None
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _from_seconds(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def parsed_json(body: bytes) -> Any:  # noqa: ANN401  # any JSON value
    """The document as JSON.

    Raises:
        FeedError: it is none, in another encoding than UTF-8, or nested beyond reason.
    """
    if len(body) > LONGEST:
        raise FeedError(f"document of {len(body):,} bytes: at most {LONGEST:,} are read")
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FeedError(f"not a JSON document ({type(error).__name__}): check the address and the adapter") from error


def at_path(value: Any, path: str) -> Any:  # noqa: ANN401  # any JSON value
    """What stands at a dotted path of a JSON value, None where there is nothing."""
    for name in path.split(".") if path else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value
