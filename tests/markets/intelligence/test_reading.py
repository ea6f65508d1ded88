"""What was known at a moment, and that what became known later changes nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from markets.intelligence import reading
from markets.intelligence.reading import Coverage
from markets.models import CalendarEvent, Headline, SentimentIndex, WordFeed

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def headline(title: str, observed: datetime, *subjects: str) -> None:
    Headline.objects.create(
        key=f"{title}{observed}", source="s", title=title, subjects=list(subjects), published_at=observed - HOUR,
        observed_at=observed,
    )  # fmt: skip


def event(title: str, time: datetime, *, impact: int = 3, known: datetime = NOON - DAY) -> None:
    CalendarEvent.objects.create(
        source="s", key=title, time=time, currency="USD", impact=impact, title=title, observed_at=known
    )


def test_headlines_count_by_when_they_were_observed_the_newest_first() -> None:
    for title, away in (("old", -2 * DAY), ("edge", -DAY), ("a", -HOUR), ("b", timedelta(0)), ("later", HOUR)):
        headline(title, NOON + away, "BTC")
    assert [one.title for one in reading.headlines(NOON, DAY)] == ["b", "a"]
    assert reading.headlines(NOON, DAY)[0].subjects == {"BTC"}


def test_coverage_is_from_the_first_headline_to_the_last_sign_of_life() -> None:
    assert reading.headline_coverage(NOON) == Coverage(None, None)
    headline("first", NOON - DAY)
    headline("last", NOON - HOUR)
    headline("later", NOON + HOUR)
    assert reading.headline_coverage(NOON) == Coverage(NOON - DAY, NOON - HOUR)
    feed = WordFeed.objects.create(name="f", adapter="rss", url="http://x.example", ok_at=NOON - timedelta(minutes=2))
    assert reading.headline_coverage(NOON).until == NOON - timedelta(minutes=2)
    for ok_at, until in ((NOON + timedelta(seconds=30), NOON), (NOON + HOUR, NOON - HOUR)):
        WordFeed.objects.filter(pk=feed.pk).update(ok_at=ok_at)
        assert reading.headline_coverage(NOON).until == until


def test_a_feed_that_brings_no_headlines_is_no_sign_of_life() -> None:
    headline("only", NOON - HOUR)
    WordFeed.objects.create(name="f", adapter="fear_greed", url="http://x.example", ok_at=NOON)
    WordFeed.objects.create(name="g", adapter="rss", url="http://x.example", ok_at=NOON, enabled=False)
    assert reading.headline_coverage(NOON).until == NOON - HOUR


def test_events_around_a_moment_that_were_known_then() -> None:
    event("past", NOON - HOUR)
    event("next", NOON + HOUR)
    event("far", NOON + 3 * DAY)
    event("small", NOON, impact=2)
    event("surprise", NOON + HOUR, known=NOON + timedelta(minutes=1))
    assert [one.title for one in reading.events(NOON, DAY, DAY)] == ["past", "next"]
    assert [one.title for one in reading.events(NOON, DAY, DAY, impact=2)] == ["past", "small", "next"]
    assert reading.event_coverage(NOON) == Coverage(NOON - HOUR, NOON + 3 * DAY)
    assert reading.event_coverage(NOON - 2 * DAY) == Coverage(None, None)


def test_index_values_by_publication() -> None:
    for days, value in ((0, 40), (-1, 50), (1, 90), (-20, 10)):
        at = NOON.replace(hour=0) + days * DAY
        SentimentIndex.objects.create(key="mood", day=at.date(), value=value, known_at=at, observed_at=at)
    assert [value for _, value in reading.index_values(["mood", "other"], NOON, 14 * DAY)["mood"]] == [50, 40]
    assert reading.index_values(["other"], NOON, 14 * DAY) == {}


def test_a_minute_costs_a_query_each(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for n in range(30):
        headline(f"n{n}", NOON - n * HOUR / 2, "BTC")
    with django_assert_num_queries(6):
        reading.headlines(NOON, DAY)
        reading.headline_coverage(NOON)
        reading.events(NOON, DAY, DAY)
        reading.event_coverage(NOON)
        reading.index_values(["mood"], NOON, DAY)
