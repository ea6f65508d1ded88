"""Recordings made here, whose signal is known, in the shape of the recorded files."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from markets.values import FloatArray, IntArray

MONDAY = 1_704_067_200  # 2024-01-01, a Monday, 00:00 UTC
DAY = 1440
NAMES = ("open", "high", "low", "close", "volume")


def walk(minutes: int, *, seed: int = 0, reversal: float = 0.0, tick: float = 0.0) -> FloatArray:
    """Candles (T, 5) whose next body leans against the last one by `reversal` of its size; `tick` rounds prices."""
    rng = np.random.default_rng(seed)
    body = rng.normal(0, 1e-3, minutes)
    for minute in range(1, minutes):
        body[minute] -= reversal * body[minute - 1]
    gap = rng.normal(0, 1e-5, minutes)
    close = 100 * np.exp(np.cumsum(body + gap))
    opened = close * np.exp(-body)
    if tick:
        opened, close = np.round(opened / tick) * tick, np.round(close / tick) * tick
    reach = np.abs(rng.normal(0, 3e-4, (2, minutes)))
    high, low = np.maximum(opened, close) * np.exp(reach[0]), np.minimum(opened, close) * np.exp(-reach[1])
    return np.column_stack([opened, high, low, close, rng.lognormal(3, 1, minutes)])


def write(folder: Path, symbol: str, ohlcv: FloatArray, start: int = MONDAY, times: IntArray | None = None) -> Path:
    """A parquet file as the recordings are; `times` in epoch seconds, else every minute from `start`."""
    at = start + 60 * np.arange(len(ohlcv)) if times is None else times
    columns = {"ts": pa.array(at * 1000, pa.timestamp("ms", "UTC"))}
    columns |= {name: pa.array(ohlcv[:, place]) for place, name in enumerate(NAMES)}
    path = folder / f"test_{symbol}.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def shuffled(ohlcv: FloatArray, seed: int = 1) -> FloatArray:
    """The same candles in another order, prices joined again: what preceded a minute says nothing about it any more."""
    order = np.random.default_rng(seed).permutation(len(ohlcv))
    ratios = ohlcv[order] / ohlcv[order, :1]
    steps = np.log(ratios[:, 3])
    opened = 100 * np.exp(np.concatenate([[0.0], np.cumsum(steps)[:-1]]))
    return np.column_stack([ratios[:, :4] * opened[:, None], ohlcv[order, 4]])
