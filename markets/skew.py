"""How far a venue's clock and ours are apart. Pure."""

from collections import deque
from dataclasses import dataclass, field

WARN_S = 1.0
SUSPECT_S = 5.0
"""Beyond it no candle of the venue is trusted (fault 11 of the reliability plan)."""
WINDOW = 200
"""Messages that the estimate rests on."""


@dataclass(slots=True)
class SkewMeter:
    """Estimates venue clock minus ours, seconds, from time-stamped messages.

    A message is stamped before it travels, so `stamp - receipt` is the skew less a delay that is never negative: the
    largest difference of a window is the closest estimate. A measured answer of the venue's time (`told`) is better
    and wins. A jump of our own clock shows as wall time that runs away from monotonic time.
    """

    told: float | None = None
    _seen: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _offset: float | None = None
    jumped: float = 0.0

    def message(self, stamp: float, received: float) -> None:
        """Note a venue's time stamp and our wall clock at its receipt, both epoch seconds."""
        self._seen.append(stamp - received)

    def tick(self, wall: float, monotonic: float) -> None:
        """Note our two clocks; `jumped` is how far the wall clock left the monotonic one since the last look."""
        offset = wall - monotonic
        self.jumped = 0.0 if self._offset is None else offset - self._offset
        self._offset = offset
        if abs(self.jumped) > WARN_S:
            self._seen.clear()

    @property
    def seconds(self) -> float | None:
        """Venue clock minus ours, None before the first message."""
        if self.told is not None:
            return self.told
        return max(self._seen) if self._seen else None

    @property
    def suspect(self) -> bool:
        """Whether candles received now must not be trusted."""
        seconds = self.seconds
        return abs(self.jumped) > SUSPECT_S or (seconds is not None and abs(seconds) > SUSPECT_S)

    @property
    def warning(self) -> str:
        """One sentence for operators, empty while the clocks agree."""
        seconds = self.seconds
        if abs(self.jumped) > WARN_S:
            return f"our clock jumped by {self.jumped:+.1f} s"
        if seconds is not None and abs(seconds) > WARN_S:
            return f"the venue's clock is {seconds:+.1f} s from ours"
        return ""
