"""What was traded. Without volume (0 over the whole window: the venue supplies none) the value is unknown.

Volume enters only as a share of itself, cumulative lines only as their change over a window.
"""

import numpy as np

from markets.values import FloatArray
from models_ml.features.rolling import (
    correlation,
    ema,
    ema_taps,
    gap,
    line_fit,
    mean_and_std,
    ratio,
    rolling_mean,
    rolling_sum,
    shifted,
)
from models_ml.features.window import Feature, Formula, Window


def _where_traded(value: FloatArray, volume: FloatArray) -> FloatArray:
    return np.where(volume > 0, value, np.nan)


def relative_volume(length: int) -> Formula:
    """ln(1 + volume / mean volume): ln 2 is usual."""
    return lambda w: np.log1p(w.volume / rolling_mean(w.volume, length))


def volume_level(w: Window) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of 60 volumes."""
    return w.shared("volume level", lambda: mean_and_std(w.volume, 60))


def volume_score(w: Window) -> FloatArray:
    """Volume, in standard deviations from its mean of 60."""
    mean, std = volume_level(w)
    return _where_traded(ratio(gap(w.volume, mean), std), mean)


def on_balance(length: int) -> Formula:
    """Change of on-balance volume (Granville 1963) / volume traded."""

    def of(w: Window) -> FloatArray:
        signed = np.sign(w.moves) * w.volume
        return rolling_sum(signed, length) / rolling_sum(signed * 0 + w.volume, length)

    return of


def money_flow(length: int) -> Formula:
    """Chaikin money flow: change of the accumulation line / volume traded."""

    def of(w: Window) -> FloatArray:
        place = ratio((w.close - w.low) - (w.high - w.close), w.span)
        return rolling_sum(place * w.volume, length) / rolling_sum(w.volume, length)

    return of


def money_flow_index(w: Window) -> FloatArray:
    """Money flow index of 14 (Quong, Soudack 1989), centred."""
    flow = w.typical * w.volume
    signed = np.sign(gap(w.typical, shifted(w.typical, 1))) * flow
    value = ratio(rolling_sum(signed, 14), rolling_sum(np.abs(signed), 14))
    return _where_traded(value, rolling_sum(w.volume, 14))


def vwap_gap(length: int) -> Formula:
    """(close − volume-weighted mean of the typical price) / MTR."""

    def of(w: Window) -> FloatArray:
        mean = rolling_sum(w.typical * w.volume, length) / rolling_sum(w.volume, length)
        return ratio(gap(w.close, mean), w.reach)

    return of


def force(w: Window) -> FloatArray:
    """Elder's force index of 13 (1993) / the same of absolute moves."""
    push = w.moves * w.volume
    value = ratio(ema(push, 13), ema(np.abs(push), 13))
    return _where_traded(value, ema(w.volume, 13))


def volume_oscillator(w: Window) -> FloatArray:
    """Mean volume of 5 / mean volume of 20 − 1."""
    return rolling_mean(w.volume, 5) / rolling_mean(w.volume, 20) - 1


def volume_spread(w: Window) -> FloatArray:
    """Standard deviation / mean of the volume over 60."""
    mean, std = volume_level(w)
    return std / mean


def return_volume(length: int) -> Formula:
    """Correlation of return and volume."""
    return lambda w: _where_traded(correlation(w.returns, w.volume, length), rolling_sum(w.volume, length))


def flow_divergence(length: int) -> Formula:
    """Net move / path minus change of on-balance volume / volume, halved: 1 where price rose on selling volume."""

    def of(w: Window) -> FloatArray:
        path = ratio(rolling_sum(w.moves, length), rolling_sum(np.abs(w.moves), length))
        return (path - on_balance(length)(w)) / 2

    return of


def sentiment(length: int) -> Formula:
    """Volume weighted by the body's share of its candle / volume: −1 all sold down, 1 all bought up."""

    def of(w: Window) -> FloatArray:
        return rolling_sum(ratio(w.body, w.span) * w.volume, length) / rolling_sum(w.volume, length)

    return of


def volume_slope(w: Window) -> FloatArray:
    """Least-squares slope of the volume over 60 / mean volume."""
    level, rise, _ = line_fit(w.volume, 60)
    return rise / level


def chaikin_oscillator(w: Window) -> FloatArray:
    """EMA 3 − EMA 10 of the accumulation line's steps / mean volume of 10 (Chaikin)."""
    flow = ratio((w.close - w.low) - (w.high - w.close), w.span) * w.volume
    return (ema(flow, 3) - ema(flow, 10)) / rolling_mean(w.volume, 10)


def price_impact(length: int) -> Formula:
    """Kyle's (1985) lambda: slope of the return on signed volume, × mean volume / σ."""

    def of(w: Window) -> FloatArray:
        signed = np.sign(w.moves) * w.volume
        slope = ratio(rolling_sum(w.returns * signed, length), rolling_sum(signed * signed, length))
        value = ratio(slope * rolling_mean(w.volume, length), w.deviation(length))
        return _where_traded(value, rolling_sum(w.volume, length))

    return of


def illiquidity(w: Window) -> FloatArray:
    """Amihud's (2002) |return| per money traded, of 20 against 240: ln(1 + ratio), ln 2 is usual."""
    size, money = np.abs(w.returns), w.typical * w.volume
    short = rolling_sum(size, 20) / rolling_sum(money, 20)
    return np.log1p(ratio(short, rolling_sum(size, 240) / rolling_sum(money, 240)))


FEATURES = (
    Feature("relative_volume_20", "ln", "ln(1 + volume / SMA 20)", 20, relative_volume(20)),
    Feature("relative_volume_60", "ln", "ln(1 + volume / SMA 60)", 60, relative_volume(60)),
    Feature("relative_volume_240", "ln", "ln(1 + volume / SMA 240)", 240, relative_volume(240)),
    Feature("volume_score_60", "σ", "z-score of the volume over 60", 60, volume_score),
    Feature("volume_oscillator_5_20", "ratio", "SMA 5 / SMA 20 of the volume − 1", 20, volume_oscillator),
    Feature("volume_spread_60", "ratio", "std / mean of the volume", 60, volume_spread),
    Feature("on_balance_20", "−1..1", "Granville: change of OBV / volume", 21, on_balance(20)),
    Feature("on_balance_60", "−1..1", "Granville: change of OBV / volume", 61, on_balance(60)),
    Feature("money_flow_20", "−1..1", "Chaikin money flow: change of A/D / volume", 20, money_flow(20)),
    Feature("money_flow_60", "−1..1", "Chaikin money flow: change of A/D / volume", 60, money_flow(60)),
    Feature("money_flow_index_14", "−1..1", "Quong, Soudack: (MFI − 50) / 50", 15, money_flow_index),
    Feature("vwap_gap_20", "MTR", "(close − VWAP 20) / MTR 14", 20, vwap_gap(20)),
    Feature("vwap_gap_60", "MTR", "(close − VWAP 60) / MTR 14", 60, vwap_gap(60)),
    Feature("vwap_gap_240", "MTR", "(close − VWAP 240) / MTR 14", 240, vwap_gap(240)),
    Feature("force_13", "−1..1", "Elder: EMA 13 of move × volume, normalised", ema_taps(13) + 1, force),
    Feature("volume_sentiment_30", "−1..1", "Σ volume × body share / Σ volume", 30, sentiment(30)),
    Feature("volume_sentiment_240", "−1..1", "Σ volume × body share / Σ volume", 240, sentiment(240)),
    Feature("flow_divergence_60", "−1..1", "(net move / path − change of OBV / volume) / 2", 61, flow_divergence(60)),
    Feature("volume_slope_60", "per candle", "least-squares slope / mean", 60, volume_slope),
    Feature(
        "chaikin_oscillator_3_10", "ratio", "Chaikin: EMA 3 − EMA 10 / SMA 10 volume", ema_taps(10), chaikin_oscillator
    ),
    Feature("kyle_impact_60", "1", "Kyle: slope of return on signed volume, scaled", 61, price_impact(60)),
    Feature("return_volume_30", "−1..1", "correlation of return and volume", 31, return_volume(30)),
    Feature("illiquidity_20_240", "ln", "Amihud: |return| / money, 20 against 240", 241, illiquidity),
)
