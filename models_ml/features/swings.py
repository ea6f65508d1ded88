"""Swing structure: the last turning points of price, what broke them, and the shapes they draw.

A swing high is a high that none of the `WING` candles on either side exceeds; it is known `WING` candles later and
counts from then on. Where no swing is in sight the extreme of the stretch stands for it.
"""

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.features.rolling import (
    State,
    fold,
    latest,
    latest_three,
    ratio,
    rolling_max,
    rolling_min,
    rolling_sum,
    shifted,
)
from models_ml.features.window import Feature, Formula, Window

WING, REACH = 3, 100
"""Candles beside a swing on each side, and candles in which it is looked for."""

EVENT = 15
"""Candles for which a broken structure is remembered."""

EQUAL, CLEAR = 0.75, 1.0
"""Prices this many MTR apart are level; a head stands this many above its shoulders."""

GAPS = 60
POLE = 10
POLE_SIZE, FLAG_SHARE = 2.0, 0.6
"""A pole is a move of this many σ; a flag is at most this share of it high."""

Signs = NDArray[np.bool_]


def turning_points(w: Window, wing: int) -> tuple[FloatArray, FloatArray]:
    """Prices of swing highs and lows at the candle that makes them known, 0 elsewhere."""

    def make() -> tuple[FloatArray, FloatArray]:
        top, bottom = shifted(w.high, wing), shifted(w.low, wing)
        high = np.where(top < rolling_max(w.high, 2 * wing + 1), 0.0, top)
        low = np.where(bottom > rolling_min(w.low, 2 * wing + 1), 0.0, bottom)
        return high, low

    return w.shared(f"turning points {wing}", make)


def three(w: Window, wing: int, reach: int, before: int = 0) -> tuple[State, State]:
    """The last three swing highs and lows, newest first, at the wanted steps and `before` steps before them.

    The extreme of the stretch stands for those not there.
    """

    def make() -> tuple[State, State]:
        steps = min(len(w.wanted_times) + before, len(w.open_times))
        points = np.concatenate([w.tail(part, reach + before) for part in turning_points(w, wing)])
        top = rolling_max(w.tail(w.high, reach + before), reach)[..., -steps:]
        bottom = rolling_min(w.tail(w.low, reach + before), reach)[..., -steps:]
        found = latest_three(points, reach)  # highs above lows: one fold costs less than two
        tops, bottoms = (tuple(part[half] for part in found) for half in (slice(len(top)), slice(len(top), None)))
        return _filled(tops, top, steps), _filled(bottoms, bottom, steps)

    return w.shared(f"swings {wing} {reach} {before}", make)


def _filled(points: State, extreme: FloatArray, steps: int) -> State:
    return tuple(np.where(part[..., -steps:] == 0, extreme, part[..., -steps:]) for part in points)


def _price(w: Window) -> tuple[FloatArray, FloatArray]:
    """Close and MTR at the wanted steps."""
    return w.wanted(w.close), w.wanted(w.reach)


def swing_high_gap(w: Window) -> FloatArray:
    """(close − last swing high) / MTR: resistance while negative."""
    close, scale = _price(w)
    return ratio(close - three(w, WING, REACH)[0][0], scale)


def swing_low_gap(w: Window) -> FloatArray:
    """(close − last swing low) / MTR: support while positive."""
    close, scale = _price(w)
    return ratio(close - three(w, WING, REACH)[1][0], scale)


def swing_trend(wing: int, reach: int, before: int = 0) -> Formula:
    """1 for higher highs and higher lows, −1 for lower ones, between where they disagree.

    `before` as the neighbour that breaks it: the swings are then looked for once.
    """
    return lambda w: _direction(*three(w, wing, reach, before))


def _direction(tops: State, bottoms: State) -> FloatArray:
    both: FloatArray = (np.sign(tops[0] - tops[1]) + np.sign(bottoms[0] - bottoms[1])) / 2
    return both


def breakout(wing: int, reach: int) -> Formula:
    """Distance of the close beyond the last swing high or low (0 between them) / MTR."""

    def of(w: Window) -> FloatArray:
        tops, bottoms = three(w, wing, reach)
        close, scale = _price(w)
        return ratio(np.maximum(close - tops[0], 0) + np.minimum(close - bottoms[0], 0), scale)

    return of


def crossings(w: Window, wing: int, reach: int, event: int) -> tuple[FloatArray, FloatArray]:
    """Closes through the last swing (1 up, −1 down), and the swing trend before, at the last `event` steps of each."""

    def make() -> tuple[FloatArray, FloatArray]:
        tops, bottoms = three(w, wing, reach, event)
        steps = tops[0].shape[-1]
        top, bottom = shifted(tops[0], 1), shifted(bottoms[0], 1)
        close, before = w.close[..., -steps:], shifted(w.close, 1)[..., -steps:]
        up, down = (close > top) & (before <= top), (close < bottom) & (before >= bottom)
        return up.astype(np.float64) - down, shifted(_direction(tops, bottoms), 1)

    return w.shared(f"crossings {wing} {reach} {event}", make)


def break_of_structure(wing: int, reach: int, event: int) -> Formula:
    """The last close through a swing that the trend did not speak against."""

    def of(w: Window) -> FloatArray:
        crossed, trend = crossings(w, wing, reach, event)
        return latest(crossed * (crossed * trend >= 0), event)

    return of


def change_of_character(wing: int, reach: int, event: int) -> Formula:
    """The last close through a swing against the trend that stood."""

    def of(w: Window) -> FloatArray:
        crossed, trend = crossings(w, wing, reach, event)
        return latest(crossed * (crossed * trend < 0), event)

    return of


def _signed(bull: Signs, bear: Signs) -> FloatArray:
    return bull.astype(np.float64) - bear


def double(w: Window) -> FloatArray:
    """1 for a double bottom, −1 for a double top: two level swings, the close on the inner side of both."""
    tops, bottoms = three(w, WING, REACH)
    close, scale = _price(w)
    near = EQUAL * scale
    top = (np.abs(tops[0] - tops[1]) <= near) & (close < np.minimum(tops[0], tops[1]))
    bottom = (np.abs(bottoms[0] - bottoms[1]) <= near) & (close > np.maximum(bottoms[0], bottoms[1]))
    return _signed(bottom, top)


def head_and_shoulders(w: Window) -> FloatArray:
    """−1 for three highs of which the middle one stands clear of two level ones, 1 for the same upside down."""
    tops, bottoms = three(w, WING, REACH)
    _, scale = _price(w)
    clear, near = CLEAR * scale, 2 * EQUAL * scale
    top = (tops[1] - np.maximum(tops[0], tops[2]) >= clear) & (np.abs(tops[0] - tops[2]) <= near)
    bottom = (np.minimum(bottoms[0], bottoms[2]) - bottoms[1] >= clear) & (np.abs(bottoms[0] - bottoms[2]) <= near)
    return _signed(bottom, top)


def triangle(w: Window) -> FloatArray:
    """1 for level highs over rising lows (ascending), −1 for falling highs over level lows (descending)."""
    tops, bottoms = three(w, WING, REACH)
    near = EQUAL * _price(w)[1]
    flat_top, flat_bottom = np.abs(tops[0] - tops[1]) <= near, np.abs(bottoms[0] - bottoms[1]) <= near
    rising = flat_top & (bottoms[0] > bottoms[1] + near)
    return _signed(rising, flat_bottom & (tops[0] < tops[1] - near))


def wedge(w: Window) -> FloatArray:
    """1 for a falling wedge, −1 for a rising one: highs and lows move alike and the space between them narrows."""
    tops, bottoms = three(w, WING, REACH)
    narrower = tops[0] - bottoms[0] < tops[1] - bottoms[1]
    falling = narrower & (tops[0] < tops[1]) & (bottoms[0] < bottoms[1])
    return _signed(falling, narrower & (tops[0] > tops[1]) & (bottoms[0] > bottoms[1]))


def narrowing(w: Window) -> FloatArray:
    """(Space between the swings before − space between the last ones) / both: a triangle reads above 0."""
    tops, bottoms = three(w, WING, REACH)
    now, before = np.abs(tops[0] - bottoms[0]), np.abs(tops[1] - bottoms[1])
    return ratio(before - now, before + now)


def flag(w: Window) -> FloatArray:
    """Sign of a move of ten candles of at least 2 σ, where the ten since stay within 0.6 of it, else 0."""
    pole = shifted(w.log_close - shifted(w.log_close, POLE), POLE)
    height = np.log(rolling_max(w.high, POLE) / rolling_min(w.low, POLE))
    whole = np.abs(pole) >= POLE_SIZE * np.sqrt(POLE) * w.deviation(60)
    sign: FloatArray = np.sign(pole)
    found: FloatArray = sign * (whole & (height <= FLAG_SHARE * np.abs(pole)))
    return found


def value_gaps(w: Window) -> tuple[FloatArray, FloatArray]:
    """Heights of the gaps between a candle and the one before the last: upward, downward; 0 where they overlap."""
    up = np.maximum(w.low - shifted(w.high, 2), 0)
    return up, np.maximum(shifted(w.low, 2) - w.high, 0)


def value_gap_balance(length: int) -> Formula:
    """(Upward − downward fair-value gaps) / true ranges."""

    def of(w: Window) -> FloatArray:
        up, down = value_gaps(w)
        return ratio(rolling_sum(up - down, length), rolling_sum(w.true_range, length))

    return of


def _still_open(old: State, new: State, _older: int, _newer: int) -> State:
    fresh = new[0] != 0
    return np.where(fresh, new[0], old[0]), np.where(fresh, new[1], np.minimum(old[1], new[1]))


def _nearness(edge: FloatArray, since: FloatArray, close: FloatArray, reach: FloatArray) -> FloatArray:
    """MTR / (MTR + distance to the edge), 0 where price has been there since."""
    still = (edge != 0) & (since > edge)
    return np.where(still, ratio(reach, reach + (close - edge)), since * 0)


def value_gap_below(w: Window) -> FloatArray:
    """How near the last upward fair-value gap is, when price has not come back to its far edge."""
    edge = np.where(value_gaps(w)[0] > 0, shifted(w.high, 2), 0.0 * w.high)
    edge, since = fold((edge, w.low), GAPS, _still_open)
    return _nearness(edge, since, w.close, w.reach)


def value_gap_above(w: Window) -> FloatArray:
    """How near the last downward fair-value gap is, when price has not come back to its far edge."""
    edge = np.where(value_gaps(w)[1] > 0, -shifted(w.low, 2), 0.0 * w.low)
    edge, since = fold((edge, -w.high), GAPS, _still_open)
    return _nearness(edge, since, -w.close, w.reach)


def swings_lookback(wing: int, reach: int) -> int:
    """Candles that `three` reads."""
    return reach + 2 * wing


LONG = swings_lookback(WING, REACH)
BROKEN = LONG + EVENT

FEATURES = (
    Feature("swing_high_gap", "MTR", "(close − last swing high) / MTR 14: resistance", LONG, swing_high_gap),
    Feature("swing_low_gap", "MTR", "(close − last swing low) / MTR 14: support", LONG, swing_low_gap),
    Feature("swing_trend", "−1..1", "higher highs and lows − lower ones", LONG, swing_trend(WING, REACH)),
    Feature("swing_breakout", "MTR", "close beyond the last swing / MTR 14", LONG, breakout(WING, REACH)),
    Feature(
        "break_of_structure",
        "−1, 0, 1",
        "last break with the trend, 15",
        BROKEN,
        break_of_structure(WING, REACH, EVENT),
    ),
    Feature(
        "change_of_character",
        "−1, 0, 1",
        "last break against the trend, 15",
        BROKEN,
        change_of_character(WING, REACH, EVENT),
    ),
    Feature("double_top_bottom", "−1, 0, 1", "Edwards, Magee: two level swings", LONG, double),
    Feature("head_and_shoulders", "−1, 0, 1", "Edwards, Magee: three swings", LONG, head_and_shoulders),
    Feature("triangle", "−1, 0, 1", "Edwards, Magee: ascending, descending", LONG, triangle),
    Feature("wedge", "−1, 0, 1", "Edwards, Magee: falling, rising", LONG, wedge),
    Feature("swing_narrowing", "−1..1", "change of the space between swings", LONG, narrowing),
    Feature("flag", "−1, 0, 1", "Edwards, Magee: pole of 10, rest of 10", 61, flag),
    Feature("fair_value_gap_balance_60", "−1..1", "gaps up − down / true ranges", 62, value_gap_balance(GAPS)),
    Feature("fair_value_gap_below", "0..1", "MTR / (MTR + way to the open gap below)", GAPS + 2, value_gap_below),
    Feature("fair_value_gap_above", "0..1", "MTR / (MTR + way to the open gap above)", GAPS + 2, value_gap_above),
)
