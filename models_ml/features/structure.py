"""Returns over several spans and the place of price among its recent extremes."""

import numpy as np

from markets.values import FloatArray
from models_ml.features.rolling import ratio, rolling_max, rolling_mean, shifted, steps_since_max
from models_ml.features.trend import channel, channel_break
from models_ml.features.window import Feature, Formula, Window, scaled_return

SPANS = (1, 2, 3, 5, 10, 15, 30, 60)
LONGEST_STREAK = 8


def opening_gap(w: Window) -> FloatArray:
    """ln(open / close before) / σ 60."""
    return ratio(np.log(w.open) - shifted(w.log_close, 1), w.deviation(60))


def drawdown(length: int) -> Formula:
    """ln(close / highest close) / (σ √length): 0 at a new high."""
    return lambda w: ratio(w.log_close - rolling_max(w.log_close, length), w.deviation(length) * np.sqrt(length))


def age_of_high(length: int) -> Formula:
    """Candles since the highest high / length."""
    return lambda w: steps_since_max(w.high, length) / length


def age_of_low(length: int) -> Formula:
    """Candles since the lowest low / length."""
    return lambda w: steps_since_max(-w.low, length) / length


def rise_balance(length: int) -> Formula:
    """(Rises − falls) / candles."""
    return lambda w: rolling_mean(np.sign(w.moves), length)


def streak(w: Window) -> FloatArray:
    """Length of the run of moves of one sign, signed and capped at eight, / 8."""
    sign = np.sign(w.moves)
    run = sign.copy()
    alike = np.ones_like(sign)
    for age in range(1, LONGEST_STREAK):
        earlier = shifted(sign, age)
        alike *= earlier == sign
        run += alike * earlier
    return run / LONGEST_STREAK


FEATURES = (
    *(
        Feature(f"return_{span}", "σ", f"ln(close / close {span} ago) / (σ 60 √{span})", 61, scaled_return(span, 60))
        for span in SPANS
    ),
    Feature("opening_gap", "σ", "ln(open / close before) / σ 60", 61, opening_gap),
    Feature("channel_20", "−1..1", "Donchian: place in the range of 20", 20, channel(20)),
    Feature("channel_60", "−1..1", "Donchian: place in the range of 60", 60, channel(60)),
    Feature("channel_240", "−1..1", "Donchian: place in the range of 240", 240, channel(240)),
    Feature("channel_break_20", "MTR", "close beyond the range before / MTR 14", 21, channel_break(20)),
    Feature("drawdown_60", "σ", "ln(close / highest close of 60) / (σ 60 √60)", 61, drawdown(60)),
    Feature("age_of_high_60", "share", "candles since the highest high / 60", 60, age_of_high(60)),
    Feature("age_of_low_60", "share", "candles since the lowest low / 60", 60, age_of_low(60)),
    Feature("rise_balance_10", "−1..1", "(rises − falls) / 10", 11, rise_balance(10)),
    Feature("rise_balance_30", "−1..1", "(rises − falls) / 30", 31, rise_balance(30)),
    Feature("streak", "−1..1", "run of moves of one sign, capped at 8, / 8", LONGEST_STREAK + 1, streak),
)
