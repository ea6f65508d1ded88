"""How far a venue's clock and ours are apart. Pure."""

from collections import deque
from dataclasses import dataclass, field
from statistics import median

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
    and wins. What other venues tell (`others`, by name) says whose clock is wrong: a venue that nobody agrees with is,
    and where all agree against us, ours is. A jump of our own clock shows as wall time that runs away from monotonic
    time, and moves every estimate at once.
    """

    told: float | None = None
    others: dict[str, float] = field(default_factory=dict)
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
            self._shift(-self.jumped)

    def _shift(self, by: float) -> None:
        """Our clock was set: what was known of the others is that much larger."""
        self.told = None if self.told is None else self.told + by
        self.others = {name: seconds + by for name, seconds in self.others.items()}
        self._seen = deque((seconds + by for seconds in self._seen), maxlen=WINDOW)

    @property
    def seconds(self) -> float | None:
        """Venue clock minus ours, None before the first message."""
        if self.told is not None:
            return self.told
        return max(self._seen) if self._seen else None

    @property
    def witnessed(self) -> float | None:
        """The other venues' clocks minus ours, their median; None where none was asked."""
        return median(self.others.values()) if self.others else None

    @property
    def suspect(self) -> bool:
        """Whether candles received now must not be trusted: whoever is wrong, their minutes are not ours."""
        seconds = self.witnessed if self.seconds is None else self.seconds
        return abs(self.jumped) > SUSPECT_S or (seconds is not None and abs(seconds) > SUSPECT_S)

    @property
    def warning(self) -> str:
        """One sentence for operators that names whose clock is wrong, empty while the clocks agree."""
        if abs(self.jumped) > WARN_S:
            return f"our clock jumped by {self.jumped:+.1f} s"
        venue, others = self.seconds, self.witnessed
        off, names = venue is not None and abs(venue) > WARN_S, " and ".join(sorted(self.others))
        if venue is None or not off:
            return "" if others is None or abs(others) <= WARN_S else self._only_others(others, names)
        if others is None:
            return f"the venue's clock is {venue:+.1f} s from ours"
        if abs(venue - others) < abs(others):
            return f"our clock is {-venue:+.1f} s off: the venue and {names} agree"
        if abs(others) <= WARN_S:
            return f"the venue's clock is {venue:+.1f} s from ours; by ours goes {names}"
        return f"the venue's clock is {venue:+.1f} s from ours, {names} {others:+.1f} s"

    def _only_others(self, others: float, names: str) -> str:
        if self.seconds is None:
            return f"our clock is {-others:+.1f} s off by {names}"
        return f"{names}: {others:+.1f} s from ours; the venue agrees with us"
