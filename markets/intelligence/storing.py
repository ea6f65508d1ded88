"""What was read goes into the store once: again and again the same document adds nothing."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from prometheus_client import Counter

from markets.intelligence.items import EventItem, HeadlineItem, IndexItem, Items
from markets.intelligence.subjects import subjects_of
from markets.models import CalendarEvent, Headline, SentimentIndex

STORED = Counter("candor_words_stored_total", "Headlines, events and index values that were new", ["kind"])
BATCH = 1_000
KEY = 64


@dataclass(frozen=True, slots=True)
class Stored:
    """How many rows were new, of how many read."""

    read: int
    new: int


def store(
    items: Items,
    source: str,
    now: datetime,
    *,
    lag: timedelta | None = None,
    ahead: timedelta | None = None,
) -> Stored:
    """Write everything that one document held, in one transaction.

    Args:
        items: what was read.
        source: of headlines that name none, and of events.
        now: when it was received: `observed_at` of whatever does not say otherwise.
        lag: for recorded headlines without a time of receipt: they count as observed so long after publication.
        ahead: for recorded calendars without one: events count as known so long before they are due.
    """
    with transaction.atomic():
        new = (
            _headlines(items.headlines, source, now, lag)
            + _events(items.events, source, now, ahead)
            + _indexes(items.indexes, now)
        )
    return Stored(len(items), new)


def _headlines(items: Iterable[HeadlineItem], source: str, now: datetime, lag: timedelta | None) -> int:
    rows = {}
    for item in items:
        name = item.source or source
        published = min(item.published or now, now)  # nothing is published in the future
        observed = item.observed or (published + lag if lag is not None else now)
        key = _digest(name, item.url or item.title)
        rows[key] = Headline(
            key=key,
            source=name,
            url=item.url,
            title=item.title,
            language=item.language,
            subjects=subjects_of(item.title),
            published_at=published,
            observed_at=max(min(observed, now), published),
        )
    known = set(Headline.objects.filter(key__in=rows).values_list("key", flat=True))
    fresh = [row for key, row in rows.items() if key not in known]
    Headline.objects.bulk_create(fresh, batch_size=BATCH, ignore_conflicts=True)
    return _counted("headline", len(fresh))


def _events(items: Iterable[EventItem], source: str, now: datetime, ahead: timedelta | None) -> int:
    """A new time or impact of a known event takes the place of the old one; when it became known stays."""
    rows = {}
    for item in items:
        observed = item.observed or (item.time - ahead if ahead is not None else now)
        key = item.key or _digest(item.time.isoformat(), item.currency, item.title)
        key = key if len(key) <= KEY else _digest(key)
        rows[key] = CalendarEvent(
            source=source,
            key=key,
            time=item.time,
            currency=item.currency,
            impact=item.impact,
            title=item.title,
            observed_at=min(observed, now),
        )
    before = CalendarEvent.objects.filter(source=source)
    known = set(before.filter(key__in=rows).values_list("key", flat=True))
    CalendarEvent.objects.bulk_create(
        rows.values(),
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["source", "key"],
        update_fields=["time", "currency", "impact", "title"],
    )
    return _counted("event", len(rows.keys() - known))


def _indexes(items: Iterable[IndexItem], now: datetime) -> int:
    """The first value of a day stays: what was decided on it was decided on that."""
    rows = {(item.key, item.day): item for item in items}
    known = set(SentimentIndex.objects.filter(key__in={key for key, _ in rows}).values_list("key", "day"))
    fresh = [
        SentimentIndex(key=key, day=day, value=item.value, known_at=item.known, observed_at=now)
        for (key, day), item in rows.items()
        if (key, day) not in known
    ]
    SentimentIndex.objects.bulk_create(fresh, batch_size=BATCH, ignore_conflicts=True)
    return _counted("index", len(fresh))


def _counted(kind: str, new: int) -> int:
    STORED.labels(kind).inc(new)
    return new


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
