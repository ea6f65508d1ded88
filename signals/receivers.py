"""News from the market floor and our own: each receiver enqueues one task with ids, and does not wait for the queue."""

from django.conf import settings
from django.dispatch import receiver

from lib.sending import send_soon
from markets.events import candle_closed, feed_changed
from signals import tasks
from signals.events import round_decided, signal_issued


@receiver(candle_closed)
def decide(sender: object, close_time: int, instrument_ids: list[int], received: float, **kwargs: object) -> None:
    """A minute closed: decide it, then judge what expired with it."""
    send_soon(tasks.decide_minute, (close_time, instrument_ids, received), expires_s=120)
    send_soon(tasks.resolve_outcomes, expires_s=30)


@receiver(round_decided)
def watch_patterns(sender: object, close_time: int, round_ids: list[int], **kwargs: object) -> None:
    """A minute is decided: what it means for patterns has time until the next one."""
    send_soon(tasks.watch_patterns, (close_time, round_ids), expires_s=120)


@receiver(signal_issued)
def shadow_sizes(sender: object, signal_ids: list[int], **kwargs: object) -> None:
    """Signals are out: what the learned sizing would stake on them is worth noting until the first is judged."""
    send_soon(tasks.shadow_sizes, (signal_ids,), expires_s=settings.HORIZON_S)


@receiver(feed_changed)
def show_feeds(sender: object, venue_id: int, **kwargs: object) -> None:
    """A feed changed its state: open pages are told."""
    send_soon(tasks.tell_feeds, (venue_id,), expires_s=60)
