"""Levels, swings, sessions and the other forms that TA-Lib lacks, against plain loops over one instrument's candles."""

import math

import numpy as np
import pytest
import talib

from markets.values import FloatArray, IntArray
from models_ml.features import COLUMNS, LOOKBACK, build
from models_ml.features.talib_patterns import NAMES, PAUSE, TURNED, marks
from models_ml.features.window import Window
from tests.models_ml.features.plain_loops import (
    Reference,
    atr,
    broken,
    choppiness,
    day,
    day_place,
    divergence,
    double,
    fibonacci,
    flag,
    four_hours_efficiency,
    garch,
    head,
    hour_ratio,
    hours_return,
    hurst,
    keltner,
    kyle,
    leg,
    memory,
    middle,
    partial,
    pivot,
    point_of_control,
    quantile,
    reach,
    retracement,
    sar,
    senkou_a,
    session_vwap,
    sigma,
    supertrend,
    swing_gap,
    swing_trend,
    touches,
    triangle,
    value_gap,
    value_gap_balance,
    volume_below,
    wedge,
)
from tests.models_ml.features.walks import minutes, walk

STEPS = LOOKBACK + 1500
ROWS = range(LOOKBACK + 3, STEPS, 37)


@pytest.fixture(scope="module")
def times() -> IntArray:
    return minutes(STEPS)


@pytest.fixture(scope="module")
def candles() -> FloatArray:
    return walk(1, STEPS, seed=17, tick=1e-7)


@pytest.fixture(scope="module")
def built(times: IntArray, candles: FloatArray) -> FloatArray:
    matrix: FloatArray = build(times, candles)[0]
    return matrix


REFERENCES: dict[str, Reference] = {
    "ichimoku_tenkan": lambda c, _: float(c[-1, 3] - middle(c, 9)) / reach(c),
    "ichimoku_kijun": lambda c, _: float(c[-1, 3] - middle(c, 26)) / reach(c),
    "ichimoku_senkou_a": senkou_a,
    "ichimoku_senkou_b": lambda c, _: float(c[-1, 3] - middle(c, 52, 26)) / reach(c),
    "supertrend_direction": lambda c, t: supertrend(c, t)[0],
    "supertrend_gap": lambda c, t: supertrend(c, t)[1],
    "parabolic_sar_gap": sar,
    "keltner_place_20": keltner,
    "keltner_width_20": lambda c, t: 4e4 * float(atr(c) / talib.EMA(np.ascontiguousarray(c[:, 3]), 20)[-1]),
    "channel_width_20": lambda c, _: float(c[-20:, 1].max() - c[-20:, 2].min()) / (reach(c) * math.sqrt(20)),
    "channel_width_240": lambda c, _: float(c[-240:, 1].max() - c[-240:, 2].min()) / (reach(c) * math.sqrt(240)),
    "garch_forecast": garch,
    "garch_ratio": lambda c, t: garch(c, t) / sigma(c, 240) / 1e4,
    "choppiness_14": choppiness,
    "hurst_240": hurst,
    **{f"memory_{lag}_60": memory(lag) for lag in range(1, 11)},
    **{f"partial_memory_{lag}_60": partial(lag) for lag in range(2, 6)},
    "kyle_impact_60": kyle,
    "volume_sentiment_30": lambda c, _: float(
        ((c[-30:, 3] - c[-30:, 0]) / (c[-30:, 1] - c[-30:, 2]) * c[-30:, 4]).sum() / c[-30:, 4].sum()
    ),
    "volume_slope_60": lambda c, _: float(np.polyfit(np.arange(60), c[-60:, 4], 1)[0] / c[-60:, 4].mean()),
    "flow_divergence_60": lambda c, _: (
        float(
            (c[-1, 3] - c[-61, 3]) / np.abs(np.diff(c[-61:, 3])).sum()
            - (np.sign(np.diff(c[-61:, 3])) * c[-60:, 4]).sum() / c[-60:, 4].sum()
        )
        / 2
    ),
    "leg_direction_240": lambda c, _: 1.0 if leg(c)[2] else -1.0,
    "retracement_240": retracement,
    "fibonacci_gap_236": fibonacci(0.236),
    "fibonacci_gap_382": fibonacci(0.382),
    "fibonacci_gap_500": fibonacci(0.5),
    "fibonacci_gap_618": fibonacci(0.618),
    "pivot_gap": pivot(lambda h, lo, c: (h + lo + c) / 3),
    "pivot_standard_r1_gap": pivot(lambda h, lo, c: 2 * (h + lo + c) / 3 - lo),
    "pivot_standard_s1_gap": pivot(lambda h, lo, c: 2 * (h + lo + c) / 3 - h),
    "pivot_fibonacci_r1_gap": pivot(lambda h, lo, c: (h + lo + c) / 3 + 0.382 * (h - lo)),
    "pivot_fibonacci_s1_gap": pivot(lambda h, lo, c: (h + lo + c) / 3 - 0.382 * (h - lo)),
    "pivot_fibonacci_r2_gap": pivot(lambda h, lo, c: (h + lo + c) / 3 + 0.618 * (h - lo)),
    "pivot_fibonacci_s2_gap": pivot(lambda h, lo, c: (h + lo + c) / 3 - 0.618 * (h - lo)),
    "pivot_camarilla_r3_gap": pivot(lambda h, lo, c: c + 0.275 * (h - lo)),
    "pivot_camarilla_s3_gap": pivot(lambda h, lo, c: c - 0.275 * (h - lo)),
    "pivot_camarilla_r4_gap": pivot(lambda h, lo, c: c + 0.55 * (h - lo)),
    "pivot_camarilla_s4_gap": pivot(lambda h, lo, c: c - 0.55 * (h - lo)),
    "yesterday_high_gap": pivot(lambda h, lo, c: h),
    "yesterday_low_gap": pivot(lambda h, lo, c: lo),
    **{f"quantile_gap_{percent}_5m": quantile(percent) for percent in (10, 25, 50, 75, 90)},
    "resistance_touches_48_5m": touches,
    "point_of_control_gap_48_5m": point_of_control,
    "volume_below_48_5m": volume_below,
    "session_vwap_gap": session_vwap,
    "day_place": day_place,
    "day_deviation_ratio": hour_ratio(lambda c: sigma(c, 60)),
    "day_volume_ratio": hour_ratio(lambda c: float(c[-60:, 4].sum())),
    "swing_high_gap": swing_gap(1),
    "swing_low_gap": swing_gap(-1),
    "swing_trend": swing_trend,
    "break_of_structure": broken(against=False),
    "change_of_character": broken(against=True),
    "double_top_bottom": double,
    "head_and_shoulders": head,
    "triangle": triangle,
    "wedge": wedge,
    "flag": flag,
    "fair_value_gap_below": value_gap(1),
    "fair_value_gap_above": value_gap(-1),
    "fair_value_gap_balance_60": value_gap_balance,
    "rsi_divergence_14": divergence,
    "return_1_1d": day(hours_return),
    "efficiency_1d": day(lambda b: float((b[-1, 3] - b[-25, 3]) / np.abs(np.diff(b[-25:, 3])).sum())),
    "body_share_1d": day(lambda b: float((b[-1, 3] - b[-24, 0]) / (b[-24:, 1].max() - b[-24:, 2].min()))),
    "efficiency_10_4h": four_hours_efficiency,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_column_equals_a_plain_loop(name: str, times: IntArray, candles: FloatArray, built: FloatArray) -> None:
    column = COLUMNS.index(name)
    for row in ROWS:
        expected = REFERENCES[name](candles[0, : row + 1], times[: row + 1])
        assert built[row, column] == pytest.approx(expected, rel=1e-5, abs=2e-5), row


def test_marks_are_those_of_the_library(times: IntArray, candles: FloatArray) -> None:
    """All 61, as it gives them for the raw prices; where a comparison is a tie its own rounding may tip it."""
    parts = np.ascontiguousarray(candles[0, :, :4].T)
    found = marks(Window(times, np.moveaxis(candles, -1, 0).copy()), STEPS)[:, 0]
    assert len(set(NAMES)) == 61
    assert {f"CDL{name}" for name in NAMES} == {name for name in dir(talib) if name.startswith("CDL")}
    for name, ours in zip(NAMES, found, strict=True):
        theirs = np.sign(getattr(talib, f"CDL{name}")(*parts)) * TURNED.get(name, 1)
        assert np.mean(ours[50:] != theirs[50:]) < 0.002, name
    assert (found[[NAMES.index(name) for name in PAUSE]] != 0).any(axis=1).all()
