"""The standard indicators against TA-Lib on a long walk, after its endless memory has faded."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import talib
from talib._ta_lib import MA_Type

from markets.values import FloatArray
from models_ml.features import COLUMNS, atr, build, indicators
from models_ml.features.rolling import TRUNCATION
from tests.models_ml.features.walks import minutes, walk

STEPS = 3000
WARM = 2000
SIMPLE = MA_Type.SMA
EXPONENTIAL = 2e-5
"""Tolerance where the cut of an exponential mean (1e-6 of the range of its values) shows, in the column's unit."""

Reference = Callable[[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]


def macd_over(part: int) -> Reference:
    return lambda o, h, lo, c, v: talib.MACD(c, 12, 26, 9)[part] / mean_range(h, lo, c)


def mean_range(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    return talib.SMA(talib.TRANGE(high, low, close), 14)


def deviation(close: FloatArray, length: int = 60) -> FloatArray:
    returns = np.diff(np.log(close), prepend=np.nan)
    return np.sqrt(talib.SMA(returns * returns, length))


def bands_place(close: FloatArray) -> FloatArray:
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    return 2 * (close - middle) / (upper - lower)


def donchian(high: FloatArray, low: FloatArray, close: FloatArray, length: int) -> FloatArray:
    top, bottom = talib.MAX(high, length), talib.MIN(low, length)
    return 2 * (close - bottom) / (top - bottom) - 1


def chaikin(o: FloatArray, h: FloatArray, lo: FloatArray, c: FloatArray, v: FloatArray) -> FloatArray:
    line = talib.AD(h, lo, c, v)
    return (line - np.roll(line, 20)) / talib.SUM(v, 20)


def granville(o: FloatArray, h: FloatArray, lo: FloatArray, c: FloatArray, v: FloatArray) -> FloatArray:
    line = talib.OBV(c, v)
    return (line - np.roll(line, 20)) / talib.SUM(v, 20)


def chaikin_oscillator(o: FloatArray, h: FloatArray, lo: FloatArray, c: FloatArray, v: FloatArray) -> FloatArray:
    """On the steps of the accumulation line."""
    flow = np.diff(talib.AD(h, lo, c, v), prepend=0)
    return (talib.EMA(flow, 3) - talib.EMA(flow, 10)) / talib.SMA(v, 10)


def choppiness(o: FloatArray, h: FloatArray, lo: FloatArray, c: FloatArray, v: FloatArray) -> FloatArray:
    before = np.roll(c, 1)
    top, bottom = talib.MAX(np.maximum(h, before), 60), talib.MIN(np.minimum(lo, before), 60)
    path: FloatArray = 60 * talib.SMA(talib.TRANGE(h, lo, c), 60) / (top - bottom)
    return np.log(path) / math.log(60)


def mean_gap(mean: Callable[[FloatArray, int], FloatArray], length: int) -> Reference:
    return lambda o, h, lo, c, v: (c - mean(c, length)) / mean_range(h, lo, c)


def moves(close: FloatArray) -> FloatArray:
    out: FloatArray = np.diff(close, prepend=close[0])
    return out


def round_step(close: FloatArray, digits: int) -> FloatArray:
    return np.array([10.0 ** (len(str(int(price))) - digits) for price in close])


REFERENCES: dict[str, tuple[Reference, float]] = {
    "rsi_7": (lambda o, h, lo, c, v: talib.RSI(c, 7) / 50 - 1, EXPONENTIAL),
    "rsi_14": (lambda o, h, lo, c, v: talib.RSI(c, 14) / 50 - 1, EXPONENTIAL),
    "natr_14": (lambda o, h, lo, c, v: talib.NATR(h, lo, c, 14) * 100, EXPONENTIAL),
    "macd_line": (macd_over(0), 1e-3),
    "macd_histogram": (macd_over(2), 1e-3),
    "adx_14": (lambda o, h, lo, c, v: talib.ADX(h, lo, c, 14) / 100, EXPONENTIAL),
    "directional_balance_14": (
        lambda o, h, lo, c, v: (talib.PLUS_DI(h, lo, c, 14) - talib.MINUS_DI(h, lo, c, 14)) / 100,
        EXPONENTIAL,
    ),
    "ema_gap_20": (lambda o, h, lo, c, v: (c - talib.EMA(c, 20)) / mean_range(h, lo, c), 1e-3),
    "ema_gap_50": (lambda o, h, lo, c, v: (c - talib.EMA(c, 50)) / mean_range(h, lo, c), 1e-3),
    "sma_gap_60": (lambda o, h, lo, c, v: (c - talib.SMA(c, 60)) / mean_range(h, lo, c), 1e-8),
    **{f"ema_gap_{n}": (mean_gap(talib.EMA, n), 1e-3) for n in (5, 10, 12, 26, 100, 200)},
    **{f"sma_gap_{n}": (mean_gap(talib.SMA, n), 1e-8) for n in (5, 10, 20, 50, 100, 200)},
    **{f"wma_gap_{n}": (mean_gap(talib.WMA, n), 1e-8) for n in (5, 10, 50, 100, 200)},
    "macd_signal": (macd_over(1), 1e-3),
    "rsi_21": (lambda o, h, lo, c, v: talib.RSI(c, 21) / 50 - 1, EXPONENTIAL),
    "rsi_simple_14": (lambda o, h, lo, c, v: talib.SUM(moves(c), 14) / talib.SUM(np.abs(moves(c)), 14), 1e-8),
    "rate_of_change_12": (lambda o, h, lo, c, v: talib.ROC(c, 12) * 100, 1e-8),
    "chaikin_oscillator_3_10": (chaikin_oscillator, 1e-5),
    "choppiness_60": (choppiness, 1e-9),
    "volume_sentiment_240": (
        lambda o, h, lo, c, v: talib.SUM((c - o) / (h - lo) * v, 240) / talib.SUM(v, 240),
        1e-9,
    ),
    "round_place_2": (lambda o, h, lo, c, v: 2 * (c / round_step(c, 2) - np.round(c / round_step(c, 2))), 1e-9),
    "round_place_3": (lambda o, h, lo, c, v: 2 * (c / round_step(c, 3) - np.round(c / round_step(c, 3))), 1e-9),
    "wma_gap_20": (lambda o, h, lo, c, v: (c - talib.WMA(c, 20)) / mean_range(h, lo, c), 1e-8),
    "band_place_20": (lambda o, h, lo, c, v: bands_place(c), 1e-5),
    "aroon_25": (lambda o, h, lo, c, v: talib.AROONOSC(h, lo, 25) / 100, 1e-12),
    "slope_20": (lambda o, h, lo, c, v: talib.LINEARREG_SLOPE(np.log(c), 20) / deviation(c), 1e-6),
    "stochastic_k_14_3": (lambda o, h, lo, c, v: talib.STOCH(h, lo, c, 14, 3, SIMPLE, 3, SIMPLE)[0] / 50 - 1, 1e-9),
    "stochastic_d_14_3_3": (lambda o, h, lo, c, v: talib.STOCH(h, lo, c, 14, 3, SIMPLE, 3, SIMPLE)[1] / 50 - 1, 1e-9),
    "williams_r_14": (lambda o, h, lo, c, v: talib.WILLR(h, lo, c, 14) / 50 + 1, 1e-9),
    "cci_20": (lambda o, h, lo, c, v: talib.CCI(h, lo, c, 20) / 100, 1e-8),
    "ultimate_7_14_28": (lambda o, h, lo, c, v: talib.ULTOSC(h, lo, c, 7, 14, 28) / 50 - 1, 1e-9),
    "money_flow_index_14": (lambda o, h, lo, c, v: talib.MFI(h, lo, c, v, 14) / 50 - 1, 1e-8),
    "money_flow_20": (chaikin, 1e-8),
    "on_balance_20": (granville, 1e-8),
    "channel_60": (lambda o, h, lo, c, v: donchian(h, lo, c, 60), 1e-9),
    "deviation_60": (lambda o, h, lo, c, v: deviation(c) * 1e4, 1e-6),
    "range_ratio_14": (lambda o, h, lo, c, v: talib.TRANGE(h, lo, c) / mean_range(h, lo, c), 1e-9),
    "volume_oscillator_5_20": (lambda o, h, lo, c, v: talib.SMA(v, 5) / talib.SMA(v, 20) - 1, 1e-9),
}


@pytest.fixture(scope="module")
def candles() -> FloatArray:
    # No ties: where a tie decides (MFI, OBV), conventions differ.
    return walk(1, STEPS, seed=8, tick=1e-7)


@pytest.fixture(scope="module")
def built(candles: FloatArray) -> FloatArray:
    matrix: FloatArray = build(minutes(STEPS), candles)[0]
    return matrix


@pytest.mark.parametrize("name", REFERENCES)
def test_column_equals_the_reference(name: str, candles: FloatArray, built: FloatArray) -> None:
    reference, tolerance = REFERENCES[name]
    expected = reference(*np.ascontiguousarray(candles[0].T))
    np.testing.assert_allclose(built[WARM:, COLUMNS.index(name)], expected[WARM:], rtol=0, atol=tolerance)


def test_chart_lines_equal_the_reference(candles: FloatArray) -> None:
    close = np.ascontiguousarray(candles[0, :, 3])
    lines = indicators(candles[0])
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    expected = {
        "ema_20": talib.EMA(close, 20),
        "ema_50": talib.EMA(close, 50),
        "bollinger_upper": upper,
        "bollinger_middle": middle,
        "bollinger_lower": lower,
        "rsi_14": talib.RSI(close, 14),
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": histogram,
    }
    assert lines.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(lines[name][WARM:], values[WARM:], rtol=0, atol=1e-4, err_msg=name)


def test_atr_equals_the_reference(candles: FloatArray) -> None:
    for length in (7, 14):
        _, high, low, close, _ = np.ascontiguousarray(candles[0].T)
        expected = talib.ATR(high, low, close, length)
        error = TRUNCATION * np.nanmax(talib.TRANGE(high, low, close))
        np.testing.assert_allclose(atr(candles, length)[0, WARM:], expected[WARM:], rtol=0, atol=error)


def test_engulfing_agrees_with_the_reference_where_it_speaks(candles: FloatArray, built: FloatArray) -> None:
    """TA-Lib asks for bodies that cover one another; where it sees one, so do we, with the same sign."""
    signs = np.sign(talib.CDLENGULFING(*np.ascontiguousarray(candles[0, :, :4].T)))
    ours = built[:, COLUMNS.index("pattern_engulfing")]
    seen = (signs != 0) & (np.arange(STEPS) > 50)
    assert seen.sum() > 100
    np.testing.assert_array_equal(ours[seen], signs[seen])
