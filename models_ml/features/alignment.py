"""How far the timeframes agree, and how many levels stand together: values of other columns taken together.

A value is unknown where one of its parts is.
"""

from collections.abc import Iterable

import numpy as np

from markets.values import FloatArray
from models_ml.features import levels, momentum, multi_timeframe, swings, trend
from models_ml.features.rolling import ratio
from models_ml.features.window import Blend, Feature, Window

SOURCES = {
    feature.name: feature
    for module in (trend, momentum, multi_timeframe, levels, swings)
    for feature in module.FEATURES
}

TREND = ("straightness_20", *(f"straightness_20_{frame}" for frame in ("5m", "15m", "30m", "1h")), "straightness_10_4h")
STRENGTH = ("rsi_simple_14", *(f"rsi_simple_14_{frame}" for frame in ("5m", "15m", "30m", "1h")), "rsi_simple_10_4h")
SWINGS = ("swing_trend", *(f"swing_trend_{frame}" for frame in ("5m", "15m", "30m", "1h")))
MINUTES = np.array([1, 5, 15, 30, 60, 240], dtype=np.float64)

VIEW = ("return_4", "rsi_simple_14", "band_place_20", "channel_20", "straightness_20", "efficiency_10")
LONG_VIEW = ("return_4", "rsi_simple_10", "band_place_10", "channel_10", "straightness_10", "efficiency_10")
DAY_VIEW = ("return_1", "rsi_simple", "band_place", "channel", "straightness", "efficiency")
VIEWS = {
    **{frame: tuple(f"{name}_{frame}" for name in VIEW) for frame in ("5m", "15m", "30m", "1h")},
    "4h": tuple(f"{name}_4h" for name in LONG_VIEW),
    "1d": tuple(f"{name}_1d" for name in DAY_VIEW),
}
"""Six readings of each timeframe that are compared with those of the next."""

LEVELS = (
    *(f"fibonacci_gap_{name}" for name in levels.FIBONACCI),
    "swing_high_gap",
    "swing_low_gap",
    "ema_gap_50",
    "ema_gap_200",
    "sma_gap_200",
    "resistance_gap_48_5m",
    "support_gap_48_5m",
)
"""Distances of the close from levels, in MTR."""


FAR = 20.0
"""MTR beyond which a level is no target."""


def never(_: Window) -> FloatArray:
    """No formula over candles: the value is blended from columns."""
    raise AssertionError("a blended feature is computed from its parts")


def blended(name: str, unit: str, source: str, parts: Iterable[str], blend: Blend) -> Feature:
    """A feature over other columns; its look-back is their longest."""
    names = tuple(parts)
    return Feature(name, unit, source, max(SOURCES[part].lookback for part in names), never, parts=names, blend=blend)


def total(values: FloatArray) -> FloatArray:
    """Sum over the parts, one after the other: numpy's own order depends on the shape, and so would the last bits."""
    whole: FloatArray = sum(values[1:], values[0])
    return whole


def agreement(values: FloatArray) -> FloatArray:
    """Mean sign."""
    return total(np.sign(values)) / len(values)


def weighted(values: FloatArray) -> FloatArray:
    """Mean weighted by the root of the timeframe: a longer one is rarer and counts more."""
    weights = np.sqrt(MINUTES[: len(values)])
    return total(values * (weights / weights.sum())[:, None, None])


def likeness(values: FloatArray) -> FloatArray:
    """Cosine between the first and the second half of the parts: −1..1, 0 where one of them is all 0."""
    first, second = values[: len(values) // 2], values[len(values) // 2 :]
    sizes = np.sqrt(total(first * first)) * np.sqrt(total(second * second))
    alike: FloatArray = np.clip(ratio(total(first * second), sizes), -1, 1)
    return alike


def support_strength(values: FloatArray) -> FloatArray:
    """Σ e^−distance of the levels at or below the close, per level."""
    return total(np.where(values >= 0, np.exp(-np.abs(values)), values * 0)) / len(values)


def resistance_strength(values: FloatArray) -> FloatArray:
    """Σ e^−distance of the levels above the close, per level."""
    return total(np.where(values < 0, np.exp(-np.abs(values)), values * 0)) / len(values)


def room(values: FloatArray) -> FloatArray:
    """(Way to the nearest level above − way to the nearest below) / both: risk against reward, −1..1.

    A side without a level counts as `FAR`.
    """
    spoilt = np.isnan(values).any(axis=0)
    above = np.where(values < 0, -values, FAR).min(axis=0, initial=FAR)
    below = np.where(values >= 0, values, FAR).min(axis=0, initial=FAR)
    return np.where(spoilt, np.nan, ratio(above - below, above + below))


PAIRS = tuple(zip(list(VIEWS)[:-1], list(VIEWS)[1:], strict=True))

FEATURES = (
    blended("trend_agreement", "−1..1", "mean sign of straightness, 1m to 4h", TREND, agreement),
    blended("trend_alignment", "−1..1", "mean of straightness, 1m to 4h, weights √minutes", TREND, weighted),
    blended("strength_agreement", "−1..1", "mean sign of RSI, 1m to 4h", STRENGTH, agreement),
    blended("strength_alignment", "−1..1", "mean of RSI, 1m to 4h, weights √minutes", STRENGTH, weighted),
    blended("swing_alignment", "−1..1", "mean of swing trends, 1m to 1h, weights √minutes", SWINGS, weighted),
    *(
        blended(
            f"likeness_{a}_{b}", "−1..1", f"cosine of six readings on {a} and {b}", (*VIEWS[a], *VIEWS[b]), likeness
        )
        for a, b in (*PAIRS, ("5m", "1h"), ("1h", "1d"))
    ),
    blended("support_confluence", "0..1", "mean e^−distance of the levels below", LEVELS, support_strength),
    blended("resistance_confluence", "0..1", "mean e^−distance of the levels above", LEVELS, resistance_strength),
    blended("level_room", "−1..1", "(way up − way down) / both, to the nearest levels", LEVELS, room),
)
