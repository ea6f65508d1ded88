"""Words and calendars from outside: headlines, scheduled events, indexes of mood.

`FEEDS` is the whole list: adapter key → dotted path of its reader, a pure function of one document. How what it reads
is fetched, stored and asked for is the same for all of them.
"""

from importlib import import_module

from markets.intelligence.items import FeedError, Items, Read

FEEDS: dict[str, str] = {
    "rss": "markets.intelligence.rss.read",
    "json_feed": "markets.intelligence.json_feed.read",
    "fear_greed": "markets.intelligence.fear_greed.read",
    "calendar_csv": "markets.intelligence.calendars.read_csv",
    "calendar_json": "markets.intelligence.calendars.read_json",
    "calendar_ics": "markets.intelligence.icalendars.read",
}

__all__ = ["FEEDS", "FeedError", "Items", "Read", "reader_of"]


def reader_of(key: str) -> Read:
    """The reader behind an adapter's key.

    Raises:
        FeedError: no such adapter.
    """
    if key not in FEEDS:
        raise FeedError(f"adapter {key!r} is not known: use one of {', '.join(FEEDS)}")
    path, _, name = FEEDS[key].rpartition(".")
    found: Read = getattr(import_module(path), name)
    return found
