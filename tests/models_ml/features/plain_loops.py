"""The forms that TA-Lib lacks as plain loops over the candles (T, 5) of one instrument, up to and with the row."""

import math
from collections.abc import Callable

import numpy as np
import talib

from markets.values import FloatArray, IntArray

Candles = FloatArray
"""(T, 5) up to and with the row."""
Reference = Callable[[Candles, IntArray], float]


def reach(c: Candles, at: int = -1, length: int = 14) -> float:
    c = c[: len(c) + 1 + at] if at < 0 else c
    true = [max(c[-n, 1], c[-n - 1, 3]) - min(c[-n, 2], c[-n - 1, 3]) for n in range(1, length + 1)]
    return float(np.mean(true))


def returns(c: Candles) -> FloatArray:
    out: FloatArray = np.diff(np.log(c[:, 3]))
    return out


def sigma(c: Candles, length: int) -> float:
    return float(np.sqrt(np.mean(returns(c)[-length:] ** 2)))


def middle(c: Candles, length: int, ago: int = 0) -> float:
    part = c[len(c) - ago - length : len(c) - ago]
    return float((part[:, 1].max() + part[:, 2].min()) / 2)


def ema(values: FloatArray, span: int) -> float:
    alpha = 2 / (span + 1)
    weights = alpha * (1 - alpha) ** np.arange(len(values))[::-1]
    return float((values * weights).sum() / weights.sum())


def senkou_a(c: Candles, _: IntArray) -> float:
    return float(c[-1, 3] - (middle(c, 9, 26) + middle(c, 26, 26)) / 2) / reach(c)


def supertrend(c: Candles, _: IntArray) -> tuple[float, float]:
    def band(ago: int, side: int) -> float:
        found: list[float] = []
        for back in range(ago, ago + 10):
            part = c[: len(c) - back]
            found.append(float(part[-1, 1] + part[-1, 2]) / 2 + side * 3 * reach(part, length=10))
        return min(found) if side > 0 else max(found)

    for ago in range(30):
        close = c[-1 - ago, 3]
        if close > band(ago + 1, 1):
            return 1.0, (c[-1, 3] - band(0, -1)) / reach(c)
        if close < band(ago + 1, -1):
            return -1.0, (c[-1, 3] - band(0, 1)) / reach(c)
    return 0.0, 0.0


def sar(c: Candles, times: IntArray) -> float:
    start = int(np.searchsorted(times, times[-1] // 1800 * 1800))
    run = np.ascontiguousarray(c[start - 60 :].T)
    return float((c[-1, 3] - talib.SAR(run[1], run[2])[-1]) / reach(c))


def atr(c: Candles) -> float:
    high, low, close = np.ascontiguousarray(c[:, 1:4].T)
    return float(talib.ATR(high, low, close, 10)[-1])


def keltner(c: Candles, _: IntArray) -> float:
    wide = 2 * atr(c)
    return float((c[-1, 3] - talib.EMA(np.ascontiguousarray(c[:, 3]), 20)[-1]) / wide)


def garch(c: Candles, _: IntArray) -> float:
    variance = long = sigma(c, 240) ** 2
    for step in returns(c)[-900:]:
        variance = 0.02 * long + 0.06 * step**2 + 0.92 * variance
    return math.sqrt(variance) * 1e4


def choppiness(c: Candles, _: IntArray) -> float:
    top = max(max(c[-n, 1], c[-n - 1, 3]) for n in range(1, 15))
    bottom = min(min(c[-n, 2], c[-n - 1, 3]) for n in range(1, 15))
    return math.log(14 * reach(c) / (top - bottom)) / math.log(14)


def hurst(c: Candles, _: IntArray) -> float:
    log = np.log(c[:, 3])
    sizes = [np.sqrt(np.mean((log[-240:] - log[-240 - s : -s]) ** 2)) for s in (1, 2, 4, 8, 16)]
    return float(np.clip(np.polyfit(np.log([1, 2, 4, 8, 16]), np.log(sizes), 1)[0], 0, 1))


def memory(lag: int) -> Reference:
    def of(c: Candles, _: IntArray) -> float:
        r = returns(c)
        now, then = r[-60:], r[-60 - lag : -lag]
        return float(2 * (now * then).sum() / ((now**2).sum() + (then**2).sum()))

    return of


def partial(lag: int) -> Reference:
    """The last coefficient of the Yule–Walker equations, solved as such."""

    def of(c: Candles, times: IntArray) -> float:
        row = np.array([1.0, *(memory(n)(c, times) for n in range(1, lag + 1))])
        matrix = row[np.abs(np.subtract.outer(np.arange(lag), np.arange(lag)))]
        return float(np.linalg.solve(matrix, row[1:])[-1])

    return of


def kyle(c: Candles, _: IntArray) -> float:
    signed = (np.sign(np.diff(c[:, 3])) * c[1:, 4])[-60:]
    slope = (returns(c)[-60:] * signed).sum() / (signed**2).sum()
    return float(slope * c[-60:, 4].mean() / sigma(c, 60))


def leg(c: Candles) -> tuple[float, float, bool]:
    part = c[-240:]
    high, low = part[:, 1].max(), part[:, 2].min()
    ages = (np.flatnonzero(part[::-1, 1] == high)[0], np.flatnonzero(part[::-1, 2] == low)[0])
    return float(high), float(low), bool(ages[0] <= ages[1])


def fibonacci(share: float) -> Reference:
    def of(c: Candles, _: IntArray) -> float:
        high, low, up = leg(c)
        level = high - share * (high - low) if up else low + share * (high - low)
        return float(c[-1, 3] - level) / reach(c)

    return of


def retracement(c: Candles, _: IntArray) -> float:
    high, low, up = leg(c)
    return float(high - c[-1, 3] if up else c[-1, 3] - low) / (high - low)


def pivot(level: Callable[[float, float, float], float]) -> Reference:
    def of(c: Candles, times: IntArray) -> float:
        today = (times[-1] + 60) // 86_400  # a row that closes at midnight knows the day that ends with it
        part = c[times // 86_400 == today - 1]
        high, low, close = float(part[:, 1].max()), float(part[:, 2].min()), float(part[-1, 3])
        return float(c[-1, 3] - level(high, low, close)) / (high - low)

    return of


def bars(c: Candles, times: IntArray, length: int) -> Candles:
    """Complete candles of `length` minutes by the clock."""
    number = times // (60 * length)
    done = number < (times[-1] + 60) // (60 * length)
    out = []
    for bar in np.unique(number[done]):
        part = c[number == bar]
        out.append([part[0, 0], part[:, 1].max(), part[:, 2].min(), part[-1, 3], part[:, 4].sum()])
    return np.array(out)


def quantile(percent: float) -> Reference:
    def of(c: Candles, times: IntArray) -> float:
        b = bars(c[-400:], times[-400:], 5)
        return float(b[-1, 3] - np.percentile(b[-48:, 3], percent)) / reach(b)

    return of


def touches(c: Candles, times: IntArray) -> float:
    b = bars(c[-400:], times[-400:], 5)
    near = b[-48:, 1].max() - reach(b) / 4
    return float(sum(b[-48:, 1] >= near) / 48)


def shares(c: Candles, times: IntArray) -> tuple[Candles, FloatArray, float, float]:
    b = bars(c[-400:], times[-400:], 5)
    part = b[-48:]
    low, high = part[:, 2].min(), part[:, 1].max()
    volume, _ = np.histogram(part[:, 1:4].mean(axis=1), 24, (low, high), weights=part[:, 4])
    return b, volume / volume.sum(), float(low), float(high)


def point_of_control(c: Candles, times: IntArray) -> float:
    b, volume, low, high = shares(c, times)
    level = low + (np.argmax(volume) + 0.5) * (high - low) / 24
    return float(b[-1, 3] - level) / reach(b)


def volume_below(c: Candles, times: IntArray) -> float:
    b, volume, low, high = shares(c, times)
    step = min(int((b[-1, 3] - low) / (high - low) * 24), 23)
    return float(2 * (volume[:step].sum() + volume[step] / 2) - 1)


def session_vwap(c: Candles, times: IntArray) -> float:
    today = times // 86_400 == times[-1] // 86_400
    typical, volume = c[today, 1:4].mean(axis=1), c[today, 4]
    return float(c[-1, 3] - (typical * volume).sum() / volume.sum()) / reach(c)


def day_place(c: Candles, times: IntArray) -> float:
    part = c[times // 86_400 == times[-1] // 86_400]
    high, low = part[:, 1].max(), part[:, 2].min()
    return float(2 * (c[-1, 3] - low) / (high - low) - 1)


def hour_ratio(of: Callable[[Candles], float]) -> Reference:
    def ratio(c: Candles, _: IntArray) -> float:
        now, ago = of(c), of(c[:-1440])
        return (now - ago) / (now + ago)

    return ratio


def swings(c: Candles, wing: int, reach_: int, side: int) -> list[float]:
    """Prices of swing highs (1) or lows (−1) known within the last `reach_` candles, newest first."""
    line = c[:, 1] if side > 0 else -c[:, 2]
    found = []
    for age in range(reach_):
        at = len(line) - 1 - age - wing
        if line[at] == line[at - wing : at + wing + 1].max():
            found.append(side * line[at])
    return [float(price) for price in found]


def swing_gap(side: int) -> Reference:
    return lambda c, _: float(c[-1, 3] - swings(c, 3, 100, side)[0]) / reach(c)


def swing_trend(c: Candles, _: IntArray) -> float:
    high, low = swings(c, 3, 100, 1), swings(c, 3, 100, -1)
    return float(np.sign(high[0] - high[1]) + np.sign(low[0] - low[1])) / 2


def broken(against: bool) -> Reference:
    def of(c: Candles, times: IntArray) -> float:
        for ago in range(15):
            before, close = c[: len(c) - ago - 1], c[-1 - ago, 3]
            high, low = swings(before, 3, 100, 1)[0], swings(before, 3, 100, -1)[0]
            sign = float(close > high >= before[-1, 3]) - float(close < low <= before[-1, 3])
            if sign and (sign * swing_trend(before, times) < 0) == against:
                return sign
        return 0.0

    return of


def double(c: Candles, _: IntArray) -> float:
    high, low, near = swings(c, 3, 100, 1), swings(c, 3, 100, -1), 0.75 * reach(c)
    top = abs(high[0] - high[1]) <= near and c[-1, 3] < min(high[:2])
    bottom = abs(low[0] - low[1]) <= near and c[-1, 3] > max(low[:2])
    return float(bottom) - float(top)


def head(c: Candles, _: IntArray) -> float:
    high, low, unit = swings(c, 3, 100, 1), swings(c, 3, 100, -1), reach(c)
    top = high[1] - max(high[0], high[2]) >= unit and abs(high[0] - high[2]) <= 1.5 * unit
    bottom = min(low[0], low[2]) - low[1] >= unit and abs(low[0] - low[2]) <= 1.5 * unit
    return float(bottom) - float(top)


def triangle(c: Candles, _: IntArray) -> float:
    high, low, near = swings(c, 3, 100, 1), swings(c, 3, 100, -1), 0.75 * reach(c)
    up = abs(high[0] - high[1]) <= near and low[0] > low[1] + near
    down = abs(low[0] - low[1]) <= near and high[0] < high[1] - near
    return float(up) - float(down)


def wedge(c: Candles, _: IntArray) -> float:
    high, low = swings(c, 3, 100, 1), swings(c, 3, 100, -1)
    narrower = high[0] - low[0] < high[1] - low[1]
    falling, rising = high[0] < high[1] and low[0] < low[1], high[0] > high[1] and low[0] > low[1]
    return float(narrower and falling) - float(narrower and rising)


def flag(c: Candles, _: IntArray) -> float:
    pole = math.log(c[-11, 3] / c[-21, 3])
    rest = math.log(c[-10:, 1].max() / c[-10:, 2].min())
    return math.copysign(abs(pole) >= 2 * math.sqrt(10) * sigma(c, 60) and rest <= 0.6 * abs(pole), pole)


def value_gap(side: int) -> Reference:
    def of(c: Candles, _: IntArray) -> float:
        high, low = (c[:, 1], c[:, 2]) if side > 0 else (-c[:, 2], -c[:, 1])
        for at in range(len(c) - 1, len(c) - 61, -1):
            if low[at] > high[at - 2]:
                edge = high[at - 2]
                return reach(c) / (reach(c) + side * c[-1, 3] - edge) if low[at:].min() > edge else 0.0
        return 0.0

    return of


def value_gap_balance(c: Candles, _: IntArray) -> float:
    up = [max(c[-n, 2] - c[-n - 2, 1], 0) - max(c[-n - 2, 2] - c[-n, 1], 0) for n in range(1, 61)]
    return float(sum(up)) / (60 * reach(c, length=60))


def divergence(c: Candles, _: IntArray) -> float:
    moves = np.diff(c[:, 3])
    rsi = np.array(
        [moves[n - 13 : n + 1].sum() / np.abs(moves[n - 13 : n + 1]).sum() for n in range(len(moves) - 60, len(moves))]
    )
    low, high = c[-60:, 2], c[-60:, 1]
    bull = low[-10:].min() < low[:-10].min() and rsi[-10:].min() > rsi[:-10].min()
    bear = high[-10:].max() > high[:-10].max() and rsi[-10:].max() < rsi[:-10].max()
    return float(bull) - float(bear)


def day(formula: Callable[[Candles], float]) -> Reference:
    return lambda c, times: formula(bars(c[-1700:], times[-1700:], 60))


def hours_return(b: Candles) -> float:
    return math.log(b[-1, 3] / b[-25, 3]) / (sigma(b, 24) * math.sqrt(24))


def four_hours_efficiency(c: Candles, times: IntArray) -> float:
    b = bars(c, times, 240)
    return float((b[-1, 3] - b[-11, 3]) / np.abs(np.diff(b[-11:, 3])).sum())
