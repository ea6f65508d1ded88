"""The one input of every voter, the same in training, replay and live."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.timeframes import aggregate
from markets.values import Books, FloatArray, IntArray

UNKNOWN_LABEL = -1


@dataclass(frozen=True, slots=True)
class Samples:
    """Windows over I instruments and T minutes, and the N rows to be predicted or learned from.

    `index[n] = (instrument, row)`: the decision is taken at the close of that row's candle and may read nothing after
    it. `market` carries each instrument's stable number for pooled models.
    """

    open_times: IntArray  # (T,) epoch seconds
    ohlcv: FloatArray  # (I, T, 5), NaN where missing
    features: NDArray[np.float32]  # (I, T, F) in the order of models_ml.features.COLUMNS, NaN where unknown
    market: IntArray  # (I,)
    index: IntArray  # (N, 2)
    books: Books | None = None

    def __len__(self) -> int:
        return len(self.index)

    def pick(self, rows: NDArray[np.bool_] | IntArray) -> "Samples":
        """The same windows with only the chosen rows."""
        return replace(self, index=self.index[rows])

    def matrix(self, columns: IntArray | None = None) -> NDArray[np.float32]:
        """Feature rows (N, F), or only `columns` of them."""
        rows = self.features[self.index[:, 0], self.index[:, 1]]
        return rows if columns is None else rows[:, columns]

    def windows(self, columns: IntArray, length: int) -> NDArray[np.float32]:
        """Feature sequences (N, length, C) that end at each row; NaN before the first minute."""
        return _gather(self.features[:, :, columns], self.index, length)

    def candles(self, length: int) -> FloatArray:
        """Candle sequences (N, length, 5) that end at each row; NaN before the first minute."""
        return _gather(self.ohlcv, self.index, length)

    def candles_of(self, minutes: int, length: int) -> FloatArray:
        """The last `length` *closed* candles of `minutes` at each row, (N, length, 5)."""
        times, folded = aggregate(self.open_times, self.ohlcv, minutes)
        ends = times + minutes * 60
        closes = self.open_times[self.index[:, 1]] + 60
        last = np.searchsorted(ends, closes, side="right") - 1
        return _gather(folded, np.stack([self.index[:, 0], last], axis=1), length)

    def labels(self) -> NDArray[np.int8]:
        """What happened next, (N,): 0 down, 1 tie, 2 up of sign(close[t+1] − open[t+1]); −1 where it is unknown.

        Entry at the next candle's open is the headline label of the evaluation protocol; a tie is its own class.
        """
        instruments, rows = self.index[:, 0], self.index[:, 1] + 1
        inside = rows < len(self.open_times)
        rows = np.minimum(rows, len(self.open_times) - 1)
        inside &= self.open_times[rows] == self.open_times[self.index[:, 1]] + 60
        move = self.ohlcv[instruments, rows, 3] - self.ohlcv[instruments, rows, 0]
        known = inside & np.isfinite(move)
        return np.where(known, np.sign(np.nan_to_num(move)) + 1, UNKNOWN_LABEL).astype(np.int8)


def _gather(source: NDArray[Any], index: IntArray, length: int) -> NDArray[Any]:
    """Rows (N, length, C) of `source` (I, T, C) ending at `index`; NaN where a window starts before the first row."""
    rows = index[:, 1, None] + np.arange(1 - length, 1)
    out: NDArray[Any] = source[index[:, 0, None], np.maximum(rows, 0)]
    out[rows < 0] = np.nan
    return out
