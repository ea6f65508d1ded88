"""The whole vector that voters read: each instrument's own columns, then what the other instruments do.

`build` knows one instrument at a time; the columns of `cross_asset` need all of a market on one time axis. In a market
with fewer than three instruments they are unknown.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.features.cross_asset import CROSS_COLUMNS, CROSS_LOOKBACK, build_cross, dollar_side
from models_ml.features.matrix import BLOCK, CHUNK, build
from models_ml.features.registry import COLUMNS, LOOKBACK, VERSION

VECTOR: tuple[str, ...] = (*COLUMNS, *CROSS_COLUMNS)
FEATURES_HASH: str = hashlib.sha256("\n".join((str(VERSION), *VECTOR)).encode()).hexdigest()
"""Names, order and version of all columns: a model that learned from others is refused."""


def build_vector(
    open_times: IntArray, ohlcv: FloatArray, rows: int | None = None, *, dollar: FloatArray | None = None
) -> NDArray[np.float32]:
    """Rows (I, rows, columns) in the order of `VECTOR`, NaN where unknown; see `build` and `build_cross`.

    Args:
        open_times: (T,) epoch seconds of candle open.
        ohlcv: (I, T, 5), NaN where a candle is missing.
        rows: rows wanted, from the end; None for all.
        dollar: (I,) `dollar_side` of each.
    """
    rows = len(open_times) if rows is None else rows
    out = np.empty((len(ohlcv), rows, len(VECTOR)), dtype=np.float32)
    out[..., : len(COLUMNS)] = build(open_times, ohlcv, rows)
    out[..., len(COLUMNS) :] = build_cross(ohlcv, rows, dollar=dollar)
    return out


def build_last(
    open_times: IntArray, ohlcv: FloatArray, decided: IntArray, *, dollar: FloatArray | None = None
) -> NDArray[np.float32]:
    """The last row (I, 1, columns) as `build_vector` has it, own columns of the instruments `decided` (N,) alone."""
    out = np.full((len(ohlcv), 1, len(VECTOR)), np.nan, dtype=np.float32)
    out[decided, :, : len(COLUMNS)] = build(open_times, ohlcv[decided], 1)
    out[..., len(COLUMNS) :] = build_cross(ohlcv, 1, dollar=dollar)
    return out


def build_rows(
    open_times: IntArray, ohlcv: FloatArray, index: IntArray, *, dollar: FloatArray | None = None
) -> NDArray[np.float32]:
    """Rows (N, columns) of the chosen (instrument, minute) pairs alone, in the order of `index` (N, 2).

    The same values as `build_vector`, block by block: a sample of a long history costs the memory of the sample.
    """
    out = np.empty((len(index), len(VECTOR)), dtype=np.float32)
    for wanted, start, end in _blocks(index, CHUNK, len(open_times)):
        seen = slice(max(start - LOOKBACK + 1, 0), end)
        for instrument in np.unique(index[wanted, 0]):
            here = wanted[index[wanted, 0] == instrument]
            own = build(open_times[seen], ohlcv[instrument : instrument + 1, seen], end - start)[0]
            out[here, : len(COLUMNS)] = own[index[here, 1] - start]
    together = max(BLOCK // max(len(ohlcv), 1), CROSS_LOOKBACK)
    for wanted, start, end in _blocks(index, together, len(open_times)):
        candles = ohlcv[:, max(start - CROSS_LOOKBACK + 1, 0) : end]
        across = build_cross(candles, end - start, dollar=dollar)
        out[wanted, len(COLUMNS) :] = across[index[wanted, 0], index[wanted, 1] - start]
    return out


def _blocks(index: IntArray, length: int, steps: int) -> Iterator[tuple[IntArray, int, int]]:
    """For each block of `length` minutes with chosen pairs: their places in `index`, its first minute and its end."""
    block = np.lexsort((index[:, 0], index[:, 1] // length))
    edges = np.flatnonzero(np.diff(index[block, 1] // length, prepend=-1, append=-1))
    for first, last in pairwise(edges):
        start = int(index[block[first], 1]) // length * length
        yield block[first:last], start, min(start + length, steps)


def dollar_sides(symbols: Sequence[str]) -> FloatArray:
    """`dollar_side` of each symbol, (I,)."""
    return np.array([dollar_side(symbol) for symbol in symbols], dtype=np.float64)
