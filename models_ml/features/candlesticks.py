"""Candle shapes after Nison (Japanese Candlestick Charting Techniques, 1991), stated as inequalities.

A pattern reads 1 where it is bullish, −1 where it is bearish, else 0. "Long" and "short" compare a body with the mean
body of the ten candles before the pattern, so that the words mean the same on every instrument.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.features.rolling import ratio, rolling_mean, shifted
from models_ml.features.window import Feature, Formula, Window

USUAL = 10
"""Candles that say what a usual body or range is."""

DOJI_SHARE = 0.1
"""A body of at most this share of the usual range is no body."""

TREND = 5
"""Candles before a pattern whose direction it is to turn."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Shapes:
    """The parts of each candle of a window, and of the candles before it."""

    window: Window
    usual_body: FloatArray  # mean body of the ten candles before the pattern
    usual_span: FloatArray
    earlier: dict[int, "Shapes"] = field(default_factory=dict)

    @classmethod
    def of(cls, window: Window, candles: int) -> "Shapes":
        """Shapes for a pattern of `candles` candles."""
        return window.shared(f"shapes {candles}", lambda: cls._of(window, candles))

    @classmethod
    def _of(cls, window: Window, candles: int) -> "Shapes":
        body = window.shared("usual body", lambda: rolling_mean(np.abs(window.body), USUAL))
        span = window.shared("usual span", lambda: rolling_mean(window.span, USUAL))
        return cls(window, shifted(body, candles), shifted(span, candles))

    def at(self, age: int) -> "Shapes":
        """The candles `age` steps ago against the same usual body."""
        if age not in self.earlier:
            self.earlier[age] = Shapes(self.window.before(age), self.usual_body, self.usual_span)
        return self.earlier[age]

    @cached_property
    def rises(self) -> Mask:
        """White body."""
        return self.window.body > 0

    @cached_property
    def falls(self) -> Mask:
        """Black body."""
        return self.window.body < 0

    @cached_property
    def size(self) -> FloatArray:
        """Height of the body."""
        return np.abs(self.window.body)

    @cached_property
    def long(self) -> Mask:
        """A body above the usual."""
        return self.size > self.usual_body

    @cached_property
    def small(self) -> Mask:
        """A body of at most half the usual."""
        return self.size <= self.usual_body / 2

    @cached_property
    def top(self) -> FloatArray:
        """Upper end of the body."""
        return np.maximum(self.window.open, self.window.close)

    @cached_property
    def bottom(self) -> FloatArray:
        """Lower end of the body."""
        return np.minimum(self.window.open, self.window.close)

    @cached_property
    def middle(self) -> FloatArray:
        """Middle of the body."""
        return (self.window.open + self.window.close) / 2

    @cached_property
    def upper(self) -> FloatArray:
        """Upper shadow."""
        return self.window.high - self.top

    @cached_property
    def lower(self) -> FloatArray:
        """Lower shadow."""
        return self.bottom - self.window.low

    def trend(self, candles: int) -> FloatArray:
        """Sign of the move over the five candles before a pattern of `candles`."""
        close = self.window.close
        return np.sign(shifted(close, candles) - shifted(close, candles + TREND))


Rule = Callable[[Shapes], tuple[Mask, Mask]]


def doji_turn(now: Shapes) -> tuple[Mask, Mask]:
    """No body after a trend."""
    doji = (now.size <= DOJI_SHARE * now.usual_span) & (now.window.span > 0)
    trend = now.trend(1)
    return doji & (trend < 0), doji & (trend > 0)


def hammer(now: Shapes) -> tuple[Mask, Mask]:
    """Small body on a lower shadow of twice its height: hammer after a fall, hanging man after a rise."""
    shape = (now.size > 0) & (now.lower >= 2 * now.size) & (now.upper <= now.window.span * DOJI_SHARE)
    trend = now.trend(1)
    return shape & (trend < 0), shape & (trend > 0)


def star(now: Shapes) -> tuple[Mask, Mask]:
    """Small body under an upper shadow of twice its height: inverted hammer or shooting star, by the trend before."""
    shape = (now.size > 0) & (now.upper >= 2 * now.size) & (now.lower <= now.window.span * DOJI_SHARE)
    trend = now.trend(1)
    return shape & (trend < 0), shape & (trend > 0)


def marubozu(now: Shapes) -> tuple[Mask, Mask]:
    """Long body almost without shadows."""
    shape = now.long & (now.upper <= DOJI_SHARE * now.size) & (now.lower <= DOJI_SHARE * now.size)
    return shape & now.rises, shape & now.falls


def engulfing(now: Shapes) -> tuple[Mask, Mask]:
    """A body that covers the opposite body before it, at one end beyond it."""
    last = now.at(1)
    cover = (now.top >= last.top) & (now.bottom <= last.bottom) & (now.size > last.size)
    return cover & now.rises & last.falls, cover & now.falls & last.rises


def harami(now: Shapes) -> tuple[Mask, Mask]:
    """A small body inside the long one before it: against that body's direction."""
    last = now.at(1)
    inside = now.small & last.long & (now.top <= last.top) & (now.bottom >= last.bottom)
    return inside & last.falls, inside & last.rises


def piercing(now: Shapes) -> tuple[Mask, Mask]:
    """Long body, then an opposite one that opens beyond the close and closes past the middle of the first body.

    Markets that trade around the clock rarely gap, so an open at the close before is enough.
    """
    last, w = now.at(1), now.window
    bull = last.falls & last.long & now.rises & (w.open <= last.window.close)
    bear = last.rises & last.long & now.falls & (w.open >= last.window.close)
    bull &= (w.close > last.middle) & (w.close < last.window.open)
    return bull, bear & (w.close < last.middle) & (w.close > last.window.open)


def star_of_three(now: Shapes) -> tuple[Mask, Mask]:
    """Morning and evening star: long body, small body, opposite body past the middle of the first."""
    pause, first = now.at(1), now.at(2)
    shape = first.long & pause.small
    bull = shape & first.falls & now.rises & (now.window.close > first.middle) & (pause.top <= first.middle)
    bear = shape & first.rises & now.falls & (now.window.close < first.middle) & (pause.bottom >= first.middle)
    return bull, bear


def soldiers(now: Shapes) -> tuple[Mask, Mask]:
    """Three white soldiers, three black crows: long bodies, each opening in the last one and closing beyond it."""
    second, first = now.at(1), now.at(2)
    long = now.long & second.long & first.long
    bull, bear = long & now.rises & second.rises & first.rises, long & now.falls & second.falls & first.falls
    for later, earlier in ((now, second), (second, first)):
        inside = (later.window.open >= earlier.bottom) & (later.window.open <= earlier.top)
        bull &= inside & (later.window.close > earlier.window.close)
        bear &= inside & (later.window.close < earlier.window.close)
    return bull, bear


def tweezer(now: Shapes) -> tuple[Mask, Mask]:
    """Two opposite bodies on the same low after a fall, or under the same high after a rise."""
    last = now.at(1)
    trend, near = now.trend(2), DOJI_SHARE / 2 * now.usual_span
    bottom = (np.abs(now.window.low - last.window.low) <= near) & last.falls & now.rises & (trend < 0)
    top = (np.abs(now.window.high - last.window.high) <= near) & last.rises & now.falls & (trend > 0)
    return bottom, top


def outside(now: Shapes) -> tuple[Mask, Mask]:
    """A range beyond both ends of the one before, in the direction of its close."""
    last = now.at(1)
    wide = (now.window.high > last.window.high) & (now.window.low < last.window.low)
    return wide & now.rises, wide & now.falls


PATTERNS: dict[str, tuple[int, Rule, str]] = {
    "doji_turn": (1, doji_turn, "Nison: doji after a trend"),
    "hammer": (1, hammer, "Nison: hammer, hanging man"),
    "star": (1, star, "Nison: inverted hammer, shooting star"),
    "marubozu": (1, marubozu, "Nison: long body without shadows"),
    "engulfing": (2, engulfing, "Nison: engulfing"),
    "harami": (2, harami, "Nison: harami"),
    "piercing": (2, piercing, "Nison: piercing line, dark-cloud cover"),
    "star_of_three": (3, star_of_three, "Nison: morning star, evening star"),
    "soldiers": (3, soldiers, "Nison: three white soldiers, three black crows"),
    "tweezer": (2, tweezer, "Nison: tweezer bottom, tweezer top"),
    "outside": (2, outside, "outside bar"),
}
"""Pattern → candles in it, its rule, its source."""


def pattern(candles: int, rule: Rule) -> Formula:
    """1 bullish, −1 bearish, 0 neither."""

    def of(window: Window) -> FloatArray:
        bull, bear = rule(Shapes.of(window, candles))
        return bull.astype(np.float64) - bear

    return of


def pattern_lookback(candles: int) -> int:
    """The pattern, the usual bodies before it, and the trend before it."""
    return candles + max(USUAL, TREND + 1)


def body_share(w: Window) -> FloatArray:
    """(close − open) / (high − low)."""
    return ratio(w.body, w.span)


def upper_share(w: Window) -> FloatArray:
    """Upper shadow / (high − low)."""
    return ratio(w.high - np.maximum(w.open, w.close), w.span)


def lower_share(w: Window) -> FloatArray:
    """Lower shadow / (high − low)."""
    return ratio(np.minimum(w.open, w.close) - w.low, w.span)


def body_size(w: Window) -> FloatArray:
    """(close − open) / MTR 14."""
    return ratio(w.body, w.reach)


FEATURES = (
    Feature("body_share", "−1..1", "(close − open) / (high − low)", 1, body_share),
    Feature("upper_share", "0..1", "upper shadow / (high − low)", 1, upper_share),
    Feature("lower_share", "0..1", "lower shadow / (high − low)", 1, lower_share),
    Feature("body_size", "MTR", "(close − open) / MTR 14", 15, body_size),
    *(
        Feature(f"pattern_{name}", "−1, 0, 1", source, pattern_lookback(candles), pattern(candles, rule))
        for name, (candles, rule, source) in PATTERNS.items()
    ),
)
