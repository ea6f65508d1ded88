"""The candles of one instrument as detectors read them, with their swings."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.features.matrix import known_fields
from models_ml.features.window import Window

WING = 3
"""Candles beside a swing on each side; it is known so many candles later."""
KEPT = 7
"""Swings that the largest shape reads, and two more."""


@dataclass(frozen=True, slots=True)
class Found:
    """One pattern on one chart.

    Attributes:
        pattern: its key in `PATTERNS`.
        direction: 1 up, −1 down, 0 where the pattern has none.
        known_at: open time of the confirming candle; the pattern is known at that candle's close and not before.
        points: (open time, price) in the order of time, to be joined by a line.
    """

    pattern: str
    direction: int
    known_at: int
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Swing:
    """A turning point: its candle, its price, 1 for a top or −1 for a bottom, and the candle that made it known."""

    at: int
    price: float
    kind: int
    known: int


class Series:
    """T candles of one instrument in the order of time; a missing one is NaN, and no pattern spans it."""

    def __init__(self, open_times: IntArray, ohlcv: FloatArray) -> None:
        """Take open times (T,) in epoch seconds and candles (T, 5); neither is changed."""
        self.times = open_times
        fields, missing = known_fields(ohlcv[None])
        self.window = Window(open_times, fields)
        self.missing: NDArray[np.bool_] = missing[0]
        self.open, self.high, self.low, self.close, self.volume = fields[:, 0]

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def reach(self) -> FloatArray:
        """Mean true range of 14 candles, (T,): the yardstick of distances; NaN where unknown."""
        with np.errstate(invalid="ignore"):
            reach: FloatArray = self.window.reach[0]
        return reach

    @cached_property
    def holes(self) -> IntArray:
        """Missing candles before each one, (T + 1,)."""
        return np.concatenate([[0], np.cumsum(self.missing)])

    def is_whole(self, first: int, last: int) -> bool:
        """Whether no candle of [first, last] is missing."""
        return bool(self.holes[last + 1] == self.holes[max(first, 0)])

    def point(self, at: int, price: float) -> tuple[int, float]:
        """A chart coordinate."""
        return int(self.times[at]), float(price)

    @cached_property
    def turns(self) -> list[Swing]:
        """Every swing in the order in which they become known; a candle that is top and bottom at once is neither."""
        if len(self) <= 2 * WING:
            return []
        tops, bottoms = _peaks(self.high), _peaks(-self.low)
        both = tops & bottoms
        found = [Swing(int(at), float(self.high[at]), 1, int(at) + WING) for at in np.flatnonzero(tops & ~both)]
        found += [Swing(int(at), float(self.low[at]), -1, int(at) + WING) for at in np.flatnonzero(bottoms & ~both)]
        return sorted(found, key=lambda swing: swing.at)

    def zigzag(self) -> Iterator[tuple[Swing, ...]]:
        """The last swings, tops and bottoms in turn and oldest first, each time that a newly known one changes them.

        Of two tops without a bottom between them the higher one stands; what came before a missing candle is forgotten.
        """
        line: list[Swing] = []
        for swing in self.turns:
            if line and not self.is_whole(line[-1].at, swing.known):
                line = []
            if line and line[-1].kind == swing.kind:
                if swing.kind * swing.price <= swing.kind * line[-1].price:
                    continue
                line.pop()
            line = [*line[-KEPT + 1 :], swing]
            yield tuple(line)


def _peaks(prices: FloatArray) -> NDArray[np.bool_]:
    """Where a price is above the `WING` before it and not under the `WING` after it; nowhere beside a missing one."""
    views = np.lib.stride_tricks.sliding_window_view(prices, 2 * WING + 1)
    middle = views[:, WING]
    found = np.zeros(len(prices), bool)
    with np.errstate(invalid="ignore"):
        found[WING : len(prices) - WING] = (middle > views[:, :WING].max(axis=1)) & (
            middle >= views[:, WING + 1 :].max(axis=1)
        )
    return found
