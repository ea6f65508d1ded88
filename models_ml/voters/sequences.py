"""Candle sequences as nets see them: scale-free, masked where a candle is missing, the same from any start."""

import numpy as np
from numpy.typing import NDArray

from markets.timeframes import aggregate
from markets.values import FloatArray, IntArray
from models_ml.features.cross_asset import CROSS_LOOKBACK, market_of
from models_ml.samples import Samples

CHANNELS = 11
"""close move, opening gap, body, upper and lower wick, range, close place, path, volume, volume change, missing."""
SIGNS = np.array([-1, -1, -1, 1, 1, 1, -1, -1, 1, 1, 1], dtype=np.float32)
"""What each channel is multiplied with in a market that moves the other way; the wicks also change places."""
OTHERS = 2
"""Channels of `MarketView`: mean move of the others, own move without it; both change sign in a mirrored market."""
CONTEXT = 3
"""Volatility level, sine and cosine of the time of day."""
MOST_MISSING = 0.2
"""Share of missing candles in a window above which it is not read."""
CLIP = 8.0
"""Deviations beyond which a value says no more than "huge"."""
QUIET = 1e-7
"""Smallest volatility a window is divided by: a flat window stays flat."""
TYPICAL_LOG_VOLATILITY, SPREAD_OF_LOG_VOLATILITY = -7.5, 1.5
"""Rough centre and width of log σ of one-minute returns over crypto and FX; only puts the input near unit size."""
DAY_S = 86_400


class CandleView:
    """The closed candles of one timeframe, ready to be cut into windows that end at each row."""

    def __init__(self, samples: Samples, minutes: int, length: int) -> None:
        """Fold once; `length` candles a window, and one more for the first move."""
        self.step_s, self.length = minutes * 60, length
        self.times, self.ohlcv = aggregate(samples.open_times, samples.ohlcv, minutes)
        closes = samples.open_times[samples.index[:, 1]] + 60
        self.instruments = samples.index[:, 0]
        self.ends = np.searchsorted(self.times + self.step_s, closes, side="right") - 1

    def cut(self, rows: IntArray) -> FloatArray:
        """Candles (n, length + 1, 5); NaN where missing, and before a break of the session."""
        offsets = np.arange(-self.length, 1)
        ends = self.ends[rows]
        places = ends[:, None] + offsets
        inside = np.maximum(places, 0)
        out: FloatArray = self.ohlcv[self.instruments[rows, None], inside]
        due = self.times[np.maximum(ends, 0), None] + self.step_s * offsets
        out[(places < 0) | (self.times[inside] != due)] = np.nan
        return out


class MarketView:
    """What the others did in the minutes of each window: their mean move and the own move without it, in σ."""

    def __init__(self, samples: Samples, length: int) -> None:
        """Compute once for all instruments, no further back than the windows reach."""
        self.length = length
        ends = samples.index[:, 1]
        self.first = max(int(ends.min(initial=0)) - length - CROSS_LOOKBACK, 0) if len(ends) else 0
        candles = samples.ohlcv[:, self.first : int(ends.max(initial=0)) + 1]
        market = market_of(candles, dollar=samples.dollar)
        both = np.stack([market.factor, market.own_residual], axis=-1)
        self.series = np.clip(np.nan_to_num(both), -CLIP, CLIP).astype(np.float32)
        self.instruments, self.ends = samples.index[:, 0], ends - self.first

    def cut(self, rows: IntArray) -> NDArray[np.float32]:
        """(n, length, 2); 0 where unknown."""
        places = self.ends[rows, None] + np.arange(-self.length + 1, 1)
        found: NDArray[np.float32] = self.series[self.instruments[rows, None], np.maximum(places, 0)]
        found[places < 0] = 0.0
        return found


def describe(candles: FloatArray) -> tuple[NDArray[np.float32], FloatArray, NDArray[np.bool_]]:
    """Scale-free channels of windows of candles.

    Args:
        candles: (n, L + 1, 5); the first only gives the close before the first move.

    Returns:
        channels (n, L, CHANNELS), volatility (n,) of the known moves, and missing (n, L).
        Moves are log returns divided by the window's own volatility; a missing candle is zero in all channels but the
        last, and the next known one moves from the last known close.
    """
    known = whole(candles)
    latest = np.maximum.accumulate(np.where(known, np.arange(known.shape[1]), -1), axis=1)[:, :-1]
    use = known[:, 1:] & (latest >= 0)
    before = np.take_along_axis(candles[..., 3], np.maximum(latest, 0), axis=1)
    before = np.log(np.where(use, before, 1.0))
    opened, high, low, close = np.log(np.where(use[..., None], candles[:, 1:, :4], 1.0)).transpose(2, 0, 1)
    move = np.where(use, close - before, 0.0)
    count = np.maximum(use.sum(axis=1), 1)
    volatility = np.sqrt((move**2).sum(axis=1) / count)
    volume, change = _volume(candles[..., 4], use)
    spread = high - low
    scaled = (
        np.stack(
            [
                move,
                opened - before,
                close - opened,
                high - np.maximum(opened, close),
                np.minimum(opened, close) - low,
                spread,
                np.zeros_like(move),
                (np.cumsum(move, axis=1) - move.sum(axis=1, keepdims=True)) / np.sqrt(move.shape[1]),
            ],
            axis=-1,
        )
        / np.maximum(volatility, QUIET)[:, None, None]
    )
    scaled[..., 6] = np.where(spread > 0, (close - low) / np.where(spread > 0, spread, 1.0) - 0.5, 0.0)
    channels = np.concatenate([scaled, volume[..., None], change[..., None], ~use[..., None]], axis=-1)
    channels[~use, :-1] = 0.0
    return np.clip(channels, -CLIP, CLIP).astype(np.float32), volatility, ~use


def upside_down(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The channels (n, L, CHANNELS) of the same windows had every price moved the other way."""
    return np.asarray(channels[..., [0, 1, 2, 4, 3, 5, 6, 7, 8, 9, 10]] * SIGNS)


def whole(candles: FloatArray) -> NDArray[np.bool_]:
    """Which candles (n, L) have all four prices."""
    return np.asarray(np.isfinite(candles[..., :4]).all(axis=-1))


def readable(candles: FloatArray, missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Windows (n,) whose last candle is known and that miss few others."""
    return np.asarray(whole(candles)[:, -1] & (missing.mean(axis=1) <= MOST_MISSING))


def context(samples: Samples, rows: IntArray, volatility: FloatArray) -> NDArray[np.float32]:
    """(n, CONTEXT) from the window's volatility and the decision's time of day."""
    level = (np.log(np.maximum(volatility, QUIET)) - TYPICAL_LOG_VOLATILITY) / SPREAD_OF_LOG_VOLATILITY
    angle = 2 * np.pi * (samples.open_times[samples.index[rows, 1]] % DAY_S) / DAY_S
    return np.stack([level, np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)


def _volume(volume: FloatArray, use: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Log volume as a z-score of its window and its change, (n, L) each; zero where a venue gives none."""
    given = np.log1p(np.where(use, np.nan_to_num(np.maximum(volume[:, 1:], 0.0)), 0.0))
    count = np.maximum(use.sum(axis=1, keepdims=True), 1)
    mean = given.sum(axis=1, keepdims=True) / count
    spread = np.sqrt((np.where(use, given - mean, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    z = np.where(use & (spread > 1e-9), (given - mean) / np.where(spread > 1e-9, spread, 1.0), 0.0)
    return z, np.diff(z, axis=1, prepend=z[:, :1])
