"""What a feature is, and the candles it is computed from."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from markets.timeframes import aggregate
from markets.values import FloatArray, IntArray
from models_ml.features.rolling import change, padded, ratio, rolling_max, rolling_min, rolling_rms, shifted, wilder

AT_CLOSE = "close of the row's candle"
BASE_SECONDS = 60
BASIS_POINTS = 1e4


class Window:
    """Candles of I instruments over T steps of one timeframe, with the series that many features share.

    All series are (I, T) in the order of time; a step without a candle is NaN. Each shared series is computed once.
    """

    def __init__(self, open_times: IntArray, fields: FloatArray) -> None:
        """Take open times (T,) and fields (5, I, T): open, high, low, close, volume."""
        self.open_times = open_times
        self.fields = fields
        self.open, self.high, self.low, self.close, self.volume = fields
        self._highest: dict[int, FloatArray] = {}
        self._lowest: dict[int, FloatArray] = {}
        self._deviation: dict[int, FloatArray] = {}
        self._bars: dict[int, Bars] = {}

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
    def atr(self) -> FloatArray:
        """Wilder's average true range over 14, in price units: the yardstick of distances."""
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
        if length not in self._deviation:
            self._deviation[length] = rolling_rms(self.returns, length)
        return self._deviation[length]

    def highest(self, length: int) -> FloatArray:
        """Highest high of `length` candles."""
        if length not in self._highest:
            self._highest[length] = rolling_max(self.high, length)
        return self._highest[length]

    def lowest(self, length: int) -> FloatArray:
        """Lowest low of `length` candles."""
        if length not in self._lowest:
            self._lowest[length] = rolling_min(self.low, length)
        return self._lowest[length]

    def before(self, steps: int = 1) -> "Window":
        """The same candles, each in the place of the one `steps` later."""
        return Window(self.open_times, shifted(self.fields, steps))

    def bars(self, minutes: int) -> "Bars":
        """The same market in aligned candles of `minutes`."""
        if minutes not in self._bars:
            times, candles = aggregate(self.open_times, np.moveaxis(self.fields, 0, -1), minutes)
            fields = np.ascontiguousarray(np.moveaxis(candles, -1, 0))
            ends = times + minutes * BASE_SECONDS
            done = np.searchsorted(ends, self.open_times + BASE_SECONDS, side="right") - 1
            self._bars[minutes] = Bars(Window(times, fields), done)
        return self._bars[minutes]


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles of a higher timeframe, and for each base step the last one that is complete at its close."""

    window: Window
    done: IntArray  # (T,) index into the bars, −1 where none is complete yet

    def at_steps(self, values: FloatArray) -> FloatArray:
        """Values per bar (I, B) as values per base step (I, T)."""
        return np.where(self.done < 0, np.nan, values[..., np.maximum(self.done, 0)])


Formula = Callable[[Window], FloatArray]


@dataclass(frozen=True, slots=True)
class Feature:
    """One column: what it is called, means, comes from, and how far back it looks.

    `lookback` counts base candles, the row's own included; 0 means that it reads the clock only. The value is unknown
    (NaN) unless every one of them is there.
    """

    name: str
    unit: str
    source: str
    lookback: int
    of: Formula
    known: str = AT_CLOSE

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
            known=f"close of the last complete {label} candle, at or before the row's close",
        )


def scaled_return(over: int, scale: int) -> Formula:
    """Log return over `over` steps, in standard deviations expected from the last `scale` returns."""

    def of(window: Window) -> FloatArray:
        return ratio(change(window.log_close, over), window.deviation(scale) * math.sqrt(over))

    return of
