"""The columns that voters are given and how samples of them are made: the one place of the proof that knows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.features import COLUMNS, build
from models_ml.samples import Samples

VECTOR: tuple[str, ...] = COLUMNS


def rows_of(times: IntArray, ohlcv: FloatArray, rows: int, symbols: Sequence[str]) -> NDArray[np.float32]:
    """Features (I, rows, F) of the last `rows` of the candles (I, T, 5) of these instruments."""
    return build(times, ohlcv, rows).astype(np.float32)


def samples_of(
    kind: type[Samples],
    times: IntArray,
    ohlcv: FloatArray,
    features: NDArray[np.float32],
    market: IntArray,
    index: IntArray,
    symbols: Sequence[str],
) -> Samples:
    """The samples of these windows, as live training makes them."""
    return kind(times, ohlcv, features, market, index)
