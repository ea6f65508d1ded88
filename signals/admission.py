"""How many sockets a process takes on in a second: a storm of reconnects waits its turn, and pages still answer."""

import math
from collections.abc import Callable
from time import monotonic

import structlog
from prometheus_client import Counter

DEFERRED = Counter("candor_sockets_deferred_total", "Hand-shakes that were asked to come again later")
BURST_S = 1.0
"""A quiet process takes so many seconds' worth of hand-shakes at once."""
SAY_EVERY_S = 10.0

log = structlog.get_logger(__name__)


class Admission:
    """A bucket of hand-shakes that fills at `rate` a second; used by one thread."""

    def __init__(self, rate: float, now: Callable[[], float] = monotonic) -> None:
        self._rate, self._now = rate, now
        self._left, self._at = rate * BURST_S, now()
        self._turned_away, self._since = 0, -math.inf
        self._said_at = -math.inf

    def wait_s(self) -> int:
        """0 to take the hand-shake, else the whole seconds after which to come again.

        Nobody is queued: the wait grows with how many were turned away within this second, and whoever comes when told
        to finds room.
        """
        now = self._now()
        self._left = min(self._left + (now - self._at) * self._rate, self._rate * BURST_S)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return 0
        if now - self._since > BURST_S:
            self._turned_away, self._since = 0, now
        self._turned_away += 1
        self._tell(now)
        return math.ceil(self._turned_away / self._rate) + 1

    def _tell(self, now: float) -> None:
        DEFERRED.inc()
        if now - self._said_at > SAY_EVERY_S:
            self._said_at = now
            log.warning("sockets_deferred", rate=self._rate)
