"""News from the market floor: each receiver enqueues one task with ids."""

from django.dispatch import receiver

from markets.events import candle_closed, feed_changed
from signals import tasks


@receiver(candle_closed)
def decide(sender: object, close_time: int, instrument_ids: list[int], received: float, **kwargs: object) -> None:
    """A minute closed: decide it, then judge what expired with it."""
    tasks.decide_minute.apply_async((close_time, instrument_ids, received), expires=120)
    tasks.resolve_outcomes.apply_async(expires=30)


@receiver(feed_changed)
def show_feeds(sender: object, venue_id: int, **kwargs: object) -> None:
    """A feed changed its state: open pages are told."""
    tasks.tell_feeds.apply_async((venue_id,), expires=60)
