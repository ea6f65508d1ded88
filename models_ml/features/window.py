"""What a feature is, and the candles it is computed from."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, update_wrapper
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

HOUR, LONG = 60, 4
"""Candles before the wanted ones that a yardstick reads; a window is long from so many times that."""

PARENTS = {240: 60, 1440: 60}
"""Timeframes folded from another's bars instead of minutes. Fixed, for a sum by another way has other last bits."""

Part = TypeVar("Part")
Blend = Callable[[FloatArray], FloatArray]


def series(make: Callable[["Window"], FloatArray]) -> cached_property[FloatArray]:
    """A series computed once; a window that was cut from another takes the end of that one's."""

    def of(window: "Window") -> FloatArray:
        if window.source is None:
            return make(window)
        whole: FloatArray = getattr(window.source, make.__name__)
        return whole[..., whole.shape[-1] - window.close.shape[-1] :]

    return cached_property(update_wrapper(of, make))


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
        self.source: Window | None = None
        self._shared: dict[str, object] = {}

    def cut(self, steps: int) -> "Window":
        """The last `steps` candles, the same of them wanted; what is elementwise is not computed again."""
        first = max(len(self.open_times) - steps, 0)
        part = Window(self.open_times[first:], self.fields[..., first:], len(self.wanted_times))
        part.source = self
        return part

    def shared(self, name: str, make: Callable[[], Part]) -> Part:
        """What `make` returns, computed once for this window."""
        if name not in self._shared:
            self._shared[name] = make()
        return cast(Part, self._shared[name])

    def forget(self) -> None:
        """Let go of what was shared: shapes hold their window, which would else wait for the garbage collector."""
        for part in self._shared.values():
            if isinstance(part, Bars):
                part.window.forget()
        self._shared.clear()

    @series
    def log_close(self) -> FloatArray:
        """Natural logarithm of the close."""
        return np.log(self.close)

    @series
    def returns(self) -> FloatArray:
        """Log return of each close on the one before."""
        return change(self.log_close)

    @series
    def moves(self) -> FloatArray:
        """Close minus the close before, in price units."""
        return change(self.close)

    @series
    def true_range(self) -> FloatArray:
        """Wilder's true range (1978), in price units."""
        before = self.close[..., :-1]
        top = np.maximum(self.high[..., 1:], before)
        return padded(top - np.minimum(self.low[..., 1:], before), self.close.shape[-1])

    @series
    def reach(self) -> FloatArray:
        """Mean true range of 14 candles, in price units: the yardstick of distances.

        A plain mean, not Wilder's: a gap then spoils fifteen candles of it instead of two hundred.
        """
        return rolling_mean(self.true_range, 14)

    @cached_property
    def atr(self) -> FloatArray:
        """Wilder's average true range of 14 candles (1978), in price units."""
        return wilder(self.true_range, 14)

    @series
    def typical(self) -> FloatArray:
        """(high + low + close) / 3."""
        return (self.high + self.low + self.close) / 3

    @series
    def span(self) -> FloatArray:
        """High minus low."""
        return self.high - self.low

    @series
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

    @property
    def root(self) -> "Window":
        """The window that this one was cut from: what it shares is shared by all cuts of it."""
        return self if self.source is None else self.source  # kept, it would hold itself and its arrays for long

    @property
    def near(self) -> "Window":
        """Only the wanted steps and the hour before them, where that spares most of a long window."""
        return self if len(self.open_times) < LONG * (len(self.wanted_times) + HOUR) else self._end

    @cached_property
    def _end(self) -> "Window":
        steps = len(self.wanted_times) + HOUR
        return Window(self.open_times[-steps:], self.fields[..., -steps:], len(self.wanted_times))

    def wanted(self, values: FloatArray) -> FloatArray:
        """The wanted steps of a series."""
        return values[..., values.shape[-1] - len(self.wanted_times) :]

    def tail(self, values: FloatArray, length: int) -> FloatArray:
        """What windows of `length` that end at the wanted steps read of a series."""
        return values[..., max(values.shape[-1] - len(self.wanted_times) - length + 1, 0) :]

    def before(self, steps: int = 1) -> "Window":
        """The same candles, each in the place of the one `steps` later."""
        return self.shared(f"before {steps}", lambda: Window(self.open_times, shifted(self.fields, steps)))

    def bars(self, minutes: int) -> "Bars":
        """The same market in aligned candles of `minutes`."""
        return self.shared(f"bars {minutes}", lambda: self._fold(minutes))

    def _fold(self, minutes: int) -> "Bars":
        source = self.bars(PARENTS[minutes]).window if minutes in PARENTS else self
        times, fields = folded(source.open_times, source.fields, minutes)
        ends = times + minutes * BASE_SECONDS
        done = np.searchsorted(ends, self.wanted_times + BASE_SECONDS, side="right") - 1
        # Bars before the first that a wanted step reads need no value.
        wanted = min(len(times) - int(done[0]), len(times))
        return Bars(Window(times, fields, wanted), done)


def folded(open_times: IntArray, fields: FloatArray, minutes: int) -> tuple[IntArray, FloatArray]:
    """Open times (B,) and fields (5, I, B) of aligned candles of `minutes`; `aggregate` where candles are missing."""
    if np.isnan(fields[3]).any() or not len(open_times):
        times, candles = aggregate(open_times, np.moveaxis(fields, 0, -1), minutes)
        return times, np.ascontiguousarray(np.moveaxis(candles, -1, 0))
    buckets = open_times // (minutes * BASE_SECONDS)
    starts = np.flatnonzero(np.diff(buckets, prepend=-1))
    out = np.empty((5, fields.shape[1], len(starts)))
    out[0], out[3] = fields[0][:, starts], fields[3][:, np.r_[starts[1:], len(buckets)] - 1]
    np.maximum.reduceat(fields[1], starts, axis=-1, out=out[1])
    np.minimum.reduceat(fields[2], starts, axis=-1, out=out[2])
    np.add.reduceat(fields[4], starts, axis=-1, out=out[4])
    return buckets[starts] * minutes * BASE_SECONDS, out


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles of a higher timeframe, and for each wanted base step the last one complete at its close."""

    window: Window
    done: IntArray  # (wanted,) index into the bars, −1 where none is complete yet

    def at_steps(self, values: FloatArray) -> FloatArray:
        """Values of all bars or of the wanted ones (I, bars) as values per wanted base step (I, wanted)."""
        place = self.done - (len(self.window.open_times) - values.shape[-1])
        return np.where(place < 0, np.nan, values[..., np.maximum(place, 0)])


Formula = Callable[[Window], FloatArray]


@dataclass(frozen=True, slots=True)
class Feature:
    """One column: what it is called, means, comes from, and how far back it looks.

    `lookback` counts base candles, the row's own included; 0 means that it reads the clock only. The value is unknown
    (NaN) unless every one of them is there, but for a share of `holes` that a formula over bars can do without.
    `minutes` is the timeframe that the formula runs on. With `parts` the value is a `blend` of other columns,
    (parts, I, rows) → (I, rows), and `of` is not asked.
    """

    name: str
    unit: str
    source: str
    lookback: int
    of: Formula
    known: str = AT_CLOSE
    minutes: int = 1
    holes: float = 0.0
    parts: tuple[str, ...] = ()
    blend: Blend | None = None

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
