"""Features: one function for training, replay and live, and the same forms for charts. Only numpy is loaded."""

from models_ml.features.charts import CHART_LOOKBACK, atr, indicators, patterns
from models_ml.features.matrix import BadCandlesError, build
from models_ml.features.registry import COLUMNS, FEATURE_GROUPS, FEATURES, LOOKBACK, NO_SOURCE, WARM_UP
from models_ml.features.vector import FEATURES_HASH, VECTOR, build_last, build_rows, build_vector, dollar_sides
from models_ml.features.window import Feature, Window

__all__ = [
    "CHART_LOOKBACK",
    "COLUMNS",
    "FEATURES",
    "FEATURES_HASH",
    "FEATURE_GROUPS",
    "LOOKBACK",
    "NO_SOURCE",
    "VECTOR",
    "WARM_UP",
    "BadCandlesError",
    "Feature",
    "Window",
    "atr",
    "build",
    "build_last",
    "build_rows",
    "build_vector",
    "dollar_sides",
    "indicators",
    "patterns",
]
