"""The two clocks.

The **wall clock** drives sessions, tokens, limits, retries, billing and time-outs and never changes. The **market
clock** drives candles, rounds, expiries, outcomes, countdowns and staleness: it is the wall clock on a live or
simulated market, and the recording's own time while a recording is replayed.
"""

from collections.abc import Callable
from datetime import UTC, datetime

MINUTE_S = 60


def wall_now() -> datetime:
    """Now, aware UTC."""
    return datetime.now(UTC)


class _Market:
    """The source the market clock reads; one per process because one process shows one market."""

    def __init__(self) -> None:
        self.read: Callable[[], datetime] = wall_now


_market = _Market()


def market_now() -> datetime:
    """The market's now, aware UTC: the wall clock unless `follow` set another source."""
    return _market.read()


def follow(source: Callable[[], datetime]) -> None:
    """Let the market clock read `source` (a replay's position in its recording)."""
    _market.read = source


def release() -> None:
    """Put the market clock back on the wall clock."""
    _market.read = wall_now


def epoch(at: datetime) -> int:
    """Whole seconds since 1970 UTC; a naive datetime is refused because its zone would be a guess."""
    if at.tzinfo is None:
        raise ValueError(f"naive datetime {at!r}: attach a time zone (UTC) first")
    return int(at.timestamp())


def from_epoch(seconds: float) -> datetime:
    """The aware UTC datetime at `seconds` since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def floor_minute(at: datetime) -> datetime:
    """The start of the minute that holds `at`."""
    return at.replace(second=0, microsecond=0)
