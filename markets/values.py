"""The values that cross the market floor: plain, frozen, without Django."""

from dataclasses import dataclass, replace
from enum import IntFlag
from types import EllipsisType

import numpy as np
from numpy.typing import NDArray

BOOK_LEVELS = 20
"""Levels a side that a stored book holds."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class TaintFlag(IntFlag):
    """Why a window is not to be trusted; stored on the round."""

    NONE = 0
    GAP = 1
    STALE = 2
    FILLED = 4
    OUT_OF_ORDER = 8
    CLOCK_SKEW = 16
    REPAIRED = 32
    SUSPECT = 64


@dataclass(frozen=True, slots=True)
class Ohlcv:
    """One candle as a venue spoke it. `open_time` is epoch seconds UTC; prices in quote currency, volume in base."""

    symbol: str
    open_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool = True


@dataclass(frozen=True, slots=True)
class BookTop:
    """The best `BOOK_LEVELS` levels of a book: bids and asks are (price, size), best first; `at` is epoch seconds."""

    symbol: str
    at: float
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Trade:
    """One public trade; `buy` is the aggressor's side; `at` is epoch seconds, size in base units."""

    symbol: str
    at: float
    price: float
    size: float
    buy: bool


@dataclass(frozen=True, slots=True)
class PriceTick:
    """A price inside the forming candle, for the page only; it never enters a feature."""

    symbol: str
    at: float
    price: float


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The venue is alive although it had nothing to say."""

    at: float


VenueEvent = Ohlcv | BookTop | Trade | PriceTick | Heartbeat


Place = int | tuple[int | IntArray, ...] | EllipsisType
"""What picks snapshots of (I, S)."""
ABSENT_LEVEL = np.iinfo(np.int32).min
"""A level that the book did not have."""


@dataclass(frozen=True, slots=True)
class Books:
    """The last S snapshots of each instrument's book; side 0 is bid, 1 ask, level 0 the best.

    Prices are kept as whole half ticks, because the mid of two ticks may lie between them: a price that did not change
    then reads exactly as before. It also halves what a week of them takes.
    """

    times: FloatArray  # (I, S) epoch seconds, NaN where absent
    mid: FloatArray  # (I, S), NaN where absent
    tick: FloatArray  # (I, S), NaN where absent
    levels: NDArray[np.int32]  # (I, S, 2, 20) half ticks from the mid, or ABSENT_LEVEL
    sizes: NDArray[np.float32]  # (I, S, 2, 20), NaN where absent

    @classmethod
    def of(
        cls, times: FloatArray, mid: FloatArray, prices: FloatArray, sizes: NDArray[np.float32], tick: float
    ) -> "Books":
        """From prices (I, S, 2, 20), NaN where a level is absent, rounded to half ticks."""
        steps = np.rint((prices - mid[..., None, None]) / (tick / 2))
        levels = np.where(np.isfinite(steps), np.nan_to_num(steps), ABSENT_LEVEL).astype(np.int32)
        return cls(times, mid, np.where(np.isfinite(mid), tick, np.nan), levels, sizes)

    def of_rows(self, rows: IntArray) -> "Books":
        """Only the instruments at these rows."""
        return Books(self.times[rows], self.mid[rows], self.tick[rows], self.levels[rows], self.sizes[rows])

    def half_ticks(self, place: Place = ...) -> FloatArray:
        """The mids at these places of (I, S) as whole half ticks; a change of less is rounding."""
        return np.asarray(np.rint(self.mid[place] / (self.tick[place] / 2)))

    def prices(self, place: Place = ...) -> FloatArray:
        """The prices (…, 2, 20) at these places of (I, S), NaN where a level is absent."""
        levels, half = self.levels[place], self.tick[place] / 2
        steps = self.half_ticks(place)[..., None, None] + levels
        return np.where(levels == ABSENT_LEVEL, np.nan, steps * half[..., None, None])


@dataclass(frozen=True, slots=True)
class TradeFlow:
    """Per-second buckets of the public trades of S seconds in a row; NaN in minutes that were not recorded."""

    times: IntArray  # (S,) epoch seconds
    buy: NDArray[np.float32]  # (I, S) bought volume
    sell: NDArray[np.float32]  # (I, S) sold volume
    count: NDArray[np.int32]  # (I, S)
    largest: NDArray[np.float32]  # (I, S) largest single trade

    def of_rows(self, rows: IntArray) -> "TradeFlow":
        """Only the instruments at these rows."""
        return TradeFlow(self.times, self.buy[rows], self.sell[rows], self.count[rows], self.largest[rows])


@dataclass(frozen=True, slots=True)
class Perpetuals:
    """Funding and open interest of the last stamps of each instrument, oldest first; NaN where absent."""

    times: FloatArray  # (I, K) epoch seconds of the open interest
    open_interest: FloatArray  # (I, K) base units
    funding: FloatArray  # (I,) rate per interval as a fraction, stamped at or before the decision


@dataclass(frozen=True, slots=True)
class Panel:
    """What one decision may know: the windows of all instruments of a shard on one time axis."""

    instrument_ids: IntArray  # (I,)
    open_times: IntArray  # (T,) epoch seconds of the due minutes; the last closes at the decision instant
    ohlcv: FloatArray  # (I, T, 5), NaN where a candle is missing: gaps are masked, never filled
    observed_at: FloatArray  # (I, T) epoch seconds of receipt, NaN where missing
    taint: IntArray  # (I,) TaintFlag bits
    books: Books | None
    flow: TradeFlow | None
    flags: IntArray  # (I, T) TaintFlag bits of each candle as it was stored, 0 where it is missing

    def last(self, bars: int) -> "Panel":
        """Only the last `bars` minutes; the taint stays that of the stretch it was judged over."""
        cut = slice(-bars, None)
        times, ohlcv = self.open_times[cut], np.ascontiguousarray(self.ohlcv[:, cut])  # compiled code wants them so
        return replace(
            self, open_times=times, ohlcv=ohlcv, observed_at=self.observed_at[:, cut], flags=self.flags[:, cut]
        )

    def of(self, rows: IntArray) -> "Panel":
        """Only the instruments at these rows, in their order."""
        return replace(
            self,
            instrument_ids=self.instrument_ids[rows],
            ohlcv=self.ohlcv[rows],
            observed_at=self.observed_at[rows],
            taint=self.taint[rows],
            books=self.books.of_rows(rows) if self.books else None,
            flow=self.flow.of_rows(rows) if self.flow else None,
            flags=self.flags[rows],
        )
