"""Chart shapes after Edwards and Magee (Technical Analysis of Stock Trends, 1948), stated as inequalities of swings.

Every rule is written once, for the shape that ends in a fall; its twin is the same rule on prices upside down. A shape
is no pattern until a close confirms it: below its lower line, before one above its upper line, within `WAIT` candles.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.patterns.series import Found, Series, Swing

WAIT = 30
"""Candles after the last swing became known in which a close must confirm."""
LEVEL, CLEAR, TALL = 0.75, 1.0, 2.0
"""Prices this many mean true ranges apart are level; a head stands this much clear; a shape is this tall at least."""

POLE, REST = 10, 10
POLE_SIZE, FLAG_SHARE = 2.0, 0.6
"""A pole is a move of so many standard deviations; a flag is at most this share of it high."""


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line over candle numbers."""

    at: int
    price: float
    slope: float = 0.0

    @classmethod
    def through(cls, first: "Point", second: "Point") -> "Line":
        """The line through two points."""
        return cls(second.at, second.price, (second.price - first.price) / (second.at - first.at))

    def over(self, candles: NDArray[np.int64]) -> FloatArray:
        """Its prices at these candles."""
        prices: FloatArray = self.price + self.slope * (candles - self.at).astype(np.float64)
        return prices


@dataclass(frozen=True, slots=True)
class Point:
    """A swing in the frame of a rule."""

    at: int
    price: float


Lines = tuple[Line, Line]
"""The line whose break confirms the shape, and the one whose break ends it."""
Rule = Callable[[tuple[Point, ...], float], Lines | None]


def head_and_shoulders(p: tuple[Point, ...], scale: float) -> Lines | None:
    """Three tops of which the middle one stands clear of two level ones; confirmed below the neckline."""
    left, first, head, second, right = p
    clear = head.price - max(left.price, right.price) >= CLEAR * scale
    level = abs(left.price - right.price) <= 2 * LEVEL * scale
    if not (clear and level and min(left.price, right.price) > max(first.price, second.price)):
        return None
    return Line.through(first, second), Line(head.at, head.price)


def double_top(p: tuple[Point, ...], scale: float) -> Lines | None:
    """Two level tops; confirmed below the bottom between them."""
    first, between, second = p
    tall = min(first.price, second.price) - between.price >= TALL * scale
    if abs(first.price - second.price) > LEVEL * scale or not tall:
        return None
    return Line(between.at, between.price), Line(second.at, max(first.price, second.price))


def triple_top(p: tuple[Point, ...], scale: float) -> Lines | None:
    """Three level tops; confirmed below both bottoms between them."""
    tops, bottoms = [point.price for point in p[::2]], [point.price for point in p[1::2]]
    if max(tops) - min(tops) > LEVEL * scale or min(tops) - max(bottoms) < TALL * scale:
        return None
    return Line(p[-1].at, min(bottoms)), Line(p[-1].at, max(tops))


def descending_triangle(p: tuple[Point, ...], scale: float) -> Lines | None:
    """Falling tops over level bottoms; confirmed below the bottoms."""
    (top, lower_top), (bottom, second) = _sides(p)
    level = abs(bottom.price - second.price) <= LEVEL * scale
    if not (level and lower_top.price < top.price - LEVEL * scale and _tall(p, scale)):
        return None
    return Line(second.at, min(bottom.price, second.price)), Line.through(top, lower_top)


def symmetrical_triangle(p: tuple[Point, ...], scale: float) -> Lines | None:
    """Falling tops over rising bottoms; confirmed on the side that gives way first."""
    (top, lower_top), (bottom, higher) = _sides(p)
    narrows = lower_top.price < top.price - LEVEL * scale and higher.price > bottom.price + LEVEL * scale
    return (Line.through(bottom, higher), Line.through(top, lower_top)) if narrows and _tall(p, scale) else None


def rising_wedge(p: tuple[Point, ...], scale: float) -> Lines | None:
    """Rising tops over bottoms that rise faster; confirmed below the line of the bottoms."""
    (top, higher_top), (bottom, higher) = _sides(p)
    rises = higher_top.price > top.price and higher.price > bottom.price + LEVEL * scale
    upper, lower = Line.through(top, higher_top), Line.through(bottom, higher)
    return (lower, upper) if rises and lower.slope > upper.slope and _tall(p, scale) else None


def _sides(p: tuple[Point, ...]) -> tuple[tuple[Point, Point], tuple[Point, Point]]:
    """Two tops and two bottoms of four swings in turn, oldest first."""
    one, other = (p[0], p[2]), (p[1], p[3])
    return (one, other) if p[0].price > p[1].price else (other, one)


def _tall(p: tuple[Point, ...], scale: float) -> bool:
    prices = [point.price for point in p]
    return max(prices) - min(prices) >= TALL * scale


@dataclass(frozen=True, slots=True)
class Shape:
    """A rule over the last `swings` swings, and the keys of the shape that ends in a fall and of its twin."""

    down: str
    up: str
    swings: int
    ends_in_top: bool
    rule: Rule


SHAPES = (
    Shape("head_and_shoulders", "inverse_head_and_shoulders", 5, True, head_and_shoulders),
    Shape("double_top", "double_bottom", 3, True, double_top),
    Shape("triple_top", "triple_bottom", 5, True, triple_top),
    Shape("descending_triangle", "ascending_triangle", 4, False, descending_triangle),
    Shape("symmetrical_triangle", "symmetrical_triangle", 4, False, symmetrical_triangle),
    Shape("rising_wedge", "falling_wedge", 4, False, rising_wedge),
)


def find(series: Series) -> Iterator[Found]:
    """Every confirmed shape; of several that one candle confirms under the same name the one formed first."""
    seen: set[tuple[str, int, int]] = set()
    for swings in series.zigzag():
        for shape, side in product(SHAPES, (1, -1)):
            found = _formed(series, swings, shape, side)
            if found and (key := (found.pattern, found.direction, found.known_at)) not in seen:
                seen.add(key)
                yield found
    yield from flags(series)


def _formed(series: Series, swings: tuple[Swing, ...], shape: Shape, side: int) -> Found | None:
    part = swings[-shape.swings :]
    scale = float(series.reach[part[-1].known])
    if len(part) < shape.swings or not scale > 0 or (shape.ends_in_top and part[-1].kind != side):
        return None
    lines = shape.rule(tuple(Point(swing.at, side * swing.price) for swing in part), scale)
    known = confirmed(series, part[-1].known, lines, side) if lines else None
    if known is None:
        return None
    points = [series.point(swing.at, swing.price) for swing in part if swing.at < known]
    key = shape.down if side > 0 else shape.up
    return Found(key, -side, int(series.times[known]), (*points, series.point(known, float(series.close[known]))))


def confirmed(series: Series, start: int, lines: Lines, side: int, wait: int = WAIT) -> int | None:
    """The first candle from `start` on that closes below the first line, prices turned over where `side` is −1.

    None where a close above the second line or a missing candle comes first, or none within `wait` candles.
    """
    candles = np.arange(start, min(start + wait, len(series)))
    close = side * series.close[candles]
    broken, ended = close < lines[0].over(candles), ~(close <= lines[1].over(candles))
    stop = int(np.argmax(broken | ended)) if len(candles) else 0
    return int(candles[stop]) if len(candles) and broken[stop] and not ended[stop] else None


def flags(series: Series) -> Iterator[Found]:
    """A steep move, a rest within a share of it, and a close beyond the rest in the direction of the move."""
    if len(series) <= POLE + REST:
        return
    with np.errstate(invalid="ignore"):
        log = np.log(series.close)
        moved = log[POLE:-REST] - log[: -POLE - REST]
        usual = series.window.deviation(60)[0][POLE + REST :]
        views = np.lib.stride_tricks.sliding_window_view
        tops = views(series.high, REST)[POLE + 1 :].max(axis=1)
        bottoms = views(series.low, REST)[POLE + 1 :].min(axis=1)
        steep = np.abs(moved) >= POLE_SIZE * np.sqrt(POLE) * usual
        rests = steep & (np.log(tops / bottoms) <= FLAG_SHARE * np.abs(moved))
    fresh = rests & ~np.concatenate([[False], rests[:-1]])
    for at in np.flatnonzero(fresh):
        found = _flag(series, int(at), int(np.sign(moved[at])), float(tops[at]), float(bottoms[at]))
        if found:
            yield found


def _flag(series: Series, start: int, side: int, top: float, bottom: float) -> Found | None:
    end = start + POLE + REST
    beyond, against = (top, bottom) if side > 0 else (bottom, top)
    known = confirmed(series, end + 1, (Line(end, -side * beyond), Line(end, -side * against)), -side, REST)
    if known is None or not series.is_whole(start, known):
        return None
    marks = [(start, series.close[start]), (start + POLE, series.close[start + POLE]), (end, series.close[end])]
    points = [series.point(at, float(price)) for at, price in (*marks, (known, series.close[known]))]
    return Found("bull_flag" if side > 0 else "bear_flag", side, int(series.times[known]), tuple(points))
