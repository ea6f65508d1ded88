"""The lines and marks that pages draw, in price units, from the same rolling forms as the features."""

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.features.candlesticks import FEATURES as CANDLE_FEATURES
from models_ml.features.matrix import known_fields
from models_ml.features.momentum import strength
from models_ml.features.rolling import change, ema, ema_taps, mean_and_std, rolling_sum, wilder, wilder_taps
from models_ml.features.trend import macd
from models_ml.features.volatility import BAND_WIDTH
from models_ml.features.window import Window

CHART_LOOKBACK = ema_taps(50) + 1
"""Candles to load before the first one shown, so that every line is the features' own."""

HIDDEN = {"ema_20": 19, "ema_50": 49, "rsi_14": 14, "macd": 25, "macd_signal": 33, "macd_histogram": 33}
"""First candles of a chart on which an exponential line is not drawn: it has not lived its own span yet."""


def indicators(ohlcv: FloatArray) -> dict[str, FloatArray]:
    """Chart lines of candles (T, 5) of any timeframe.

    Args:
        ohlcv: open, high, low, close, volume; a missing candle (NaN) is skipped: a chart draws the candles there are.

    Returns:
        Arrays (T,) in price units: ema_20, ema_50, bollinger_upper, bollinger_middle, bollinger_lower (20, 2),
        rsi_14 (0..100), macd, macd_signal, macd_histogram (12, 26, 9). NaN where unknown. Exponential lines start
        from the first close, as charts do, and equal the features' own from `CHART_LOOKBACK` candles on.
    """
    fields, missing = known_fields(ohlcv)
    close = fields[3][~missing]
    with np.errstate(invalid="ignore", divide="ignore"):
        lines = _lines(close) if len(close) else {}
    return {name: _placed(lines.get(name), ~missing) for name in LINES}


LINES = (
    "ema_20",
    "ema_50",
    "bollinger_upper",
    "bollinger_middle",
    "bollinger_lower",
    "rsi_14",
    "macd",
    "macd_signal",
    "macd_histogram",
)


def _lines(close: FloatArray) -> dict[str, FloatArray]:
    """Lines over closes without gaps (n,)."""
    seed = 2 * ema_taps(50)
    long = np.concatenate([np.full(seed, close[0]), close])
    line, signal = macd(long)
    middle, std = mean_and_std(close, 20)
    seeded = {
        "ema_20": ema(long, 20),
        "ema_50": ema(long, 50),
        "rsi_14": 50 + 50 * strength(change(long), 14),
        "macd": line,
        "macd_signal": signal,
        "macd_histogram": line - signal,
    }
    lines = {name: values[seed:] for name, values in seeded.items()}
    for name, values in lines.items():
        values[: HIDDEN[name]] = np.nan
    lines |= {"bollinger_middle": middle}
    lines |= {"bollinger_upper": middle + BAND_WIDTH * std, "bollinger_lower": middle - BAND_WIDTH * std}
    return lines


def _placed(values: FloatArray | None, where: NDArray[np.bool_]) -> FloatArray:
    out = np.full(where.shape, np.nan)
    if values is not None:
        out[where] = values
    return out


def atr(ohlcv: FloatArray, length: int = 14) -> FloatArray:
    """Wilder's average true range (I, T) of candles (I, T, 5), in price units; NaN where its look-back has a gap."""
    fields, _ = known_fields(ohlcv)
    with np.errstate(invalid="ignore"):
        return wilder(Window(np.arange(ohlcv.shape[1]), fields).true_range, length)


def atr_lookback(length: int = 14) -> int:
    """Candles from which `atr` is known."""
    return wilder_taps(length) + 1


PATTERNS = tuple(feature for feature in CANDLE_FEATURES if feature.name.startswith("pattern_"))
PATTERN_LOOKBACK = max(feature.lookback for feature in PATTERNS)


def patterns(ohlcv: FloatArray, rows: int | None = None) -> NDArray[np.int8]:
    """What the candlesticks say at each candle: 1 more bullish patterns than bearish, −1 the reverse, else 0.

    Args:
        ohlcv: (I, T, 5); not mutated.
        rows: candles wanted, from the end; None for all. A live decision wants one, at a hundredth of the cost.

    Returns:
        (I, rows). 0 also where a candle of `PATTERN_LOOKBACK` is missing: what is unknown confirms nothing.
    """
    steps = ohlcv.shape[1]
    rows = steps if rows is None else min(rows, steps)
    seen = ohlcv[:, max(steps - rows - PATTERN_LOOKBACK + 1, 0) :]
    fields, missing = known_fields(seen)
    window = Window(np.arange(seen.shape[1]), fields)
    votes: FloatArray = np.zeros(missing.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        for feature in PATTERNS:
            votes += feature.of(window)
    votes[~whole(missing, PATTERN_LOOKBACK)] = 0
    return np.sign(votes[:, votes.shape[1] - rows :]).astype(np.int8)


def whole(missing: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Where (I, T) all of the last `length` candles are there."""
    return np.equal(rolling_sum(missing.astype(np.float64), length), 0)
