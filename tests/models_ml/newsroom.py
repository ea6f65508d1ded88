"""Headlines, events and index values for tests, as their feeds would have stored them."""

from datetime import datetime, timedelta

from markets.intelligence.items import EventItem, HeadlineItem, IndexItem, Items
from markets.intelligence.storing import store


def headline(title: str, observed: datetime, *, source: str = "wire") -> None:
    """A headline that was received at `observed`, a minute after it was published."""
    item = HeadlineItem(title, source=source, published=observed - timedelta(minutes=1), observed=observed)
    store(Items(headlines=[item]), source, observed)


def event(title: str, time: datetime, known: datetime, *, currency: str = "USD", impact: int = 3) -> None:
    """An event that a calendar told of at `known`."""
    store(Items(events=[EventItem(time, currency, impact, title)]), "calendar", known)


def mood(value: float, published: datetime, *, key: str = "crypto_fear_greed") -> None:
    """An index value of the day that begins at `published`."""
    store(Items(indexes=[IndexItem(key, published.date(), value, published)]), key, published)
