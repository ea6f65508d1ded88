"""Small worlds of candles, made here and known in full, for the voters' tests."""

import numpy as np

from markets.values import Books, FloatArray, IntArray, TradeFlow
from models_ml.features import FEATURE_GROUPS
from models_ml.features.cross_asset import CROSS_COLUMNS
from models_ml.samples import Samples

TICK = 1e-5
START = 1_700_006_400  # a UTC midnight
COLUMNS = (*(feature.name for group in FEATURE_GROUPS.values() for feature in group[:3]), *CROSS_COLUMNS[:3])
"""Three columns of every feature group."""
TOLD = COLUMNS.index(FEATURE_GROUPS["momentum"][0].name)
"""The column that carries the planted signal; both tree voters see it."""


def candle_walk(
    rng: np.random.Generator, instruments: int, minutes: int, drift: FloatArray | None = None
) -> FloatArray:
    """Random-walk candles (I, T, 5); `drift` (I, T) is added to the open-to-close return of each minute."""
    body = rng.normal(0, 1e-3, (instruments, minutes)) + (0.0 if drift is None else drift)
    gap = rng.normal(0, 1e-4, (instruments, minutes))
    close = 100 * np.exp(np.cumsum(body + gap, axis=1))
    opened = close * np.exp(-body)
    reach = np.abs(rng.normal(0, 5e-4, (2, instruments, minutes)))
    high = np.maximum(opened, close) * np.exp(reach[0])
    low = np.minimum(opened, close) * np.exp(-reach[1])
    volume = rng.lognormal(3, 1, (instruments, minutes))
    return np.stack([opened, high, low, close, volume], axis=-1)


def book_walk(rng: np.random.Generator, times: IntArray, ohlcv: FloatArray, per_minute: int = 12) -> Books:
    """Snapshots every 5 s around each minute's close, for all instruments."""
    instruments, minutes = ohlcv.shape[:2]
    at = (times[:, None] + (1 + np.arange(per_minute)) * 60 / per_minute).reshape(-1)
    mid = np.repeat(ohlcv[:, :, 3], per_minute, axis=1)
    step = mid[:, :, None] * 1e-4 * (1 + np.arange(20))
    prices = np.stack([mid[:, :, None] - step, mid[:, :, None] + step], axis=2)
    sizes = rng.lognormal(0, 1, (instruments, minutes * per_minute, 2, 20)).astype(np.float32)
    return Books.of(np.broadcast_to(at, mid.shape).copy(), mid, prices, sizes, TICK)


def flow_walk(rng: np.random.Generator, times: IntArray, bought: FloatArray) -> TradeFlow:
    """A trade a second of each instrument, of which the share `bought` (I, T) of each minute is bought."""
    share = np.repeat(bought, 60, axis=1)
    size = rng.lognormal(0, 0.5, share.shape).astype(np.float32)
    buys = rng.random(share.shape) < share
    seconds = (times[:, None] + np.arange(60)).reshape(-1)
    return TradeFlow(seconds, size * buys, size * ~buys, np.ones(share.shape, np.int32), size)


def world(
    *,
    instruments: int = 2,
    minutes: int = 1500,
    seed: int = 0,
    strength: float = 0.0,
    with_books: bool = False,
    columns: int = len(COLUMNS),
) -> Samples:
    """Random features and a random walk whose next minute leans by `strength` body deviations on column `TOLD`."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(instruments, minutes, columns)).astype(np.float32)
    drift = np.zeros((instruments, minutes))
    drift[:, 1:] = strength * 1e-3 * features[:, :-1, TOLD]
    ohlcv = candle_walk(rng, instruments, minutes, drift)
    times = START + 60 * np.arange(minutes, dtype=np.int64)
    grid = np.stack(np.meshgrid(np.arange(instruments), np.arange(minutes), indexing="ij"), axis=-1)
    books = book_walk(rng, times, ohlcv) if with_books else None
    return Samples(times, ohlcv, features, np.arange(instruments) + 7, grid.reshape(-1, 2).astype(np.int64), books)


def last_rows(samples: Samples) -> Samples:
    """One row an instrument, at the last minute: what a live panel is asked."""
    instruments, minutes = samples.ohlcv.shape[:2]
    index = np.stack([np.arange(instruments), np.full(instruments, minutes - 1)], axis=1).astype(np.int64)
    return Samples(samples.open_times, samples.ohlcv, samples.features, samples.market, index, samples.books)
