"""Small recordings of quotes, made here and known in full."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models_ml.evaluation.book_quotes import Session

START = 1_700_056_800.0  # 14:00 UTC
TICK = 0.01


def session(rows: list[tuple[float, float, float, int, int]], *, name: str = "X", tick: float = TICK) -> Session:
    """Quotes (seconds after the start, bid, ask, bid size, ask size) as a session."""
    table = np.array(rows, dtype=np.float64)
    return Session(
        name, np.asarray(START + table[:, 0], dtype=np.float64), table[:, 1:3, None], table[:, 3:5, None], tick
    )


def told(minutes: int, *, seed: int = 0, start: float = START, strength: float = 0.9, name: str = "X") -> Session:
    """A quote a second; every five seconds the mid steps one tick, mostly to the side that the sizes have shown."""
    rng = np.random.default_rng(seed)
    seconds = minutes * 60
    block = np.arange(seconds) // 5
    side = rng.choice([-1, 1], block[-1] + 2)
    shown = np.where(rng.random(len(side)) < strength, side, -side)[block + 1]
    mid = np.asarray(100 + TICK * np.cumsum(side)[block], dtype=np.float64)
    size = rng.integers(200, 400, (seconds, 2)).astype(np.float64)
    size[:, 0] *= np.where(shown > 0, 3, 1)
    size[:, 1] *= np.where(shown > 0, 1, 3)
    prices = np.stack([mid - TICK / 2, mid + TICK / 2], axis=1)
    return Session(name, start + np.arange(seconds, dtype=np.float64), prices[..., None], size[..., None], TICK)


def write(sessions: list[Session], path: Path) -> Path:
    """A level-1 file of these sessions."""
    times = np.concatenate([one.times for one in sessions])
    prices = np.concatenate([one.prices[..., 0] for one in sessions])
    sizes = np.concatenate([one.sizes[..., 0] for one in sessions]).astype(np.int32)
    columns = {
        "ts": pa.array((times * 1000).astype(np.int64)).cast(pa.timestamp("ms", tz="UTC")),
        "bid_px": prices[:, 0],
        "ask_px": prices[:, 1],
        "bid_sz": sizes[:, 0],
        "ask_sz": sizes[:, 1],
    }
    pq.write_table(pa.table(columns), path)
    return path
