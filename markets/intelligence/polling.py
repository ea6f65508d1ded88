"""Feeds that are due: fetched, read, stored; what went wrong stands on the feed's row and stops no other."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Q

from lib import clock
from markets.intelligence import FeedError, reader_of
from markets.intelligence.fetching import fetch
from markets.intelligence.storing import store
from markets.models import WordFeed

log = structlog.get_logger(__name__)

SHORTEST_S, LONGEST_S = 60, 6 * 3600
"""Seconds between two polls: never fewer, and after failures never more."""
AT_ONCE = 10
"""Feeds a run polls at most, those that wait longest first: each may take its whole time limit."""


def due(now: datetime) -> list[WordFeed]:
    """Enabled feeds whose time has come; each failure in a row doubles the wait."""
    waiting = WordFeed.objects.filter(enabled=True).filter(
        Q(polled_at=None) | Q(polled_at__lte=now - timedelta(seconds=SHORTEST_S))
    )
    ready = [feed for feed in waiting if feed.polled_at is None or now - feed.polled_at >= wait(feed)]
    ready.sort(key=lambda feed: (feed.polled_at is not None, feed.polled_at or now))
    return ready[:AT_ONCE]


def wait(feed: WordFeed) -> timedelta:
    """How long a feed is left alone after a poll."""
    ordinary = max(feed.every_s, SHORTEST_S)
    return timedelta(seconds=max(ordinary, min(ordinary * 2 ** min(feed.failures, 10), LONGEST_S)))


def poll(feed: WordFeed) -> int:
    """Fetch and store one feed; returns how many rows were new. A failure is written on the row."""
    now = clock.wall_now()
    claimed = WordFeed.objects.filter(pk=feed.pk, polled_at=feed.polled_at).update(polled_at=now)
    if not claimed:  # another worker has it
        return 0
    try:
        new = _poll(feed, now)
    except FeedError as error:
        feed.failures += 1
        WordFeed.objects.filter(pk=feed.pk).update(failures=feed.failures, detail=str(error)[:300])
        log.warning("word_feed_failed", feed=feed.name, reason=str(error), permanent=error.permanent)
        return 0
    WordFeed.objects.filter(pk=feed.pk).update(
        failures=0, ok_at=now, etag=feed.etag, modified=feed.modified, detail=feed.detail
    )
    return new


def _poll(feed: WordFeed, now: datetime) -> int:
    found = fetch(feed.url, etag=feed.etag, modified=feed.modified, networks=settings.FEED_NETWORKS)
    if found.body is None:
        return 0
    items = reader_of(feed.adapter)(found.body, feed.options)
    stored = store(items, feed.name, now)
    feed.etag, feed.modified = found.etag, found.modified
    skipped = ", ".join(f"{count} {reason}" for reason, count in items.skipped.items())
    feed.detail = f"{stored.read} read, {stored.new} new" + (f"; left out: {skipped}" if skipped else "")
    return stored.new
