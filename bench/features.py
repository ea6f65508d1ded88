"""Features: live rows of 50 and 500 instruments, and a history against TA-Lib: `python -m bench.features`.

Prints JSON lines; formulas use one thread.

`QUICK=1` repeats less. TA-Lib computes 25 columns of the same kinds on the same candles in the same run.
"""

import json
import os
import time
from collections.abc import Callable

import numpy as np
import talib

from markets.values import FloatArray, IntArray
from models_ml.features import LOOKBACK, VECTOR, build_vector

QUICK = os.environ.get("QUICK") == "1"
HISTORY = 129_600


def market(instruments: int, steps: int) -> tuple[IntArray, FloatArray]:
    """Random candles (I, T, 5)."""
    rng = np.random.default_rng(1)
    shape = (instruments, steps)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 5e-4, shape), axis=1))
    first = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    high = np.maximum(first, close) * np.exp(np.abs(rng.normal(0, 2e-4, shape)))
    low = np.minimum(first, close) * np.exp(-np.abs(rng.normal(0, 2e-4, shape)))
    times = 1_700_000_040 + 60 * np.arange(steps, dtype=np.int64)
    return times, np.stack([first, high, low, close, rng.gamma(2, 5, shape)], axis=-1)


def milliseconds(work: Callable[[], object], repeats: int) -> list[float]:
    """Wall time of each run after one to warm up."""
    work()
    out = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        out.append((time.perf_counter() - start) * 1e3)
    return out


def show(name: str, value: float, unit: str, n: int, **more: float) -> None:
    """Print one figure."""
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "n": n, **more}), flush=True)


def live(instruments: int, rows: int, gate: float | None) -> None:
    """A decision's features: what a live shard pays each minute."""
    times, candles = market(instruments, LOOKBACK)
    runs = milliseconds(lambda: build_vector(times, candles, rows), 5 if QUICK else 40)
    limits = {} if gate is None else {"gate": gate}
    show(
        f"features_live_{instruments}x{rows}",
        float(np.median(runs)),
        "ms",
        len(runs),
        p95=round(float(np.percentile(runs, 95)), 3),
        columns=len(VECTOR),
        lookback=LOOKBACK,
        **limits,
    )


def peer(candles: FloatArray) -> list[FloatArray]:
    """The same kinds of columns by TA-Lib."""
    o, h, l, c, v = np.ascontiguousarray(candles[0].T)  # noqa: E741 (the usual names of the five fields)
    return [
        *(talib.EMA(c, n) for n in (10, 20, 50)),
        *(talib.SMA(c, n) for n in (20, 60, 200)),
        talib.WMA(c, 20),
        *talib.MACD(c),
        talib.ADX(h, l, c),
        talib.AROONOSC(h, l, 25),
        talib.LINEARREG_SLOPE(c, 20),
        *(talib.RSI(c, n) for n in (7, 14)),
        *talib.STOCH(h, l, c),
        talib.WILLR(h, l, c),
        talib.CCI(h, l, c, 20),
        talib.ULTOSC(h, l, c),
        talib.NATR(h, l, c),
        talib.STDDEV(c, 60),
        talib.OBV(c, v),
        talib.MFI(h, l, c, v),
        talib.CDLENGULFING(o, h, l, c).astype(np.float64),
    ]


def history() -> None:
    """A training set's features, per column."""
    times, candles = market(1, HISTORY)
    repeats = 2 if QUICK else 5
    ours = float(np.median(milliseconds(lambda: build_vector(times, candles), repeats)))
    theirs = float(np.median(milliseconds(lambda: peer(candles), repeats)))
    columns = len(peer(candles))
    show("features_history", ours, "ms", HISTORY, columns=len(VECTOR))
    show("features_history_per_column", ours / len(VECTOR), "ms", HISTORY, talib=round(theirs / columns, 4))


if __name__ == "__main__":
    live(50, 1, gate=50)
    live(50, 60, gate=None)
    live(500, 1, gate=500)
    history()
