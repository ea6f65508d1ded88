"""Where price stands against its own path. Distances are in mean true ranges (MTR), so that instruments compare."""

import numpy as np

from markets.values import FloatArray
from models_ml.features.rolling import (
    change,
    ema,
    ema_taps,
    gap,
    latest,
    line_fit,
    linear_mean,
    padded,
    ratio,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum,
    shifted,
    steps_since_max,
    wilder,
    wilder_taps,
)
from models_ml.features.window import Feature, Formula, Window

CLOUD_SHIFT = 26
SUPERTREND_LENGTH, SUPERTREND_FACTOR, SUPERTREND_MEMORY = 10, 3, 30

SAR_BLOCK, SAR_WARM = 30 * 60, 60
"""Seconds of one block of rows, and the candles before it that its run starts from."""


def ema_gap(span: int) -> Formula:
    """(close − EMA) / MTR."""
    return lambda w: ratio(gap(w.wanted(w.close), w.wanted(ema(w.close, span))), w.wanted(w.near.reach))


def sma_gap(length: int) -> Formula:
    """(close − SMA) / MTR."""
    return lambda w: ratio(gap(w.close, rolling_mean(w.close, length)), w.reach)


def wma_gap(length: int) -> Formula:
    """(close − WMA) / MTR."""
    return lambda w: ratio(gap(w.close, linear_mean(w.close, length)), w.reach)


def macd(close: FloatArray) -> tuple[FloatArray, FloatArray]:
    """MACD line EMA(12) − EMA(26) and its signal EMA(9), in price units (Appel 1979)."""
    line = gap(ema(close, 12), ema(close, 26))
    return line, ema(line, 9)


def macd_line(w: Window) -> FloatArray:
    """MACD line / MTR."""
    return ratio(gap(ema(w.close, 12), ema(w.close, 26)), w.reach)


def macd_histogram(w: Window) -> FloatArray:
    """(MACD line − signal) / MTR."""
    line, signal = macd(w.close)
    return ratio(line - signal, w.reach)


def macd_signal(w: Window) -> FloatArray:
    """MACD signal / MTR."""
    return ratio(macd(w.close)[1], w.reach)


def directional_moves(w: Window) -> tuple[FloatArray, FloatArray]:
    """Wilder's +DM and −DM (1978), smoothed: the larger of the two outward moves, when outward at all."""
    up, down = change(w.high), -change(w.low)
    plus = np.maximum(up, 0) * (up > down)
    minus = np.maximum(down, 0) * (down > up)
    return wilder(plus, 14), wilder(minus, 14)


def line(w: Window, length: int) -> tuple[FloatArray, FloatArray]:
    """Slope and R² of the least-squares line through the log close."""
    return w.shared(f"line {length}", lambda: line_fit(w.log_close, length)[1:])


def directional_balance(w: Window) -> FloatArray:
    """(+DI − −DI) / 100."""
    plus, minus = directional_moves(w)
    return ratio(plus - minus, w.atr)


def adx(w: Window) -> FloatArray:
    """ADX / 100: Wilder mean of |+DM − −DM| / (+DM + −DM)."""
    plus, minus = directional_moves(w)
    return wilder(ratio(np.abs(plus - minus), plus + minus), 14)


def aroon(length: int) -> Formula:
    """Aroon oscillator / 100 (Chande 1995)."""

    def of(w: Window) -> FloatArray:
        return (steps_since_max(-w.low, length + 1) - steps_since_max(w.high, length + 1)) / length

    return of


def slope(length: int, scale: int = 60) -> Formula:
    """Least-squares slope of the log close per candle, in standard deviations of a return."""
    return lambda w: ratio(line(w, length)[0], w.deviation(scale))


def straightness(length: int) -> Formula:
    """R² of the least-squares line through the log close, with the sign of its slope."""

    def of(w: Window) -> FloatArray:
        rise, fit = line(w, length)
        return fit * np.sign(rise)

    return of


def efficiency(length: int) -> Formula:
    """Net move / path walked (Kaufman 1995), signed."""
    return lambda w: ratio(change(w.close, length), rolling_sum(np.abs(w.moves), length))


def vortex(length: int) -> Formula:
    """VI+ − VI− (Botes and Siepman 2010)."""

    def of(w: Window) -> FloatArray:
        steps = w.close.shape[-1]
        up = padded(np.abs(w.high[..., 1:] - w.low[..., :-1]), steps)
        down = padded(np.abs(w.low[..., 1:] - w.high[..., :-1]), steps)
        return ratio(rolling_sum(up - down, length), rolling_sum(w.true_range, length))

    return of


def middle(w: Window, length: int) -> FloatArray:
    """Middle of the range of `length` candles."""
    return (w.highest(length) + w.lowest(length)) / 2


def ichimoku_turn(w: Window) -> FloatArray:
    """(Tenkan 9 − Kijun 26) / MTR (Hosoda 1969)."""
    return ratio(middle(w, 9) - middle(w, 26), w.reach)


def ichimoku_cloud(w: Window) -> FloatArray:
    """Distance of the close from the cloud drawn 26 candles ago (0 inside it) / MTR."""
    first = (middle(w, 9) + middle(w, 26)) / 2
    second = middle(w, 52)
    top = shifted(np.maximum(first, second), CLOUD_SHIFT)
    bottom = shifted(np.minimum(first, second), CLOUD_SHIFT)
    return ratio(np.maximum(w.close - top, 0) + np.minimum(w.close - bottom, 0), w.reach)


def ichimoku_middle(length: int) -> Formula:
    """(close − middle of the range) / MTR: Tenkan of 9, Kijun of 26."""
    return lambda w: ratio(w.close - middle(w, length), w.reach)


def spans(w: Window) -> tuple[FloatArray, FloatArray]:
    """Senkou A and B as they stand at the row: drawn `CLOUD_SHIFT` candles ago."""
    first = (middle(w, 9) + middle(w, 26)) / 2
    return shifted(first, CLOUD_SHIFT), shifted(middle(w, 52), CLOUD_SHIFT)


def span_gap(part: int) -> Formula:
    """(close − Senkou A or B) / MTR."""
    return lambda w: ratio(w.close - spans(w)[part], w.reach)


def supertrend(w: Window) -> tuple[FloatArray, FloatArray]:
    """Direction and stop of the Supertrend (Seban) of ATR 10 and factor 3, from 40 candles.

    The ratchet of the usual form remembers for ever. Here the stop is the tightest band of ten candles, the direction
    that of the last close through the stop before it within thirty; 0 where none was.
    """

    def make() -> tuple[FloatArray, FloatArray]:
        reach = SUPERTREND_FACTOR * rolling_mean(w.true_range, SUPERTREND_LENGTH)
        centre = (w.high + w.low) / 2
        under = rolling_max(centre - reach, SUPERTREND_LENGTH)
        over = rolling_min(centre + reach, SUPERTREND_LENGTH)
        broken = (w.close > shifted(over, 1)).astype(np.float64) - (w.close < shifted(under, 1))
        direction = latest(broken, SUPERTREND_MEMORY)
        return direction, np.where(direction > 0, under, over)

    return w.shared("supertrend", make)


def supertrend_direction(w: Window) -> FloatArray:
    """1 up, −1 down, 0 without a break."""
    return supertrend(w)[0]


def supertrend_gap(w: Window) -> FloatArray:
    """(close − stop) / MTR, 0 without a direction."""
    direction, stop = supertrend(w)
    return ratio(gap(w.close, stop), w.reach) * np.abs(direction)


def sar(w: Window) -> FloatArray:
    """(close − parabolic SAR) / MTR (Wilder 1978; TA-Lib, 0.02, 0.2), begun anew for every half hour of the clock.

    Each half hour reads the SAR of a run that starts `SAR_WARM` candles before it: the endless memory is cut where the
    clock says, so that every start of the data gives the same value.
    """
    import talib  # only who computes features pays for it

    rows, steps = len(w.wanted_times), w.close.shape[-1]
    blocks = w.open_times // SAR_BLOCK
    first = int(np.searchsorted(blocks, blocks[steps - rows]))
    starts: list[int] = (first + np.flatnonzero(np.diff(blocks[first:], prepend=-1))).tolist()
    out = np.full((w.close.shape[0], steps - first), np.nan)
    high, low = np.nan_to_num(w.high), np.nan_to_num(w.low)
    for start, end in zip(starts, [*starts[1:], steps], strict=True):
        run = slice(max(start - SAR_WARM, 0), end)
        for place in range(len(out) if end - run.start > 1 else 0):
            values = talib.SAR(high[place, run], low[place, run])
            out[place, start - first : end - first] = values[start - run.start :]
    return ratio(w.wanted(w.close) - w.wanted(out), w.wanted(w.reach))


def channel(length: int) -> Formula:
    """Close in the Donchian channel: −1 at its lowest low, 1 at its highest high."""

    def of(w: Window) -> FloatArray:
        top, bottom = w.highest(length), w.lowest(length)
        return ratio((w.close - bottom) - (top - w.close), top - bottom)

    return of


def channel_break(length: int) -> Formula:
    """Distance of the close from the channel of the `length` candles before (0 inside it) / MTR."""

    def of(w: Window) -> FloatArray:
        top = shifted(rolling_max(w.high, length), 1)
        bottom = shifted(rolling_min(w.low, length), 1)
        return ratio(np.maximum(w.close - top, 0) + np.minimum(w.close - bottom, 0), w.reach)

    return of


FEATURES = (
    Feature("ema_gap_10", "MTR", "(close − EMA 10) / MTR 14", ema_taps(10), ema_gap(10)),
    Feature("ema_gap_20", "MTR", "(close − EMA 20) / MTR 14: Keltner position", ema_taps(20), ema_gap(20)),
    Feature("ema_gap_50", "MTR", "(close − EMA 50) / MTR 14", ema_taps(50), ema_gap(50)),
    *(
        Feature(f"ema_gap_{span}", "MTR", f"(close − EMA {span}) / MTR 14", max(ema_taps(span), 15), ema_gap(span))
        for span in (5, 12, 26, 100, 200)
    ),
    Feature("sma_gap_20", "MTR", "(close − SMA 20) / MTR 14", 20, sma_gap(20)),
    Feature("sma_gap_60", "MTR", "(close − SMA 60) / MTR 14", 60, sma_gap(60)),
    Feature("sma_gap_200", "MTR", "(close − SMA 200) / MTR 14", 200, sma_gap(200)),
    *(
        Feature(f"sma_gap_{length}", "MTR", f"(close − SMA {length}) / MTR 14", max(length, 15), sma_gap(length))
        for length in (5, 10, 50, 100)
    ),
    *(
        Feature(f"wma_gap_{length}", "MTR", f"(close − WMA {length}) / MTR 14", max(length, 15), wma_gap(length))
        for length in (5, 10, 20, 50, 100, 200)
    ),
    Feature("macd_line", "MTR", "Appel: (EMA 12 − EMA 26) / MTR 14", ema_taps(26), macd_line),
    Feature("macd_signal", "MTR", "Appel: EMA 9 of the line / MTR 14", ema_taps(26) + ema_taps(9) - 1, macd_signal),
    Feature("macd_histogram", "MTR", "Appel: line − EMA 9 of it", ema_taps(26) + ema_taps(9) - 1, macd_histogram),
    Feature("directional_balance_14", "−1..1", "Wilder: (+DI − −DI) / 100", wilder_taps(14) + 1, directional_balance),
    Feature("adx_14", "0..1", "Wilder: ADX / 100", 2 * wilder_taps(14), adx),
    Feature("aroon_25", "−1..1", "Chande: Aroon oscillator / 100", 26, aroon(25)),
    Feature("slope_20", "σ per candle", "least-squares slope of ln close / σ 60", 61, slope(20)),
    Feature("slope_60", "σ per candle", "least-squares slope of ln close / σ 60", 61, slope(60)),
    Feature("straightness_20", "−1..1", "signed R² of the least-squares line", 20, straightness(20)),
    Feature("straightness_60", "−1..1", "signed R² of the least-squares line", 60, straightness(60)),
    Feature("efficiency_10", "−1..1", "Kaufman: net move / path", 11, efficiency(10)),
    Feature("efficiency_30", "−1..1", "Kaufman: net move / path", 31, efficiency(30)),
    Feature("vortex_14", "ratio", "Botes, Siepman: VI+ − VI−", 15, vortex(14)),
    Feature("ichimoku_turn", "MTR", "Hosoda: (Tenkan 9 − Kijun 26) / MTR 14", 26, ichimoku_turn),
    Feature("ichimoku_cloud", "MTR", "Hosoda: close beyond the cloud / MTR 14", 52 + CLOUD_SHIFT, ichimoku_cloud),
    Feature("ichimoku_tenkan", "MTR", "Hosoda: (close − Tenkan 9) / MTR 14", 15, ichimoku_middle(9)),
    Feature("ichimoku_kijun", "MTR", "Hosoda: (close − Kijun 26) / MTR 14", 26, ichimoku_middle(26)),
    Feature("ichimoku_senkou_a", "MTR", "Hosoda: (close − Senkou A) / MTR 14", 26 + CLOUD_SHIFT, span_gap(0)),
    Feature("ichimoku_senkou_b", "MTR", "Hosoda: (close − Senkou B) / MTR 14", 52 + CLOUD_SHIFT, span_gap(1)),
    Feature("supertrend_direction", "−1, 0, 1", "Seban: last break of the bands, of 30", 50, supertrend_direction),
    Feature("supertrend_gap", "MTR", "Seban: (close − stop of ATR 10, 3) / MTR 14", 50, supertrend_gap),
    Feature("parabolic_sar_gap", "MTR", "Wilder: (close − SAR 0.02, 0.2) / MTR 14", SAR_WARM + 30, sar),
)
