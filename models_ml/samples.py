"""The one input of every voter, the same in training, replay and live."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lib.errors import CandorError
from markets.values import Books, FloatArray, IntArray

UNKNOWN_LABEL = -1


class NoFeaturesError(CandorError):
    """Rows were asked for whose features were not built."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Windows over I instruments and T minutes, and the N rows to be predicted or learned from.

    `index[n] = (instrument, row)`: the decision is taken at the close of that row's candle and may read nothing after
    it. A live decision builds the features of its own row only. `market` carries each instrument's stable number for
    pooled models.
    """

    open_times: IntArray  # (T,) epoch seconds
    ohlcv: FloatArray  # (I, T, 5), NaN where missing
    features: NDArray[np.float32]  # (I, R, F) of the last R ≤ T rows, in the order of COLUMNS, NaN where unknown
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
        places = self.index[:, 1] - (len(self.open_times) - self.features.shape[1])
        if len(places) and places.min() < 0:
            raise NoFeaturesError(f"features of the last {self.features.shape[1]} rows only: build those asked for too")
        rows: NDArray[np.float32] = self.features[self.index[:, 0], places]
        return rows if columns is None else rows[:, columns]

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
