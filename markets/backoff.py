"""How long to wait before trying again. Pure but for the dice."""

from collections.abc import Callable
from random import SystemRandom

_dice = SystemRandom()


class Backoff:
    """Doubling waits with jitter: each between half of and the whole of `base_s * 2**n`, at most `cap_s`.

    With a base of 1 s no two attempts are closer than half a second, which keeps a feed under two connects a second.
    """

    def __init__(self, base_s: float = 1.0, cap_s: float = 30.0, *, draw: Callable[[], float] = _dice.random) -> None:
        self._base_s, self._cap_s, self._draw = base_s, cap_s, draw
        self.failures = 0

    def next_wait(self) -> float:
        """Seconds to wait after one more failure."""
        whole = min(self._cap_s, self._base_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return whole * (0.5 + 0.5 * self._draw())

    def reset(self) -> None:
        """It worked: the next failure starts small again."""
        self.failures = 0
