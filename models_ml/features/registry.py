"""All features, in the order of the columns."""

import hashlib

from models_ml.features import (
    calendar,
    candlesticks,
    momentum,
    multi_timeframe,
    statistics,
    structure,
    trend,
    volatility,
    volume,
)
from models_ml.features.window import Feature

FEATURE_GROUPS: dict[str, tuple[Feature, ...]] = {
    "structure": structure.FEATURES,
    "trend": trend.FEATURES,
    "momentum": momentum.FEATURES,
    "volatility": volatility.FEATURES,
    "volume": volume.FEATURES,
    "candlesticks": candlesticks.FEATURES,
    "statistics": statistics.FEATURES,
    "multi_timeframe": multi_timeframe.FEATURES,
    "calendar": calendar.FEATURES,
}

VERSION = 1
"""Raise it whenever a formula changes under the same name: artifacts trained on the old one are then refused."""

FEATURES: tuple[Feature, ...] = tuple(feature for group in FEATURE_GROUPS.values() for feature in group)
COLUMNS: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
LOOKBACK: int = max(feature.lookback for feature in FEATURES)
"""Base candles, the row's own included, from which every column of one row is known."""

FEATURES_HASH: str = hashlib.sha256("\n".join((str(VERSION), *COLUMNS)).encode()).hexdigest()
