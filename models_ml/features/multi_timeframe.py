"""The same formulas on 5 minutes, 15 minutes and 1 hour, from complete candles of those only.

Bars are folded from the base candles on the clock's own grid. Look-backs stay within 21 bars, so that an hour's context
needs less than a day of minutes; hence plain sums here instead of exponential means.
"""

from models_ml.features.candlesticks import body_share
from models_ml.features.momentum import rsi_simple
from models_ml.features.trend import channel, efficiency, straightness
from models_ml.features.volatility import band_place, deviation, range_ratio
from models_ml.features.volume import relative_volume
from models_ml.features.window import Feature, scaled_return

TIMEFRAMES = {"5m": 5, "15m": 15, "1h": 60}

CONTEXT = (
    Feature("return_1", "σ", "ln(close / close before) / σ 20, per bar", 21, scaled_return(1, 20)),
    Feature("return_4", "σ", "ln(close / close 4 ago) / (σ 20 √4), per bar", 21, scaled_return(4, 20)),
    Feature("rsi_simple_14", "−1..1", "Cutler: RSI of plain sums, centred", 15, rsi_simple(14)),
    Feature("band_place_20", "−1..1 at the bands", "Bollinger 20, 2: 2 %B − 1", 20, band_place(20)),
    Feature("channel_20", "−1..1", "Donchian: place in the range of 20", 20, channel(20)),
    Feature("straightness_20", "−1..1", "signed R² of the least-squares line", 20, straightness(20)),
    Feature("efficiency_10", "−1..1", "Kaufman: net move / path", 11, efficiency(10)),
    Feature("deviation_20", "bp", "root mean square return", 21, deviation(20)),
    Feature("range_ratio_14", "ratio", "true range / mean true range 14", 15, range_ratio(14)),
    Feature("body_share", "−1..1", "(close − open) / (high − low)", 1, body_share),
    Feature("relative_volume_20", "ln", "ln(1 + volume / SMA 20)", 20, relative_volume(20)),
)

FEATURES = tuple(feature.on(minutes, label) for label, minutes in TIMEFRAMES.items() for feature in CONTEXT)
