"""The same formulas on 5, 15 and 30 minutes, 1 and 4 hours and a day, from complete candles of those only.

Bars are folded from the base candles on the clock's own grid; the day is the last 24 complete hours, for a day of the
calendar would stand still for a day. Look-backs stay within 21 bars (11 of 4 hours), so that two days of minutes are
enough for all of it; hence plain sums here instead of exponential means. Four hours and a day can do without a
twentieth of their minutes: a single gap would blind them for two days.
"""

from dataclasses import replace

from markets.values import FloatArray
from models_ml.features.candlesticks import body_share
from models_ml.features.momentum import rsi_simple
from models_ml.features.rolling import gap, ratio, rolling_max, rolling_sum, shifted
from models_ml.features.swings import break_of_structure, swing_trend, swings_lookback, value_gap_balance
from models_ml.features.trend import channel, efficiency, straightness
from models_ml.features.volatility import band_place, deviation, range_ratio
from models_ml.features.volume import relative_volume
from models_ml.features.window import Feature, Window, scaled_return

TIMEFRAMES = {"5m": 5, "15m": 15, "30m": 30, "1h": 60}
LONG = {"4h": 240}
HOLES = 0.05
DAY = 24
"""Hours."""

WING, REACH, EVENT = 2, 12, 4

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
    Feature(
        "swing_trend",
        "−1..1",
        "higher highs and lows − lower ones",
        swings_lookback(WING, REACH),
        swing_trend(WING, REACH, EVENT),
    ),
    Feature(
        "break_of_structure",
        "−1, 0, 1",
        f"last break with the trend, {EVENT}",
        swings_lookback(WING, REACH) + EVENT,
        break_of_structure(WING, REACH, EVENT),
    ),
    Feature("fair_value_gap_balance", "−1..1", "gaps up − down / true ranges, 12", 14, value_gap_balance(12)),
)

LONG_CONTEXT = (
    Feature("return_1", "σ", "ln(close / close before) / σ 10, per bar", 11, scaled_return(1, 10)),
    Feature("return_4", "σ", "ln(close / close 4 ago) / (σ 10 √4), per bar", 11, scaled_return(4, 10)),
    Feature("rsi_simple_10", "−1..1", "Cutler: RSI of plain sums, centred", 11, rsi_simple(10)),
    Feature("band_place_10", "−1..1 at the bands", "Bollinger 10, 2: 2 %B − 1", 10, band_place(10)),
    Feature("channel_10", "−1..1", "Donchian: place in the range of 10", 10, channel(10)),
    Feature("straightness_10", "−1..1", "signed R² of the least-squares line", 10, straightness(10)),
    Feature("efficiency_10", "−1..1", "Kaufman: net move / path", 11, efficiency(10)),
    Feature("deviation_10", "bp", "root mean square return", 11, deviation(10)),
    Feature("range_ratio_10", "ratio", "true range / mean true range 10", 11, range_ratio(10)),
    Feature("body_share", "−1..1", "(close − open) / (high − low)", 1, body_share),
    Feature("relative_volume_10", "ln", "ln(1 + volume / SMA 10)", 10, relative_volume(10)),
)


def day_body(w: Window) -> FloatArray:
    """(close − open) / (high − low) of the day."""
    return ratio(w.close - shifted(w.open, DAY - 1), w.highest(DAY) - w.lowest(DAY))


def day_breadth(w: Window) -> FloatArray:
    """(high − low) of the day / mean true range of its hours."""
    return ratio(w.highest(DAY) - w.lowest(DAY), rolling_sum(w.true_range, DAY) / DAY)


def day_drawdown(w: Window) -> FloatArray:
    """ln(close / highest close of the day) / (σ √24)."""
    return ratio(gap(w.log_close, rolling_max(w.log_close, DAY)), w.deviation(DAY) * DAY**0.5)


DAILY = (
    Feature("return_1", "σ", "ln(close / close a day ago) / (σ of 24 hours √24)", 25, scaled_return(DAY, DAY)),
    Feature("rsi_simple", "−1..1", "Cutler: RSI of plain sums of 24 hours, centred", 25, rsi_simple(DAY)),
    Feature("band_place", "−1..1 at the bands", "Bollinger of 24 hours: 2 %B − 1", DAY, band_place(DAY)),
    Feature("channel", "−1..1", "Donchian: place in the range of 24 hours", DAY, channel(DAY)),
    Feature("straightness", "−1..1", "signed R² of the least-squares line, 24 hours", DAY, straightness(DAY)),
    Feature("efficiency", "−1..1", "Kaufman: net move / path, 24 hours", 25, efficiency(DAY)),
    Feature("deviation", "bp", "root mean square hourly return, 24 hours", 25, deviation(DAY)),
    Feature("breadth", "ratio", "range of 24 hours / their mean true range", 25, day_breadth),
    Feature("body_share", "−1..1", "(close − open) / (high − low) of 24 hours", DAY, day_body),
    Feature("drawdown", "σ", "ln(close / highest close) / (σ √24)", 25, day_drawdown),
    Feature("relative_volume", "ln", "ln(1 + volume / SMA 24), per hour", DAY, relative_volume(DAY)),
)

FEATURES = (
    *(feature.on(minutes, label) for label, minutes in TIMEFRAMES.items() for feature in CONTEXT),
    *(replace(feature.on(minutes, label), holes=HOLES) for label, minutes in LONG.items() for feature in LONG_CONTEXT),
    *(
        replace(
            feature.on(60, "1d"), holes=HOLES, known="close of the last complete hour, at or before the row's close"
        )
        for feature in DAILY
    ),
)
