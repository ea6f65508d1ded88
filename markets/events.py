"""News of the market floor, sent on commit. Receivers do one thing: enqueue a task with ids."""

from collections.abc import Sequence

from django.dispatch import Signal as Event

from lib.transactions import on_commit

candle_closed = Event()
"""A minute closed and its candles are stored: `close_time` (epoch seconds), `instrument_ids`, `received` (wall epoch
seconds at which the last of its candles arrived). The sender is this module's `announce`."""


def announce(close_time: int, instrument_ids: Sequence[int], received: float) -> None:
    """Tell, once the surrounding transaction is committed, that a minute closed."""
    ids = list(instrument_ids)
    on_commit(lambda: _send(close_time, ids, received))


def _send(close_time: int, instrument_ids: list[int], received: float) -> None:
    candle_closed.send_robust(sender=announce, close_time=close_time, instrument_ids=instrument_ids, received=received)
