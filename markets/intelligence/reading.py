"""What was known of words and calendars at a moment: a few small questions a minute for all instruments."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Min

from markets.models import CalendarEvent, Headline, SentimentIndex, WordFeed

HEADLINE_FEEDS = ("rss", "json_feed")
NOW = timedelta(minutes=5)
"""A round is decided a moment after its candle closed: an answer in between is one of its minute."""
MOST = 5_000
"""Headlines of a day that are looked at, the newest."""


@dataclass(frozen=True, slots=True)
class KnownHeadline:
    """A headline as it was known."""

    id: int
    title: str
    subjects: frozenset[str]
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """An event as it was known."""

    time: datetime
    currency: str
    title: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Coverage:
    """From when until when a source was read; None where it never was."""

    since: datetime | None
    until: datetime | None


def headlines(at: datetime, back: timedelta) -> list[KnownHeadline]:
    """Headlines observed in (at − back, at], the newest first."""
    rows = Headline.objects.filter(observed_at__gt=at - back, observed_at__lte=at).order_by("-observed_at", "-pk")
    return [
        KnownHeadline(id_, title, frozenset(subjects), observed)
        for id_, title, subjects, observed in rows.values_list("pk", "title", "subjects", "observed_at")[:MOST]
    ]


def headline_coverage(at: datetime) -> Coverage:
    """When the first headline was observed, and until when, as far as `at`, somebody is known to have listened.

    A headline or a feed's answer shows that; an answer long after `at` says nothing about it.
    """
    ends = Headline.objects.filter(observed_at__lte=at).aggregate(since=Min("observed_at"), until=Max("observed_at"))
    feeds = WordFeed.objects.filter(adapter__in=HEADLINE_FEEDS, enabled=True, ok_at__lte=at + NOW)
    answered = feeds.aggregate(until=Max("ok_at"))["until"]
    if ends["since"] is None:
        return Coverage(None, None)
    return Coverage(ends["since"], min(max(ends["until"], answered or ends["until"]), at))


def events(
    at: datetime, back: timedelta, ahead: timedelta, impact: int = CalendarEvent.Impact.HIGH
) -> list[KnownEvent]:
    """Events of at least this impact around `at` that were known then, in order of time."""
    rows = CalendarEvent.objects.filter(
        time__gte=at - back, time__lte=at + ahead, impact__gte=impact, observed_at__lte=at
    ).order_by("time")
    return [KnownEvent(*row) for row in rows.values_list("time", "currency", "title", "observed_at")]


def event_coverage(at: datetime) -> Coverage:
    """The first and the last event, of any impact, that was known at `at`."""
    return Coverage(**CalendarEvent.objects.filter(observed_at__lte=at).aggregate(since=Min("time"), until=Max("time")))


def index_values(keys: Iterable[str], at: datetime, back: timedelta) -> dict[str, list[tuple[datetime, float]]]:
    """(known at, value) of each index published in (at − back, at], oldest first."""
    found: dict[str, list[tuple[datetime, float]]] = {}
    rows = SentimentIndex.objects.filter(key__in=set(keys), known_at__gt=at - back, known_at__lte=at)
    for key, known, value in rows.order_by("known_at").values_list("key", "known_at", "value"):
        found.setdefault(key, []).append((known, value))
    return found
