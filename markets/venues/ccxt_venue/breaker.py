"""A circuit breaker: a venue that refuses or fails is left alone for as long as it asked, or longer each time."""

from collections.abc import Callable
from time import monotonic

from markets.venues.base import VenueError

TOLERATED = 3
"""Failures in a row before the circuit opens; a refusal (429, 418) opens it at once."""
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0
PROBE_S = 10.0
"""After a pause one request probes the venue; the others wait for its answer, at most this long."""


class Breaker:
    """One per venue; every REST request asks it first and tells it how it went."""

    def __init__(self, venue: str, now: Callable[[], float] = monotonic) -> None:
        self._venue, self._now = venue, now
        self._failures = 0
        self._open_until = 0.0
        self.refused = 0  # requests not sent because the circuit was open

    @property
    def is_open(self) -> bool:
        """Whether requests are being held back."""
        return self._now() < self._open_until

    def check(self) -> None:
        """Pass, or raise `VenueError` with the seconds left; the first to pass after a pause is the probe."""
        left = self._open_until - self._now()
        if left > 0:
            self.refused += 1
            raise VenueError(
                f"{self._venue} is paused for {left:.1f} s after failures: try again then", retry_after=left
            )
        if self._open_until:
            self._open_until = self._now() + PROBE_S

    def succeeded(self) -> None:
        """The venue answered."""
        self._failures, self._open_until = 0, 0.0

    def failed(self, retry_after: float | None = None, *, at_once: bool = False) -> None:
        """The venue failed; `at_once` when it told us to stop."""
        self._failures += 1
        if at_once or retry_after is not None or self._failures >= TOLERATED:
            pause = min(FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE_S)
            self._open_until = self._now() + max(retry_after or 0.0, pause)
