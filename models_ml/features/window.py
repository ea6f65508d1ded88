"""What a feature is, and the candles it is computed from."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar, cast

import numpy as np

from markets.timeframes import aggregate
from markets.values import FloatArray, IntArray
from models_ml.features.rolling import (
    change,
    padded,
    ratio,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_rms,
    shifted,
    wilder,
)

AT_CLOSE = "close of the row's candle"
BASE_SECONDS = 60
BASIS_POINTS = 1e4

Part = TypeVar("Part")


class Window:
    """Candles of I instruments over T steps of one timeframe, with the series that many features share.

    All series are (I, T) in the order of time; a step without a candle is NaN. What several features need is computed
    once: base series are cached properties, the rest goes through `shared`.
    """

    def __init__(self, open_times: IntArray, fields: FloatArray, wanted: int | None = None) -> None:
        """Take open times (T,), fields (5, I, T): open, high, low, close, volume, and how many last steps are wanted.

        A formula may return only the wanted steps where that saves work.
        """
        self.open_times = open_times
        self.fields = fields
        self.open: FloatArray
        self.high: FloatArray
        self.low: FloatArray
        self.close: FloatArray
        self.volume: FloatArray
        self.open, self.high, self.low, self.close, self.volume = fields
        self.wanted_times = open_times if wanted is None else open_times[len(open_times) - wanted :]
        self._shared: dict[str, object] = {}

    def shared(self, name: str, make: Callable[[], Part]) -> Part:
        """What `make` returns, computed once for this window."""
        if name not in self._shared:
            self._shared[name] = make()
        return cast(Part, self._shared[name])

    @cached_property
    def log_close(self) -> FloatArray:
        """Natural logarithm of the close."""
        return np.log(self.close)

    @cached_property
    def returns(self) -> FloatArray:
        """Log return of each close on the one before."""
        return change(self.log_close)

    @cached_property
    def moves(self) -> FloatArray:
        """Close minus the close before, in price units."""
        return change(self.close)

    @cached_property
    def true_range(self) -> FloatArray:
        """Wilder's true range (1978), in price units."""
        before = self.close[..., :-1]
        top = np.maximum(self.high[..., 1:], before)
        return padded(top - np.minimum(self.low[..., 1:], before), self.close.shape[-1])

    @cached_property
    def reach(self) -> FloatArray:
        """Mean true range of 14 candles, in price units: the yardstick of distances.

        A plain mean, not Wilder's: a gap then spoils fifteen candles of it instead of two hundred.
        """
        return rolling_mean(self.true_range, 14)

    @cached_property
    def atr(self) -> FloatArray:
        """Wilder's average true range of 14 candles (1978), in price units."""
        return wilder(self.true_range, 14)

    @cached_property
    def typical(self) -> FloatArray:
        """(high + low + close) / 3."""
        return (self.high + self.low + self.close) / 3

    @cached_property
    def span(self) -> FloatArray:
        """High minus low."""
        return self.high - self.low

    @cached_property
    def body(self) -> FloatArray:
        """Close minus open."""
        return self.close - self.open

    def deviation(self, length: int) -> FloatArray:
        """Root mean square of the last `length` returns: the yardstick of returns."""
        return self.shared(f"deviation {length}", lambda: rolling_rms(self.returns, length))

    def highest(self, length: int) -> FloatArray:
        """Highest high of `length` candles."""
        return self.shared(f"highest {length}", lambda: rolling_max(self.high, length))

    def lowest(self, length: int) -> FloatArray:
        """Lowest low of `length` candles."""
        return self.shared(f"lowest {length}", lambda: rolling_min(self.low, length))

    def before(self, steps: int = 1) -> "Window":
        """The same candles, each in the place of the one `steps` later."""
        return self.shared(f"before {steps}", lambda: Window(self.open_times, shifted(self.fields, steps)))

    def bars(self, minutes: int) -> "Bars":
        """The same market in aligned candles of `minutes`."""
        return self.shared(f"bars {minutes}", lambda: self._fold(minutes))

    def _fold(self, minutes: int) -> "Bars":
        times, candles = aggregate(self.open_times, np.moveaxis(self.fields, 0, -1), minutes)
        ends = times + minutes * BASE_SECONDS
        done = np.searchsorted(ends, self.wanted_times + BASE_SECONDS, side="right") - 1
        return Bars(Window(times, np.ascontiguousarray(np.moveaxis(candles, -1, 0))), done)


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles of a higher timeframe, and for each wanted base step the last one complete at its close."""

    window: Window
    done: IntArray  # (wanted,) index into the bars, −1 where none is complete yet

    def at_steps(self, values: FloatArray) -> FloatArray:
        """Values per bar (I, B) as values per wanted base step (I, wanted)."""
        return np.where(self.done < 0, np.nan, values[..., np.maximum(self.done, 0)])


Formula = Callable[[Window], FloatArray]


@dataclass(frozen=True, slots=True)
class Feature:
    """One column: what it is called, means, comes from, and how far back it looks.

    `lookback` counts base candles, the row's own included; 0 means that it reads the clock only. The value is unknown
    (NaN) unless every one of them is there. `minutes` is the timeframe that the formula runs on.
    """

    name: str
    unit: str
    source: str
    lookback: int
    of: Formula
    known: str = AT_CLOSE
    minutes: int = 1

    def on(self, minutes: int, label: str) -> "Feature":
        """The same formula over the completed candles of a higher timeframe.

        A row may stand up to `minutes` − 1 candles into a bar that is not complete, hence the longer look-back.
        """
        formula = self.of

        def of(window: Window) -> FloatArray:
            bars = window.bars(minutes)
            return bars.at_steps(formula(bars.window))

        return replace(
            self,
            name=f"{self.name}_{label}",
            lookback=self.lookback * minutes + minutes - 1,
            of=of,
            minutes=minutes,
            known=f"close of the last complete {label} candle, at or before the row's close",
        )


def scaled_return(over: int, scale: int) -> Formula:
    """Log return over `over` steps, in standard deviations expected from the last `scale` returns."""

    def of(window: Window) -> FloatArray:
        return ratio(change(window.log_close, over), window.deviation(scale) * math.sqrt(over))

    return of
