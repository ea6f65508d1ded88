"""What the other instruments of the panel do: their common factor, what is left without it, and who leads.

The factor of an instrument is the mean return of the others, each over its own volatility, so that nobody explains
itself; it is unknown with fewer than two others. The dollar basket is the mean of the pairs that the dollar stands in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from markets.values import FloatArray
from models_ml.features.matrix import known_fields
from models_ml.features.rolling import change, correlation, ratio, rolling_mean, rolling_rms, rolling_sum

LENGTH, LONG = 60, 240
OTHERS = 2
CROSS_LOOKBACK = LONG + 2 * LENGTH - 1
"""Candles of every instrument that a row reads."""


@dataclass(frozen=True)
class Market:
    """Returns (I, T) in units of each instrument's own volatility, and which side the dollar stands on."""

    own: FloatArray
    dollar: FloatArray  # (I,) 1 where the dollar is bought with the pair, −1 where it is sold, 0 where it is not in it

    @cached_property
    def factor(self) -> FloatArray:
        """Mean return of the others."""
        return _others(self.own, np.ones(len(self.own)))

    @cached_property
    def basket(self) -> FloatArray:
        """Rise of the dollar against the others of its pairs."""
        return _others(self.own, self.dollar)

    def residual(self, factor: FloatArray) -> FloatArray:
        """Returns less what the factor explains by its slope over `LONG` candles."""
        slope = ratio(rolling_sum(self.own * factor, LONG), rolling_sum(factor * factor, LONG))
        return self.own - slope * factor

    @cached_property
    def own_residual(self) -> FloatArray:
        """What the market does not explain."""
        return self.residual(self.factor)

    @cached_property
    def dollar_residual(self) -> FloatArray:
        """What the dollar does not explain; unknown for pairs without it."""
        return np.where(self.dollar[:, None] != 0, self.residual(self.basket), np.nan)


def _others(returns: FloatArray, sign: FloatArray) -> FloatArray:
    """Signed mean return of the other instruments with a sign, NaN with fewer than `OTHERS` known."""
    inside = np.isfinite(returns) & (sign[:, None] != 0)
    signed = np.where(inside, returns * sign[:, None], 0)
    count = inside.sum(axis=0) - inside
    return np.where(count >= OTHERS, (signed.sum(axis=0) - signed) / np.maximum(count, 1), np.nan)


def moved(series: Callable[[Market], FloatArray], length: int) -> Callable[[Market], FloatArray]:
    """Sum of a return over `length` candles / (its root mean square over `LENGTH` √length)."""

    def of(market: Market) -> FloatArray:
        values = series(market)
        return ratio(rolling_sum(values, length), rolling_rms(values, LENGTH) * np.sqrt(length))

    return of


def tied(length: int) -> Callable[[Market], FloatArray]:
    """Correlation with the factor."""
    return lambda market: correlation(market.own, market.factor, length)


def breadth(market: Market) -> FloatArray:
    """Share of the instruments that rose over 15 candles − share that fell."""
    moves = rolling_sum(market.own, 15)
    known = np.isfinite(moves)
    share = np.where(known, np.sign(moves), 0).sum(axis=0) / known.sum(axis=0)
    return np.where(known & (known.sum(axis=0) > OTHERS), share, np.nan)


def standing(market: Market) -> FloatArray:
    """Rank of the last hour's return among the instruments: −1 weakest, 1 strongest."""
    moves = rolling_sum(market.own, LENGTH)
    known = np.isfinite(moves)
    below = np.stack([(np.nan_to_num(np.sign(one - moves)) * known).sum(axis=0) for one in moves])
    return np.where(known & (known.sum(axis=0) > OTHERS), below / (known.sum(axis=0) - 1), np.nan)


def dispersion(market: Market) -> FloatArray:
    """Root mean square residual / root mean square return over `LENGTH`: 0 moves as the market, 1 by itself."""
    return ratio(rolling_rms(market.own_residual, LENGTH), rolling_rms(market.own, LENGTH))


def lead(market: Market) -> FloatArray:
    """Mean product of the factor a candle ago and the own return, over their sizes: > 0 where the market leads."""
    before = np.concatenate([np.full((len(market.own), 1), np.nan), market.factor[:, :-1]], axis=1)
    sizes = rolling_rms(before, LENGTH) * rolling_rms(market.own, LENGTH)
    return ratio(rolling_mean(before * market.own, LENGTH), sizes)


CROSS_FEATURES: dict[str, tuple[str, str, Callable[[Market], FloatArray]]] = {
    **{
        f"market_return_{n}": ("σ", f"mean return of the others over {n} / σ √{n}", moved(lambda m: m.factor, n))
        for n in (1, 5, 15, 60)
    },
    **{
        f"own_residual_{n}": ("σ", f"return less slope × market over {n} / σ √{n}", moved(lambda m: m.own_residual, n))
        for n in (1, 5, 15, 60)
    },
    "market_correlation_60": ("−1..1", "correlation with the mean of the others", tied(LENGTH)),
    "market_correlation_240": ("−1..1", "correlation with the mean of the others", tied(LONG)),
    "market_lead_60": ("−1..1", "market's return a candle before × own return, scaled", lead),
    "market_breadth_15": ("−1..1", "instruments that rose − fell over 15, share", breadth),
    "market_standing_60": ("−1..1", "rank of the hour's return", standing),
    "market_dispersion_60": ("ratio", "σ of the residual / σ of the return", dispersion),
    "dollar_return_15": (
        "σ",
        "mean rise of the dollar against the others over 15 / σ √15",
        moved(lambda m: m.basket, 15),
    ),
    "dollar_residual_15": ("σ", "return less slope × dollar over 15 / σ √15", moved(lambda m: m.dollar_residual, 15)),
}
CROSS_COLUMNS: tuple[str, ...] = tuple(CROSS_FEATURES)


def dollar_side(symbol: str) -> float:
    """1 for `USD/JPY`, −1 for `EUR/USD` and its like, 0 where the dollar is not in the pair."""
    base, _, quote = symbol.partition("/")
    return float(base == "USD") - float(quote == "USD")


def build_cross(ohlcv: FloatArray, rows: int | None = None, *, dollar: FloatArray | None = None) -> FloatArray:
    """The columns of `CROSS_COLUMNS` (I, rows, C) of instruments on one time axis; NaN where unknown.

    Args:
        ohlcv: (I, T, 5), NaN where a candle is missing; not mutated.
        rows: rows wanted, from the end; None for all.
        dollar: (I,) `dollar_side` of each; nothing is said about the dollar without it.
    """
    instruments, steps = ohlcv.shape[:2]
    rows = steps if rows is None else rows
    fields, _ = known_fields(ohlcv[:, max(steps - rows - CROSS_LOOKBACK + 1, 0) :])
    out: FloatArray = np.full((instruments, rows, len(CROSS_COLUMNS)), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = change(np.log(fields[3]))
        own = ratio(returns, rolling_rms(returns, LENGTH))
        market = Market(own, np.zeros(instruments) if dollar is None else dollar)
        for place, (_, _, of) in enumerate(CROSS_FEATURES.values()):
            values = of(market)[:, -rows:] if rows else np.empty((instruments, 0))
            out[:, rows - values.shape[1] :, place] = values
    out[~np.isfinite(out)] = np.nan
    return out
