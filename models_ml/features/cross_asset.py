"""What the other instruments of the panel do: their common factor, what is left without it, and who leads.

The factor of an instrument is the mean return of the others, each over its own volatility, so that nobody explains
itself; it is unknown with fewer than two others. A pair in which the dollar is bought (`USD/JPY`) is turned over for it
and reads it turned over, so that the factor of currencies is the dollar's fall and that of coins their common rise. The
dollar basket is the mean of the pairs that the dollar stands in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.features.matrix import known_fields
from models_ml.features.rolling import change, ratio, rolling_sum, shifted

LENGTH, LONG = 60, 240
OTHERS = 2
FURTHEST = 3
CROSS_LOOKBACK = LONG + 2 * LENGTH - 1 + FURTHEST
"""Candles of every instrument that a row reads."""
ENOUGH = 0.8
"""Share of a yardstick's candles that must be known: a pair that pauses for a minute keeps its market."""


@dataclass(frozen=True)
class Market:
    """Returns (I, T) in units of each instrument's own volatility, and which side the dollar stands on."""

    own: FloatArray
    dollar: FloatArray  # (I,) 1 where the dollar is bought with the pair, −1 where it is sold, 0 where it is not in it
    rows: int  # wanted, from the end: a formula may return only these
    sizes: dict[str, FloatArray] = field(default_factory=dict)  # of the series asked for so far

    def yardstick(self, series: str) -> FloatArray:
        """Root mean square of a series over `LENGTH`, computed once: of the rows wanted and `FURTHEST` before them."""
        if series not in self.sizes:
            self.sizes[series] = size(self.newest(getattr(self, series), LENGTH + FURTHEST))
        return self.sizes[series]

    def newest(self, values: FloatArray, length: int) -> FloatArray:
        """The end of a series (I, T) that windows of `length` over the rows wanted read."""
        return values[:, max(values.shape[1] - self.rows - length + 1, 0) :]

    def wanted(self, values: FloatArray) -> FloatArray:
        """The rows wanted of a series (I, T), or all where it has fewer."""
        return values[:, max(values.shape[1] - self.rows, 0) :]

    @cached_property
    def factor(self) -> FloatArray:
        """Mean return of the others, each turned as the dollar stands in the row's own pair."""
        return self.turned(self.own)

    def turned(self, values: FloatArray) -> FloatArray:
        """Mean of the others' values (I, T), each turned as the dollar stands in the row's own pair."""
        turn = np.where(self.dollar > 0, -1.0, 1.0)
        return turn[:, None] * others(values, turn)

    @cached_property
    def slope(self) -> FloatArray:
        """Slope of the own return on the factor over `LONG` candles."""
        return slope_on(self.factor, self.own)

    @cached_property
    def basket(self) -> FloatArray:
        """Rise of the dollar against the others of its pairs."""
        return others(self.own, self.dollar)

    def residual(self, factor: FloatArray) -> FloatArray:
        """Returns less what the factor explains by its slope over `LONG` candles."""
        return self.own - slope_on(factor, self.own) * factor

    @cached_property
    def own_residual(self) -> FloatArray:
        """What the market does not explain."""
        return self.own - self.slope * self.factor

    @cached_property
    def dollar_residual(self) -> FloatArray:
        """What the dollar does not explain; unknown for pairs without it."""
        return np.where(self.dollar[:, None] != 0, self.residual(self.basket), np.nan)


def slope_on(factor: FloatArray, returns: FloatArray) -> FloatArray:
    """Least-squares slope of returns on the factor over `LONG` candles, both around 0."""
    both = returns * factor
    together, alone = known_means((both, factor * factor), np.isfinite(both), LONG)
    return ratio(together, alone)


def known_mean(values: FloatArray, length: int) -> FloatArray:
    """Mean of the known ones of the last `length` values, NaN with fewer than `ENOUGH` of them."""
    return known_means((values,), np.isfinite(values), length)[0]


def known_means(series: Sequence[FloatArray], known: NDArray[np.bool_], length: int) -> list[FloatArray]:
    """The same of several series (..., T) that count where `known` (..., T) says so."""
    count = rolling_sum(known.astype(np.float64), length)
    mean = rolling_sum(np.where(known, np.stack(series), 0.0), length) / np.maximum(count, 1.0)
    return list(np.where(count >= ENOUGH * length, mean, np.nan))


def size(values: FloatArray, length: int = LENGTH) -> FloatArray:
    """Root mean square of the known ones of the last `length` values."""
    return np.sqrt(known_mean(values * values, length))


def others(returns: FloatArray, sign: FloatArray) -> FloatArray:
    """Signed mean return of the other instruments with a sign, NaN with fewer than `OTHERS` known."""
    inside = np.isfinite(returns) & (sign[:, None] != 0)
    signed = np.where(inside, returns * sign[:, None], 0)
    count = inside.sum(axis=0) - inside
    return np.where(count >= OTHERS, (signed.sum(axis=0) - signed) / np.maximum(count, 1), np.nan)


def moved(series: str, length: int) -> Callable[[Market], FloatArray]:
    """Sum of a return over `length` candles / (its root mean square over `LENGTH` √length)."""

    def of(market: Market) -> FloatArray:
        values = market.wanted(rolling_sum(market.newest(getattr(market, series), length), length))
        return ratio(values, market.wanted(market.yardstick(series)) * np.sqrt(length))

    return of


def before(series: str, steps: int) -> Callable[[Market], FloatArray]:
    """The return `steps` candles ago / its root mean square over `LENGTH` then."""

    def of(market: Market) -> FloatArray:
        yardstick = market.yardstick(series)
        return shifted(ratio(getattr(market, series)[:, -yardstick.shape[1] :], yardstick), steps)

    return of


def tied(length: int) -> Callable[[Market], FloatArray]:
    """Correlation with the factor."""

    def of(market: Market) -> FloatArray:
        x, y = market.newest(market.factor, length), market.newest(market.own, length)
        both = x * y
        mean_x, mean_y, product, xx, yy = known_means((x, y, both, x * x, y * y), np.isfinite(both), length)
        joint = product - mean_x * mean_y
        spread = (xx - mean_x**2) * (yy - mean_y**2)
        return np.clip(ratio(joint, np.sqrt(np.maximum(spread, 0))), -1, 1)

    return of


def breadth(length: int) -> Callable[[Market], FloatArray]:
    """Share of the instruments that rose over `length` candles − share that fell."""

    def of(market: Market) -> FloatArray:
        moves = market.wanted(rolling_sum(market.newest(market.own, length), length))
        known = np.isfinite(moves)
        share = np.where(known, np.sign(moves), 0).sum(axis=0) / known.sum(axis=0)
        return np.where(known & (known.sum(axis=0) > OTHERS), share, np.nan)

    return of


def standing(series: Callable[[Market], FloatArray], length: int) -> Callable[[Market], FloatArray]:
    """Rank of a return over `length` candles among the instruments: −1 weakest, 1 strongest; equals share a place."""

    def of(market: Market) -> FloatArray:
        moves = market.wanted(rolling_sum(market.newest(series(market), length), length))
        known = np.isfinite(moves)
        count = known.sum(axis=0)
        below, upto = places(np.where(known, moves, np.inf))
        return np.where(known & (count > OTHERS), (below - (count - upto)) / np.maximum(count - 1, 1), np.nan)

    return of


def places(values: FloatArray) -> tuple[IntArray, IntArray]:
    """How many of each column's values (I, T) lie below each, and how many below or level with it."""
    order = np.argsort(values, axis=0)
    ranked = np.take_along_axis(values, order, axis=0)
    number = np.arange(len(values))[:, None]
    parted = ranked[1:] != ranked[:-1]
    edge = np.ones((1, values.shape[1]), dtype=np.bool_)
    below = np.maximum.accumulate(np.where(np.concatenate([edge, parted]), number, 0), axis=0)
    ends = np.where(np.concatenate([parted, edge]), number + 1, len(values))
    upto = np.minimum.accumulate(ends[::-1], axis=0)[::-1]
    back = np.argsort(order, axis=0)
    return np.take_along_axis(below, back, axis=0), np.take_along_axis(upto, back, axis=0)


def spread_now(market: Market) -> FloatArray:
    """Root mean square of the residuals of one candle over its mean of `LENGTH`: > 1 where instruments part ways."""
    residual = market.newest(market.own_residual, LENGTH)
    known = np.isfinite(residual)
    squares = np.where(known, residual, 0) ** 2
    apart = np.where(known.sum(axis=0) > OTHERS, squares.sum(axis=0) / np.maximum(known.sum(axis=0), 1), np.nan)
    return np.where(known, np.sqrt(ratio(apart, known_mean(apart, LENGTH))), np.nan)


def dispersion(market: Market) -> FloatArray:
    """Root mean square residual / root mean square return over `LENGTH`: 0 moves as the market, 1 by itself."""
    return ratio(market.yardstick("own_residual"), market.yardstick("own"))


def lead(market: Market) -> FloatArray:
    """Mean product of the factor a candle ago and the own return, over their sizes: > 0 where the market leads."""
    both = known_mean(market.newest(shifted(market.factor, 1) * market.own, LENGTH), LENGTH)
    sizes = shifted(market.yardstick("factor"), 1) * market.yardstick("own")
    return ratio(market.wanted(both), market.wanted(sizes))


CROSS_FEATURES: dict[str, tuple[str, str, Callable[[Market], FloatArray]]] = {
    **{
        f"market_return_{n}": ("σ", f"mean return of the others over {n} / σ √{n}", moved("factor", n))
        for n in (1, 2, 3, 5, 15, 60)
    },
    **{
        f"market_before_{n}": ("σ", f"mean return of the others {n} candles ago / σ", before("factor", n))
        for n in (1, 2, 3)
    },
    **{
        f"own_residual_{n}": ("σ", f"return less slope × market over {n} / σ √{n}", moved("own_residual", n))
        for n in (1, 2, 3, 5, 10, 15, 20, 60)
    },
    **{
        f"residual_before_{n}": (
            "σ",
            f"return less slope × market {n} candles ago / σ",
            before("own_residual", n),
        )
        for n in (1, 2, 3)
    },
    "market_correlation_60": ("−1..1", "correlation with the mean of the others", tied(LENGTH)),
    "market_correlation_240": ("−1..1", "correlation with the mean of the others", tied(LONG)),
    "market_slope_240": ("ratio", "slope of the return on the mean of the others", lambda m: m.slope),
    "market_lead_60": ("−1..1", "market's return a candle before × own return, scaled", lead),
    "market_breadth_1": ("−1..1", "instruments that rose − fell in the last candle, share", breadth(1)),
    "market_breadth_15": ("−1..1", "instruments that rose − fell over 15, share", breadth(15)),
    "market_standing_60": ("−1..1", "rank of the hour's return", standing(lambda m: m.own, LENGTH)),
    "residual_standing_1": ("−1..1", "rank of the last residual", standing(lambda m: m.own_residual, 1)),
    "residual_standing_5": ("−1..1", "rank of five candles' residual", standing(lambda m: m.own_residual, 5)),
    "residual_standing_15": ("−1..1", "rank of fifteen candles' residual", standing(lambda m: m.own_residual, 15)),
    "market_dispersion_60": ("ratio", "σ of the residual / σ of the return", dispersion),
    "market_spread_1": ("ratio", "size of all residuals of the last candle / its mean over 60", spread_now),
    "dollar_return_15": (
        "σ",
        "mean rise of the dollar against the others over 15 / σ √15",
        moved("basket", 15),
    ),
    "dollar_residual_15": ("σ", "return less slope × dollar over 15 / σ √15", moved("dollar_residual", 15)),
}
CROSS_COLUMNS: tuple[str, ...] = tuple(CROSS_FEATURES)
EVEN: frozenset[str] = frozenset(
    name for name in CROSS_COLUMNS if name.startswith(("market_correlation", "market_slope", "market_lead"))
) | {"market_dispersion_60", "market_spread_1"}
"""Columns that stay as they are had every price moved the other way; the others change sign."""


def dollar_side(symbol: str) -> float:
    """1 for `USD/JPY`, −1 for `EUR/USD` and its like, 0 where the dollar is not in the pair."""
    base, _, quote = symbol.partition("/")
    return float(base == "USD") - float(quote == "USD")


def market_of(ohlcv: FloatArray, rows: int | None = None, *, dollar: FloatArray | None = None) -> Market:
    """The market of candles (I, T, 5) on one time axis; arguments as of `build_cross`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = change(np.log(known_fields(ohlcv)[0][3]))
        own = ratio(returns, size(returns))
    sides = np.zeros(len(ohlcv)) if dollar is None else dollar
    return Market(own, sides, ohlcv.shape[1] if rows is None else rows)


def build_cross(ohlcv: FloatArray, rows: int | None = None, *, dollar: FloatArray | None = None) -> FloatArray:
    """The columns of `CROSS_COLUMNS` (I, rows, C) of instruments on one time axis; NaN where unknown.

    A row is known from `CROSS_LOOKBACK` candles on, so that it is the same from any start before them.

    Args:
        ohlcv: (I, T, 5), NaN where a candle is missing; not mutated.
        rows: rows wanted, from the end; None for all.
        dollar: (I,) `dollar_side` of each; without it no pair is turned and nothing is said about the dollar.
    """
    instruments, steps = ohlcv.shape[:2]
    rows = steps if rows is None else rows
    out: FloatArray = np.full((instruments, rows, len(CROSS_COLUMNS)), np.nan)
    market = market_of(ohlcv[:, max(steps - rows - CROSS_LOOKBACK + 1, 0) :], rows, dollar=dollar)
    with np.errstate(divide="ignore", invalid="ignore"):
        for place, (_, _, of) in enumerate(CROSS_FEATURES.values()):
            values = of(market)[:, -rows:] if rows else np.empty((instruments, 0))
            out[:, rows - values.shape[1] :, place] = values
    out[~np.isfinite(out)] = np.nan
    out[:, : max(CROSS_LOOKBACK - 1 - (steps - rows), 0)] = np.nan  # a yardstick that does without a few candles
    return out
