"""How hard price pushes. Oscillators are centred: 0 is neutral, −1 and 1 their ends; a flat market reads 0."""

import numpy as np

from markets.values import FloatArray
from models_ml.features.rolling import (
    ema,
    ema_taps,
    gap,
    mean_and_std,
    mean_deviation,
    ratio,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum,
    shifted,
    wilder,
    wilder_taps,
)
from models_ml.features.trend import channel
from models_ml.features.window import BASIS_POINTS, Feature, Formula, Window

FRESH, OLD = 10, 50
"""Candles of the newer and of the older extreme of a divergence."""

CCI_SCALE = 0.015
"""Lambert's constant (1980): it puts most readings between −100 and 100."""


def strength(moves: FloatArray, length: int) -> FloatArray:
    """RSI of moves, centred: (gain − loss) / (gain + loss) of Wilder means; RSI = 50 + 50 times it."""
    return ratio(wilder(moves, length), wilder(np.abs(moves), length))


def rsi(length: int) -> Formula:
    """Wilder's RSI (1978), centred."""
    return lambda w: w.shared(f"rsi {length}", lambda: strength(w.moves, length))


def rsi_simple(length: int) -> Formula:
    """RSI with plain sums (Cutler), centred; the same as Chande's momentum oscillator / 100."""
    return lambda w: ratio(rolling_sum(w.moves, length), rolling_sum(np.abs(w.moves), length))


def stochastic_k(w: Window) -> FloatArray:
    """Slow %K of 14, 3, centred (Lane)."""
    return rolling_mean(channel(14)(w), 3)


def stochastic_d(w: Window) -> FloatArray:
    """%D: mean of three slow %K, centred."""
    return rolling_mean(stochastic_k(w), 3)


def cci(length: int) -> Formula:
    """CCI / 100 (Lambert 1980)."""

    def of(w: Window) -> FloatArray:
        mean, _ = mean_and_std(w.typical, length)
        return ratio(w.typical - mean, mean_deviation(w.typical, length) * (100 * CCI_SCALE))

    return of


def ultimate(w: Window) -> FloatArray:
    """Ultimate oscillator of 7, 14, 28 (Williams 1985), centred."""
    bottom = np.minimum(w.low, shifted(w.close, 1))
    pressure = 2 * (w.close - bottom) - w.true_range
    parts = [ratio(rolling_sum(pressure, n), rolling_sum(w.true_range, n)) for n in (7, 14, 28)]
    return (4 * parts[0] + 2 * parts[1] + parts[2]) / 7


def true_strength(w: Window) -> FloatArray:
    """True strength index of 25, 13 (Blau 1991) / 100."""
    return ratio(ema(ema(w.moves, 25), 13), ema(ema(np.abs(w.moves), 25), 13))


def awesome(w: Window) -> FloatArray:
    """Awesome oscillator (Williams 1998) / MTR: SMA 5 − SMA 34 of the middle of each candle."""
    middle = (w.high + w.low) / 2
    return ratio(gap(rolling_mean(middle, 5), rolling_mean(middle, 34)), w.reach)


def stochastic_rsi(w: Window) -> FloatArray:
    """Place of RSI 14 in its range of 14, centred (Chande, Kroll 1994)."""
    value = rsi(14)(w)
    top, bottom = rolling_max(value, 14), rolling_min(value, 14)
    return ratio((value - bottom) - (top - value), top - bottom)


def rsi_change(w: Window) -> FloatArray:
    """Change of the centred RSI 14 over five candles."""
    value = rsi(14)(w)
    return value - shifted(value, 5)


def rate_of_change(length: int) -> Formula:
    """ROC: close / close `length` ago − 1, in basis points."""
    return lambda w: (w.close / shifted(w.close, length) - 1) * BASIS_POINTS


def divergence(indicator: Formula) -> Formula:
    """1 where price makes a lower low than before and the indicator a higher one, −1 for highs the other way round.

    The lows and highs of the last ten candles against those of the fifty before.
    """

    def of(w: Window) -> FloatArray:
        value = indicator(w)
        lower = w.lowest(FRESH) < shifted(w.lowest(OLD), FRESH)
        higher = w.highest(FRESH) > shifted(w.highest(OLD), FRESH)
        bull = lower & (rolling_min(value, FRESH) > shifted(rolling_min(value, OLD), FRESH))
        bear = higher & (rolling_max(value, FRESH) < shifted(rolling_max(value, OLD), FRESH))
        return bull.astype(np.float64) - bear

    return of


def acceleration(over: int) -> Formula:
    """Scaled return minus the scaled return just before it, both in today's deviation."""

    def of(w: Window) -> FloatArray:
        now = w.log_close - shifted(w.log_close, over)
        return ratio(now - shifted(now, over), w.deviation(60) * np.sqrt(2 * over))

    return of


FEATURES = (
    Feature("rsi_7", "−1..1", "Wilder: (RSI − 50) / 50", wilder_taps(7) + 1, rsi(7)),
    Feature("rsi_14", "−1..1", "Wilder: (RSI − 50) / 50", wilder_taps(14) + 1, rsi(14)),
    Feature("rsi_21", "−1..1", "Wilder: (RSI − 50) / 50", wilder_taps(21) + 1, rsi(21)),
    Feature(
        "rsi_divergence_14", "−1, 0, 1", "Cutler's RSI 14 against price, 10 after 50", 74, divergence(rsi_simple(14))
    ),
    Feature("rate_of_change_12", "bp", "ROC: close / close 12 ago − 1", 13, rate_of_change(12)),
    Feature("rsi_simple_14", "−1..1", "Cutler: RSI of plain sums; Chande: CMO / 100", 15, rsi_simple(14)),
    Feature("stochastic_k_14_3", "−1..1", "Lane: slow %K, centred", 16, stochastic_k),
    Feature("stochastic_d_14_3_3", "−1..1", "Lane: %D, centred", 18, stochastic_d),
    Feature("williams_r_14", "−1..1", "Williams: %R / 50 + 1", 14, channel(14)),
    Feature("cci_20", "CCI / 100", "Lambert: CCI / 100", 20, cci(20)),
    Feature("ultimate_7_14_28", "−1..1", "Williams: (UO − 50) / 50", 29, ultimate),
    Feature("true_strength_25_13", "−1..1", "Blau: TSI / 100", ema_taps(25) + ema_taps(13), true_strength),
    Feature("awesome_5_34", "MTR", "Williams: SMA 5 − SMA 34 of the middle / MTR 14", 34, awesome),
    Feature("stochastic_rsi_14", "−1..1", "Chande, Kroll: RSI 14 in its range", wilder_taps(14) + 14, stochastic_rsi),
    Feature("rsi_change_5", "−2..2", "RSI 14 − RSI 14 five candles ago, centred", wilder_taps(14) + 6, rsi_change),
    Feature("acceleration_5", "σ", "return of 5 − the return of 5 before / σ 60", 61, acceleration(5)),
)
