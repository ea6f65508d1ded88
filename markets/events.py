"""News of the market floor, sent on commit. Receivers do one thing: enqueue a task with ids."""

from collections.abc import Sequence

from django.dispatch import Signal as Event

from lib.transactions import on_commit

candle_closed = Event()
"""A minute closed and its candles are stored: `close_time` (epoch seconds), `instrument_ids`, `received` (wall epoch
seconds at which the last of its candles arrived). The sender is this module's `announce`."""


feed_changed = Event()
"""A feed, or one instrument of it, went live, late or down: `venue_id`. The sender is `announce_feed`."""


def announce_feed(venue_id: int) -> None:
    """Tell, once the surrounding transaction is committed, that feed states of a venue changed."""
    on_commit(lambda: _tell_feed(venue_id))


def _tell_feed(venue_id: int) -> None:
    feed_changed.send_robust(sender=announce_feed, venue_id=venue_id)


def announce(close_time: int, instrument_ids: Sequence[int], received: float) -> None:
    """Tell, once the surrounding transaction is committed, that a minute closed."""
    ids = list(instrument_ids)
    on_commit(lambda: _send(close_time, ids, received))


def _send(close_time: int, instrument_ids: list[int], received: float) -> None:
    candle_closed.send_robust(sender=announce, close_time=close_time, instrument_ids=instrument_ids, received=received)
