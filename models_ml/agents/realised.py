"""Realised measures of variance on one time axis: what is read to forecast it, and what the forecast is to hit.

Variances are a minute's, of log returns; inputs are ratios or their logarithms, so that nothing depends on the price or
on the size of an instrument's moves. Missing candles are masked: a window is known when nearly all of it is.
"""

import math
from collections.abc import Iterator

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.agents.base import History
from models_ml.features.rolling import rolling_sum

MINUTE_S = 60
DAY = 1440
TWO_DAYS = 2820
"""An hour short of two days: what the live window holds."""
KNOWN_SHARE = 0.8
"""Share of a window's minutes that must be known."""
TARGET_SHARE = 0.9
"""The same of the minutes ahead, which are to be judged by."""
FLOOR = 0.01
"""Least variance told apart, as a share of the last day's: below it stands the price grid, not the market."""
MOST = 8.0
"""An input is cut off here: e^8 times the day's variance is a bad print."""


class Tape:
    """Minutes of I instruments, and means of their measures over the last minutes, each computed once.

    Everything is (I, R) for the last R of T minutes, or for those that `at` chose of them.
    """

    def __init__(self, history: History, rows: int | None = None) -> None:
        """`rows` is R; all minutes by default."""
        self.open_times = history.open_times
        self.chosen: slice | IntArray = slice(None)
        self.rows = len(self.open_times) if rows is None else min(rows, len(self.open_times))
        first, high, low, close, volume = np.moveaxis(history.ohlcv, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            price = np.log(close)
            steps = np.diff(price, axis=1, prepend=np.nan)
            spread, body = np.log(high / low), price - np.log(first)
        follows = np.diff(self.open_times, prepend=-MINUTE_S) == MINUTE_S
        returns = np.where(follows, steps, np.nan)
        squares = returns**2
        sizes = np.abs(returns)
        self.series = {
            "return": returns,
            "size": sizes,
            "square": squares,
            "up": np.where(returns < 0, 0.0, squares),
            "range": spread**2 / 2 - (2 * math.log(2) - 1) * body**2,
            "pair": np.concatenate([sizes[:, :1], sizes[:, 1:] * sizes[:, :-1]], axis=1) * (math.pi / 2),
            "volume": volume,
        }
        self._means: dict[tuple[str, int, int], FloatArray] = {}

    def at(self, chosen: IntArray) -> "Tape":
        """The same minutes, answering for some rows only: a year of means is not kept."""
        part = object.__new__(Tape)
        part.open_times, part.series, part.rows = self.open_times, self.series, self.rows
        part.chosen, part._means = chosen, {}
        return part

    def last(self, rows: int) -> "Tape":
        """The same minutes, answering for the last `rows` of them."""
        part = object.__new__(Tape)
        part.open_times, part.series, part.chosen, part._means = self.open_times, self.series, slice(None), {}
        part.rows = min(rows, len(self.open_times))
        return part

    def until(self, minutes: int) -> "Tape":
        """The first minutes of a tape that answers for all of them."""
        part = object.__new__(Tape)
        part.open_times, part.rows, part.chosen = self.open_times[:minutes], minutes, slice(None)
        part.series = {name: values[:, :minutes] for name, values in self.series.items()}
        part._means = {key: values[:, :minutes] for key, values in self._means.items()}
        return part

    @property
    def times(self) -> IntArray:
        """Open times of the rows answered for."""
        return self.open_times[len(self.open_times) - self.rows :][self.chosen]

    def mean(self, name: str, length: int, ago: int = 0, share: float = KNOWN_SHARE) -> FloatArray:
        """Mean of a series over `length` minutes up to `ago` minutes back; NaN where too few of them are known."""
        key = name, length, ago
        if key not in self._means:
            self._means[key] = self._mean(self.series[name], length, ago, share)
        return self._means[key]

    def _mean(self, series: FloatArray, length: int, ago: int, share: float) -> FloatArray:
        end = series.shape[1] - ago
        values = series[:, max(end - length - self.rows + 1, 0) : max(end, 0)]
        known = np.isfinite(values)
        count = rolling_sum(known.astype(np.float64), length)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = rolling_sum(np.where(known, values, 0.0), length) / count
            mean = np.where(count >= share * length, mean, np.nan)[:, -self.rows :]
        return np.pad(mean, ((0, 0), (self.rows - mean.shape[1], 0)), constant_values=np.nan)[:, self.chosen]

    @property
    def day(self) -> FloatArray:
        """Variance of the last day, NaN where nothing moved: the unit of all others."""
        level = self.mean("square", DAY)
        return np.where(level > 0, level, np.nan)

    def over_day(self, variance: FloatArray) -> FloatArray:
        """log(variance / last day's), from log `FLOOR` up."""
        with np.errstate(invalid="ignore"):
            return np.log(np.maximum(variance / self.day, FLOOR))


def target(tape: Tape, horizon: int) -> FloatArray:
    """Realised variance over the next `horizon` minutes, (I, T); NaN where it is not known.

    No less than `FLOOR` of the last day's. The tape must hold all its rows.
    """
    done = tape.mean("square", horizon, share=TARGET_SHARE)
    out = np.full_like(done, np.nan)
    if done.shape[1] > horizon:
        whole = tape.open_times[horizon:] - tape.open_times[:-horizon] == horizon * MINUTE_S
        out[:, :-horizon] = np.where(whole, done[:, horizon:], np.nan)
    return np.maximum(out, FLOOR * tape.day)


def inputs(tape: Tape, horizon: int) -> Iterator[tuple[str, FloatArray]]:
    """Name and values (I, R) of every input of a forecast over `horizon` minutes but the profile's own."""
    levels = dict(_levels(tape))
    yield from levels.items()
    yield from _shapes(tape)
    for length in (1, 5, 15, 60, 240):
        with np.errstate(divide="ignore", invalid="ignore"):
            yield f"volume_{length}", np.log(tape.mean("volume", length) / tape.mean("volume", DAY))
    yield "yesterday", tape.over_day(tape.mean("square", horizon, DAY - horizon))
    for name in ("squares_15", "squares_60", "squares_240", "ranges_5", "ranges_15", "ranges_60", "two_days"):
        yield f"market_{name}", _across(levels[name])


def _levels(tape: Tape) -> Iterator[tuple[str, FloatArray]]:
    """Variance over shorter and longer spans against the day's: squared returns, and Garman, Klass (1980) ranges."""
    for length in (5, 15, 30, 60, 120, 240, 480):
        yield f"squares_{length}", tape.over_day(tape.mean("square", length))
    for length in (1, 5, 15, 60, 240, DAY):
        yield f"ranges_{length}", tape.over_day(tape.mean("range", length))
    yield "two_days", tape.over_day(tape.mean("square", TWO_DAYS))


def _shapes(tape: Tape) -> Iterator[tuple[str, FloatArray]]:
    """How the variance came: by jumps (bipower, Barndorff-Nielsen and Shephard 2004), upwards, with a trend."""
    for length in (60, 240, DAY):
        square = tape.over_day(tape.mean("square", length))
        yield f"bipower_{length}", tape.over_day(tape.mean("pair", length)) - square
    for length in (15, 60, 240):
        floor = np.maximum(tape.mean("square", length), FLOOR * tape.day)
        yield f"upside_{length}", 2 * tape.mean("up", length) / floor - 1
    for length in (15, 60, 240, DAY):
        drift = tape.mean("return", length) * math.sqrt(length) / np.sqrt(tape.day)
        yield f"drift_{length}", drift
        if length <= 60:
            yield f"drift_size_{length}", np.abs(drift)


def _across(values: FloatArray) -> FloatArray:
    """The mean over instruments that know it, for each of them."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)
    return np.broadcast_to(mean, values.shape)


def neutral(values: FloatArray) -> FloatArray:
    """Inputs fit for a linear model: an unknown one reads 0, as on an ordinary day, an extreme one is cut off."""
    return np.clip(np.nan_to_num(values, nan=0.0, posinf=MOST, neginf=-MOST), -MOST, MOST)
