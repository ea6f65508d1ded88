"""What a candle must be before it may be stored. Pure: columns in, verdicts out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from lib.clock import MINUTE_S
from markets.values import FloatArray, IntArray, Ohlcv, TaintFlag

FUTURE_S = 2.0
"""How far a venue's clock may run ahead of ours: the bound of fault 8 in the reliability plan."""
SPIKE = 1.5
"""A price that jumps by more than this factor, up or down, is kept but not trusted."""
QUIET_RUN = 15
"""Minutes in a row without volume that make a series suspect which otherwise trades."""


class Reason(StrEnum):
    """Why a candle was refused."""

    NAN = "nan"
    NONPOSITIVE = "nonpositive_price"
    IMPOSSIBLE = "impossible"
    NEGATIVE_VOLUME = "negative_volume"
    FUTURE = "future"
    OFF_GRID = "off_grid"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class CandleRows:
    """N candles as columns, in the order in which they were received."""

    instrument_ids: IntArray  # (N,)
    open_times: IntArray  # (N,) epoch seconds
    ohlcv: FloatArray  # (N, 5) open high low close volume
    closed: NDArray[np.bool_]  # (N,)
    flags: IntArray  # (N,) TaintFlag bits known before the store looks

    def __len__(self) -> int:
        return len(self.open_times)

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, Ohlcv]], flags: int = 0) -> "CandleRows":
        """Columns of (instrument id, candle) pairs."""
        rows = list(pairs)
        values = [(c.open, c.high, c.low, c.close, c.volume) for _, c in rows]
        return cls(
            np.fromiter((key for key, _ in rows), np.int64, len(rows)),
            np.fromiter((c.open_time for _, c in rows), np.int64, len(rows)),
            np.array(values, np.float64).reshape(-1, 5),
            np.fromiter((c.closed for _, c in rows), np.bool_, len(rows)),
            np.full(len(rows), flags, np.int64),
        )

    @classmethod
    def series(cls, instrument_id: int, open_times: IntArray, ohlcv: FloatArray, flags: int = 0) -> "CandleRows":
        """Columns of one instrument's closed candles: open times (N,), ohlcv (N, 5)."""
        size = len(open_times)
        return cls(
            np.full(size, instrument_id, np.int64),
            np.asarray(open_times, np.int64),
            np.asarray(ohlcv, np.float64).reshape(-1, 5),
            np.ones(size, np.bool_),
            np.full(size, flags, np.int64),
        )

    def pick(self, rows: NDArray[np.bool_] | IntArray) -> "CandleRows":
        """The chosen rows."""
        return CandleRows(
            self.instrument_ids[rows], self.open_times[rows], self.ohlcv[rows], self.closed[rows], self.flags[rows]
        )


def verdicts(rows: CandleRows, now: float) -> dict[Reason, NDArray[np.bool_]]:
    """For each reason the rows (N,) it refuses; a row is listed under the first reason that fits.

    Args:
        now: market time, epoch seconds.
    """
    opened, high, low, close, volume = rows.ohlcv.T
    with np.errstate(invalid="ignore"):
        found = {
            Reason.NAN: ~np.isfinite(rows.ohlcv).all(axis=1),
            Reason.NONPOSITIVE: (rows.ohlcv[:, :4] <= 0).any(axis=1),
            Reason.IMPOSSIBLE: (high < low) | (high < np.maximum(opened, close)) | (low > np.minimum(opened, close)),
            Reason.NEGATIVE_VOLUME: volume < 0,
            Reason.FUTURE: rows.open_times > now + FUTURE_S,
            Reason.OFF_GRID: rows.open_times % MINUTE_S != 0,
            Reason.UNFINISHED: ~rows.closed | (rows.open_times + MINUTE_S > now + FUTURE_S),
        }
    taken = np.zeros(len(rows), np.bool_)
    for reason, hit in found.items():
        found[reason] = hit & ~taken
        taken |= hit
    return found


def last_received(rows: CandleRows) -> IntArray:
    """Positions that stay, ordered by instrument and time: of equal keys the values received last count.

    They count as of their first arrival: a repetition does not make a candle later than it was.
    """
    order = np.lexsort((np.arange(len(rows)), rows.open_times, rows.instrument_ids))
    keys = np.stack([rows.instrument_ids[order], rows.open_times[order]])
    starts = np.flatnonzero(np.r_[np.ones(min(1, len(order)), np.bool_), (np.diff(keys) != 0).any(axis=0)])
    if len(starts) == len(order):
        return order
    ends = np.r_[starts[1:], len(order)]
    return np.array([_kept(rows, order[a:b]) for a, b in zip(starts, ends, strict=True)], np.int64)


def _kept(rows: CandleRows, positions: IntArray) -> int:
    """Of one key's positions, in order of receipt, the first of the last run of equal values."""
    kept = int(positions[-1])
    for position in positions[-2::-1].tolist():
        if not np.array_equal(rows.ohlcv[position], rows.ohlcv[kept]):
            break
        kept = position
    return kept


def spikes(ohlcv: FloatArray) -> NDArray[np.bool_]:
    """Candles (..., T) whose range, or whose step from the known close before it, exceeds the factor `SPIKE`.

    Args:
        ohlcv: (..., T, 5) in time order, NaN where missing; a jump across a gap counts as one.
    """
    limit = np.log(SPIKE)
    with np.errstate(invalid="ignore", divide="ignore"):
        wide = np.log(ohlcv[..., 1] / ohlcv[..., 2]) > limit
        step = np.log(ohlcv[..., 0] / _close_before(ohlcv[..., 3]))
        return np.asarray(wide | (np.abs(step) > limit), np.bool_)


def _close_before(close: FloatArray) -> FloatArray:
    """The last known close before each candle, (..., T); NaN at the start."""
    positions = np.where(np.isfinite(close), np.arange(close.shape[-1]), -1)
    known = np.maximum.accumulate(positions, axis=-1)
    filled = np.where(known < 0, np.nan, np.take_along_axis(close, np.maximum(known, 0), -1))
    before = np.full_like(filled, np.nan)
    before[..., 1:] = filled[..., :-1]
    return before


def fell_silent(volume: FloatArray) -> NDArray[np.bool_]:
    """Series (I,) whose last `QUIET_RUN` minutes of (I, T) had no volume although most minutes before did."""
    if volume.shape[-1] < 2 * QUIET_RUN:
        return np.zeros(volume.shape[0], np.bool_)
    quiet = (volume[:, -QUIET_RUN:] == 0).all(axis=1)
    busy = (volume[:, :-QUIET_RUN] > 0).mean(axis=1) > 0.5
    return np.asarray(quiet & busy, np.bool_)


def suspect_rows(instrument_ids: IntArray, ohlcv: FloatArray) -> IntArray:
    """TaintFlag bits (N,) of rows sorted by instrument and time: SUSPECT on spikes within the same instrument."""
    flags = np.where(spikes(ohlcv), int(TaintFlag.SUSPECT), 0)
    first = np.r_[True, np.diff(instrument_ids) != 0][: len(flags)]
    alone = np.where(spikes(ohlcv[:, None, :])[:, 0], int(TaintFlag.SUSPECT), 0)
    return np.where(first, alone, flags).astype(np.int64)


def samples(rows: CandleRows, hit: NDArray[np.bool_]) -> Sequence[tuple[int, int, dict[str, object]]]:
    """Per instrument among `hit`: (instrument id, how many, the last of them as text fit for JSON)."""
    found: list[tuple[int, int, dict[str, object]]] = []
    for instrument_id in np.unique(rows.instrument_ids[hit]).tolist():
        where = np.flatnonzero(hit & (rows.instrument_ids == instrument_id))
        values = [str(value) for value in rows.ohlcv[where[-1]].tolist()]  # as text: JSON knows no NaN
        found.append((instrument_id, len(where), {"open_time": int(rows.open_times[where[-1]]), "ohlcv": values}))
    return found
