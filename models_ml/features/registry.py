"""All features, in the order of the columns."""

from models_ml.features import (
    alignment,
    calendar,
    candlesticks,
    footing,
    levels,
    momentum,
    multi_timeframe,
    sessions,
    statistics,
    structure,
    swings,
    talib_patterns,
    trend,
    volatility,
    volume,
    volume_profile,
)
from models_ml.features.window import Feature

FEATURE_GROUPS: dict[str, tuple[Feature, ...]] = {
    "structure": structure.FEATURES,
    "trend": trend.FEATURES,
    "momentum": momentum.FEATURES,
    "volatility": volatility.FEATURES,
    "volume": (*volume.FEATURES, *volume_profile.FEATURES, *sessions.VOLUME),
    "candlesticks": (*candlesticks.FEATURES, *talib_patterns.FEATURES),
    "footing": footing.FEATURES,
    "swings": swings.FEATURES,
    "levels": levels.FEATURES,
    "sessions": sessions.FEATURES,
    "statistics": statistics.FEATURES,
    "multi_timeframe": multi_timeframe.FEATURES,
    "alignment": alignment.FEATURES,
    "calendar": calendar.FEATURES,
}

VERSION = 2
"""Raise it whenever a formula changes under the same name: artifacts trained on the old one are then refused."""

FEATURES: tuple[Feature, ...] = tuple(feature for group in FEATURE_GROUPS.values() for feature in group)
COLUMNS: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
LOOKBACK: int = max(feature.lookback for feature in FEATURES)
"""Base candles, the row's own included, from which every column of one row is known."""

WARM_UP: int = sorted(feature.lookback for feature in FEATURES)[int(0.9 * len(FEATURES))]
"""Base candles from which nine columns of ten are known: enough to learn from and to vote on."""

NO_SOURCE: dict[str, str] = {
    "liquidations": "FE-66: forced liquidations of perpetual contracts; funding and open interest are columns",
    "social_sentiment": "FE-68: social media sentiment, trending topics, influencers",
    "whale_moves": "FE-71: large transfers on chain",
    "cot_positioning": "FE-72: commitments of traders",
    "on_chain": "FE-73: on-chain metrics",
    "bond_correlation": "FE-76: correlation with bonds; with other instruments and the dollar there are columns",
    "implied_volatility": "FE-81: implied volatility of options",
}
"""What has no source yet. These are no columns: a made-up zero would be learned as a fact."""
