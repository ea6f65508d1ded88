"""How much price moves. Levels are in basis points of the price, comparisons are ratios."""

import math

import numpy as np

from markets.values import FloatArray
from models_ml.features.rolling import (
    decayed_mean,
    ema,
    ema_taps,
    gap,
    mean_and_std,
    padded,
    ratio,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum,
    shifted,
    taps_of,
    wilder,
    wilder_taps,
)
from models_ml.features.window import BASIS_POINTS, Feature, Formula, Window

GARCH_ALPHA, GARCH_BETA = 0.06, 0.92
"""Usual weights of minute returns: the news of the last one, and what stays of the forecast before."""

BAND_WIDTH = 2
"""Bollinger's bands stand two standard deviations from the mean, Keltner's here two mean ranges."""


def natr(w: Window) -> FloatArray:
    """ATR 14 / close, in basis points."""
    return w.atr / w.close * BASIS_POINTS


def deviation(length: int) -> Formula:
    """Root mean square return, in basis points."""
    return lambda w: w.deviation(length) * BASIS_POINTS


def deviation_ratio(short: int, long: int) -> Formula:
    """Root mean square return of the short window / of the long one."""
    return lambda w: ratio(w.deviation(short), w.deviation(long))


def range_ratio(length: int) -> Formula:
    """True range / its mean over `length`."""
    return lambda w: ratio(w.true_range, rolling_mean(w.true_range, length))


def parkinson(length: int) -> Formula:
    """Parkinson (1980): root of the mean of ln(high / low)² / (4 ln 2), in basis points."""

    def of(w: Window) -> FloatArray:
        spread = np.log(w.high / w.low)
        return np.sqrt(rolling_mean(spread * spread, length) / (4 * math.log(2))) * BASIS_POINTS

    return of


def garman_klass(length: int) -> Formula:
    """Garman, Klass (1980): ½ ln(high / low)² − (2 ln 2 − 1) ln(close / open)², in basis points."""

    def of(w: Window) -> FloatArray:
        spread, step = np.log(w.high / w.low), np.log(w.close / w.open)
        variance = rolling_mean(spread * spread / 2 - (2 * math.log(2) - 1) * step * step, length)
        return np.sqrt(np.maximum(variance, 0)) * BASIS_POINTS

    return of


def rogers_satchell(length: int) -> Formula:
    """Rogers, Satchell (1991): ln(h/c) ln(h/o) + ln(l/c) ln(l/o), free of drift, in basis points."""

    def of(w: Window) -> FloatArray:
        up = np.log(w.high / w.close) * np.log(w.high / w.open)
        down = np.log(w.low / w.close) * np.log(w.low / w.open)
        return np.sqrt(np.maximum(rolling_mean(up + down, length), 0)) * BASIS_POINTS

    return of


def bands(w: Window, length: int) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the close."""
    return w.shared(f"bands {length}", lambda: mean_and_std(w.close, length))


def band_place(length: int) -> Formula:
    """Close in the Bollinger bands: −1 at the lower, 1 at the upper; %B = ½ + ½ of it."""

    def of(w: Window) -> FloatArray:
        mean, std = bands(w, length)
        return ratio(gap(w.close, mean), std * BAND_WIDTH)

    return of


def band_width(w: Window) -> FloatArray:
    """Width of the Bollinger bands of 20 / their middle, in basis points."""
    mean, std = bands(w, 20)
    return std * (2 * BAND_WIDTH) / mean * BASIS_POINTS


KELTNER = max(ema_taps(20), wilder_taps(10) + 1)
"""Candles that Keltner's bands read."""


def keltner_place(w: Window) -> FloatArray:
    """(close − EMA 20) / (2 Wilder ATR 10): ±1 at Keltner's bands (Raschke)."""
    return ratio(gap(w.close, ema(w.close, 20)), BAND_WIDTH * wilder(w.true_range, 10))


def keltner_width(w: Window) -> FloatArray:
    """Width of Keltner's bands / their middle, in basis points."""
    return 2 * BAND_WIDTH * wilder(w.true_range, 10) / ema(w.close, 20) * BASIS_POINTS


def channel_width(length: int) -> Formula:
    """Donchian: (highest − lowest) / (MTR √length)."""
    return lambda w: ratio(w.highest(length) - w.lowest(length), w.reach * math.sqrt(length))


def garch(w: Window) -> FloatArray:
    """GARCH(1,1) forecast of the next return's deviation (Bollerslev 1986), in basis points.

    Variance of 240 as its long-run level and fixed weights: a fit per row would be another model, and would remember.
    """
    squares = w.returns * w.returns
    long = w.deviation(240) ** 2
    recent = decayed_mean(squares, GARCH_BETA, taps_of(GARCH_BETA))
    weight = GARCH_ALPHA / (1 - GARCH_BETA)
    return np.sqrt((1 - weight) * long + weight * recent) * BASIS_POINTS


def garch_ratio(w: Window) -> FloatArray:
    """The forecast / the deviation of 240."""
    return ratio(garch(w), w.deviation(240) * BASIS_POINTS)


def choppiness(length: int) -> Formula:
    """Dreiss' choppiness: ln(sum of true ranges / range) / ln(length); 1 ranging, 0 trending."""

    def of(w: Window) -> FloatArray:
        before = shifted(w.close, 1)
        top, bottom = rolling_max(np.maximum(w.high, before), length), rolling_min(np.minimum(w.low, before), length)
        path = ratio(rolling_sum(w.true_range, length), top - bottom)
        return np.log(np.maximum(path, 1)) / math.log(length)

    return of


def squeeze(w: Window) -> FloatArray:
    """Width of the Bollinger bands / width of a Keltner channel, both of 20: below 1 is a squeeze."""
    return ratio(bands(w, 20)[1], rolling_mean(w.true_range, 20))


def semivariance(w: Window) -> FloatArray:
    """(Upward − downward) / all realised variance over 60 (Barndorff-Nielsen, Kinnebrock, Shephard 2010)."""
    squares = w.returns * w.returns
    return ratio(rolling_sum(squares * np.sign(w.returns), 60), rolling_sum(squares, 60))


def jumps(w: Window) -> FloatArray:
    """1 − bipower variation / realised variance over 60 (Barndorff-Nielsen, Shephard 2004)."""
    size = np.abs(w.returns)
    pairs = padded(size[..., 1:] * size[..., :-1], size.shape[-1])
    smooth, all_ = rolling_sum(pairs, 60) * (math.pi / 2), rolling_sum(size * size, 60)
    return ratio(all_ - smooth, all_)


def unsteadiness(w: Window) -> FloatArray:
    """Standard deviation of the absolute return / its mean over 60: volatility of volatility."""
    mean, std = mean_and_std(np.abs(w.returns), 60)
    return ratio(std, mean)


def range_score(w: Window) -> FloatArray:
    """True range, in standard deviations from its mean of 240."""
    mean, std = mean_and_std(w.true_range, 240)
    return ratio(gap(w.true_range, mean), std)


FEATURES = (
    Feature("natr_14", "bp", "Wilder: ATR 14 / close", wilder_taps(14) + 1, natr),
    Feature("range_ratio_14", "ratio", "true range / mean true range 14", 15, range_ratio(14)),
    Feature("range_score_240", "σ", "z-score of the true range over 240", 241, range_score),
    Feature("deviation_10", "bp", "root mean square return", 11, deviation(10)),
    Feature("deviation_20", "bp", "root mean square return", 21, deviation(20)),
    Feature("deviation_60", "bp", "root mean square return", 61, deviation(60)),
    Feature("deviation_240", "bp", "root mean square return", 241, deviation(240)),
    Feature("deviation_ratio_10_60", "ratio", "σ 10 / σ 60", 61, deviation_ratio(10, 60)),
    Feature("deviation_ratio_60_240", "ratio", "σ 60 / σ 240", 241, deviation_ratio(60, 240)),
    Feature("parkinson_20", "bp", "Parkinson 1980", 20, parkinson(20)),
    Feature("garman_klass_20", "bp", "Garman, Klass 1980", 20, garman_klass(20)),
    Feature("rogers_satchell_20", "bp", "Rogers, Satchell 1991", 20, rogers_satchell(20)),
    Feature("band_place_20", "−1..1 at the bands", "Bollinger 20, 2: 2 %B − 1", 20, band_place(20)),
    Feature("band_width_20", "bp", "Bollinger 20, 2: width / middle", 20, band_width),
    Feature("keltner_place_20", "1 at the bands", "Keltner, Raschke: EMA 20 ± 2 ATR 10", KELTNER, keltner_place),
    Feature("keltner_width_20", "bp", "Keltner, Raschke: width / middle", KELTNER, keltner_width),
    Feature("channel_width_20", "ratio", "Donchian: range of 20 / (MTR 14 √20)", 20, channel_width(20)),
    Feature("channel_width_240", "ratio", "Donchian: range of 240 / (MTR 14 √240)", 240, channel_width(240)),
    Feature("garch_forecast", "bp", "Bollerslev: 0.02 σ² 240 + 0.06 r² + 0.92 before", 241, garch),
    Feature("garch_ratio", "ratio", "the same / σ 240", 241, garch_ratio),
    Feature("choppiness_14", "0..1", "Dreiss: ln(Σ true range / range) / ln 14", 15, choppiness(14)),
    Feature("choppiness_60", "0..1", "Dreiss: ln(Σ true range / range) / ln 60", 61, choppiness(60)),
    Feature("squeeze_20", "ratio", "Bollinger width / Keltner width", 21, squeeze),
    Feature("semivariance_60", "−1..1", "signed share of realised variance", 61, semivariance),
    Feature("jumps_60", "share", "1 − bipower / realised variance", 62, jumps),
    Feature("unsteadiness_60", "ratio", "std / mean of |return|", 61, unsteadiness),
)
