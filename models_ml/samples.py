"""The one input of every voter, the same in training, replay and live."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lib.errors import CandorError
from markets.values import Books, FloatArray, IntArray, TradeFlow
from models_ml.features import WARM_UP, build_rows, build_vector

UNKNOWN_LABEL = -1


class NoFeaturesError(CandorError):
    """Rows were asked for whose features were not built."""


def build_samples(
    open_times: IntArray,
    ohlcv: FloatArray,
    market: IntArray,
    *,
    books: Books | None = None,
    flow: TradeFlow | None = None,
    dollar: FloatArray | None = None,
    most: int | None = None,
    seed: int = 0,
) -> "Samples":
    """Every row of the windows that has a candle and is warmed up, with its features: what a panel learns from.

    Args:
        open_times: (T,) epoch seconds.
        ohlcv: (I, T, 5), NaN where missing.
        market: (I,) stable numbers of the instruments.
        books: their order books, where there are any.
        flow: their trades, likewise.
        dollar: (I,) `dollar_side` of each.
        most: rows at most, drawn evenly without replacement; memory follows them, not the length of the history.
        seed: of the draw.
    """
    first = min(WARM_UP, len(open_times))
    known = np.isfinite(ohlcv[:, first:, 3])
    places = np.flatnonzero(known)
    if most is None or len(places) <= most:
        features = build_vector(open_times, ohlcv, dollar=dollar)
        return Samples(
            open_times, ohlcv, features, market, _pairs(places, known.shape, first), books, dollar, flow=flow
        )
    drawn = np.sort(np.random.default_rng(seed).choice(len(places), most, replace=False))
    chosen = _pairs(places[drawn], known.shape, first)
    place = np.full(ohlcv.shape[:2], -1, dtype=np.int64)
    place[chosen[:, 0], chosen[:, 1]] = np.arange(most)
    built = build_rows(open_times, ohlcv, chosen, dollar=dollar)
    return Samples(open_times, ohlcv, built[None], market, chosen, books, dollar, place, flow)


def _pairs(places: IntArray, shape: tuple[int, int], first: int) -> IntArray:
    """Flat places (N,) of an array (I, R) as (instrument, row) pairs (N, 2), its rows counted from `first`."""
    instruments, rows = np.unravel_index(places, shape)
    return np.stack([instruments, rows + first], axis=1)


@dataclass(frozen=True, slots=True)
class Samples:
    """Windows over I instruments and T minutes, and the N rows to be predicted or learned from.

    `index[n] = (instrument, row)`: the decision is taken at the close of that row's candle and may read nothing after
    it. A live decision builds the features of its own row only. `market` carries each instrument's stable number for
    pooled models.
    """

    open_times: IntArray  # (T,) epoch seconds
    ohlcv: FloatArray  # (I, T, 5), NaN where missing
    features: NDArray[np.float32]  # (I, R, F) of the last R ≤ T rows, in the order of VECTOR, NaN where unknown
    market: IntArray  # (I,)
    index: IntArray  # (N, 2)
    books: Books | None = None
    dollar: FloatArray | None = None  # (I,) 1 where the dollar is bought with the pair, −1 where it is sold, else 0
    place: IntArray | None = (
        None  # (I, T) row of each pair in `features` (1, R, F) where only a sample was built, or −1
    )
    flow: TradeFlow | None = None

    def __len__(self) -> int:
        return len(self.index)

    def pick(self, rows: NDArray[np.bool_] | IntArray) -> "Samples":
        """The same windows with only the chosen rows."""
        return replace(self, index=self.index[rows])

    def matrix(self, columns: IntArray | None = None) -> NDArray[np.float32]:
        """Feature rows (N, F), or only `columns` of them."""
        if self.place is not None:
            return self._sampled(self.place[self.index[:, 0], self.index[:, 1]], columns)
        places = self.index[:, 1] - (len(self.open_times) - self.features.shape[1])
        if len(places) and places.min() < 0:
            raise NoFeaturesError(f"features of the last {self.features.shape[1]} rows only: build those asked for too")
        instruments = self.index[:, 0]
        rows: NDArray[np.float32] = (
            self.features[instruments, places]
            if columns is None
            else self.features[instruments[:, None], places[:, None], columns]
        )
        return rows

    def _sampled(self, places: IntArray, columns: IntArray | None) -> NDArray[np.float32]:
        if len(places) and places.min() < 0:
            raise NoFeaturesError("features of a sample of rows only: ask for rows of that sample")
        rows: NDArray[np.float32] = self.features[0]
        return rows[places] if columns is None else rows[places[:, None], columns]

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
