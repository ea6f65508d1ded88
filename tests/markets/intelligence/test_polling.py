"""Feeds on a server of loopback into the store: once, when they are due, and no failure stops another."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from lib import clock
from markets.intelligence import polling
from markets.models import CalendarEvent, Headline, SentimentIndex, WordFeed
from markets.tasks import forget_old_headlines, poll_words
from tests.feed_server import Answer, FeedServer
from tests.markets.intelligence import documents

pytestmark = pytest.mark.django_db(transaction=True)


def feed(url: str, adapter: str = "rss", name: str = "wire", **more: object) -> WordFeed:
    return WordFeed.objects.create(name=name, adapter=adapter, url=url, **more)


def rewound(row: WordFeed) -> WordFeed:
    """The feed as if its last poll lay a day back."""
    WordFeed.objects.filter(pk=row.pk).update(polled_at=clock.wall_now() - timedelta(days=1))
    row.refresh_from_db()
    return row


def test_every_kind_of_feed_is_stored_once(feeds: FeedServer) -> None:
    feed(feeds.at("/rss", Answer(documents.RSS)))
    feed(feeds.at("/fng", Answer(documents.FEAR_GREED)), "fear_greed", "mood")
    feed(feeds.at("/ics", Answer(documents.ICS)), "calendar_ics", "calendar")
    assert poll_words() == 3 + 2 + 2
    assert poll_words() == 0, "none is due again yet"
    for row in WordFeed.objects.all():
        rewound(row)
    assert poll_words() == 0, "all of it is there"
    assert (Headline.objects.count(), SentimentIndex.objects.count(), CalendarEvent.objects.count()) == (3, 2, 2)
    first = Headline.objects.get(url="https://news.example/1")
    assert (first.source, first.subjects, first.language) == ("wire", ["BTC", "ETH"], "en-us")
    assert first.published_at == datetime(2024, 2, 2, 15, 38, 14, tzinfo=UTC)
    assert first.observed_at > clock.wall_now() - timedelta(minutes=5)
    told = WordFeed.objects.get(name="wire")
    assert told.detail == "3 read, 0 new; left out: 1 no title"
    assert told.ok_at is not None
    assert told.failures == 0


def test_an_unchanged_document_is_not_asked_for_again(feeds: FeedServer) -> None:
    def play(headers: dict[str, str]) -> Answer:
        return (
            Answer(status=304)
            if headers.get("if-none-match") == '"v1"'
            else Answer(documents.RSS, headers={"ETag": '"v1"'})
        )

    row = feed(feeds.at("/rss", play))
    assert polling.poll(row) == 3
    row.refresh_from_db()
    assert polling.poll(rewound(row)) == 0
    row.refresh_from_db()
    assert row.etag == '"v1"'
    assert (row.failures, row.detail) == (0, "3 read, 3 new; left out: 1 no title")


@pytest.mark.parametrize(
    ("answer", "adapter", "said"),
    [
        (Answer(status=500), "rss", "status 500"),
        (Answer(b"<!DOCTYPE x [<!ENTITY a 'b'>]><rss/>"), "rss", "document type"),
        (Answer(b"{}"), "telepathy", "'telepathy' is not known"),
        (Answer(b"x" * 6_000_000), "rss", "sends more than"),
    ],
)
def test_a_failure_stands_on_its_row_and_stops_no_other(
    feeds: FeedServer, answer: Answer, adapter: str, said: str
) -> None:
    bad = feed(feeds.at("/bad?key=secret", answer), adapter, "bad")
    feed(feeds.at("/good", Answer(documents.RSS)), name="good")
    assert poll_words() == 3
    bad.refresh_from_db()
    assert said in bad.detail
    assert "secret" not in bad.detail
    assert (bad.failures, bad.ok_at) == (1, None)


def test_each_failure_in_a_row_doubles_the_wait_up_to_a_limit() -> None:
    row = WordFeed(every_s=300)
    waits = []
    for row.failures in range(12):
        waits.append(polling.wait(row).total_seconds())
    assert waits[:4] == [300, 600, 1200, 2400]
    assert waits[-1] == polling.LONGEST_S
    assert polling.wait(WordFeed(every_s=5)).total_seconds() == polling.SHORTEST_S
    assert polling.wait(WordFeed(every_s=86_400, failures=3)).total_seconds() == 86_400


def test_feeds_wait_their_turn_and_those_turned_off_are_left_alone() -> None:
    now = clock.wall_now()
    feed("http://a.example", name="new")
    feed("http://a.example", name="recent", polled_at=now - timedelta(seconds=100))
    feed("http://a.example", name="old", polled_at=now - timedelta(seconds=301))
    feed("http://a.example", name="older", polled_at=now - timedelta(seconds=900))
    feed("http://a.example", name="failing", polled_at=now - timedelta(seconds=500), failures=1)
    feed("http://a.example", name="off", enabled=False)
    assert [row.name for row in polling.due(now)] == ["new", "older", "old"]


def test_two_workers_poll_a_feed_once(feeds: FeedServer) -> None:
    row = feed(feeds.at("/rss", Answer(documents.RSS)))
    same = WordFeed.objects.get(pk=row.pk)
    assert polling.poll(row) == 3
    assert polling.poll(same) == 0
    assert len(feeds.seen) == 1


def test_a_private_address_is_refused_unless_its_network_is_named(feeds: FeedServer, settings: Settings) -> None:
    settings.FEED_NETWORKS = []
    row = feed(feeds.at("/rss", Answer(documents.RSS)))
    assert polling.poll(row) == 0
    row.refresh_from_db()
    assert "FEED_NETWORKS" in row.detail
    assert feeds.seen == []


def test_old_headlines_are_forgotten_and_events_kept(settings: Settings) -> None:
    settings.HEADLINE_RETENTION = timedelta(days=30)
    now = clock.wall_now()
    for days in (1, 29, 31, 400):
        at = now - timedelta(days=days)
        Headline.objects.create(key=str(days), source="s", title="t", published_at=at, observed_at=at)
    CalendarEvent.objects.create(
        source="s", key="k", time=now - timedelta(days=400), currency="USD", impact=3, title="t", observed_at=now
    )
    assert forget_old_headlines() == 2
    assert sorted(Headline.objects.values_list("key", flat=True)) == ["1", "29"]
    assert CalendarEvent.objects.count() == 1
