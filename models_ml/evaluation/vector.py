"""How the proof makes samples of windows: the one place of it that knows what a vector needs beside candles."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.features import build_vector, dollar_sides
from models_ml.samples import Samples


def rows_of(times: IntArray, ohlcv: FloatArray, rows: int, symbols: Sequence[str]) -> NDArray[np.float32]:
    """Features (I, rows, F) of the last `rows` of the candles (I, T, 5) of these instruments."""
    return build_vector(times, ohlcv, rows, dollar=dollar_sides(symbols))


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
    return kind(times, ohlcv, features, market, index, dollar=dollar_sides(symbols))
