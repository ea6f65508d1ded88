"""Order books and public trades: packed as one row per instrument and minute, unpacked for a decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor, log10
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from numpy.typing import NDArray

from lib.clock import MINUTE_S, from_epoch
from lib.postgres import ensure_partitions
from markets.models import BookSnapshot
from markets.models import TradeFlow as FlowRow
from markets.values import ABSENT_LEVEL, BOOK_LEVELS, Books, BookTop, FloatArray, IntArray, Trade, TradeFlow

LITTLE_INT, LITTLE_REAL, LITTLE_WIDE = "<i4", "<f4", "<f8"


@dataclass(frozen=True, slots=True)
class PackedBooks:
    """The columns of one `BookSnapshot` row."""

    tick_size: float
    offsets_ms: bytes
    mids: bytes
    levels: bytes
    sizes: bytes


@dataclass(frozen=True, slots=True)
class PackedFlow:
    """The columns of one `TradeFlow` row."""

    buy: bytes
    sell: bytes
    count: bytes
    largest: bytes


def usable_tick(tick_size: float, mid: float) -> float:
    """The venue's tick, or where it names none a power of ten some eight digits below the price."""
    return tick_size if tick_size > 0 else 10.0 ** (floor(log10(mid)) - 8)


def pack_books(minute: int, tops: Sequence[BookTop], tick_size: float) -> PackedBooks | None:
    """Snapshots of one minute as bytes; those without both sides are left out, None where none is left.

    A level is stored as its distance from the mid in half ticks, because the mid of two ticks may lie between them.
    """
    whole = [top for top in tops if top.bids and top.asks]
    if not whole:
        return None
    mids = np.array([(top.bids[0][0] + top.asks[0][0]) / 2 for top in whole])
    tick = usable_tick(tick_size, float(mids[0]))
    prices, sizes = _levels(whole)
    steps = np.round((prices - mids[:, None, None]) / (tick / 2))
    known = np.isfinite(steps) & (np.abs(steps) < np.iinfo(np.int32).max)
    levels = np.where(known, np.nan_to_num(steps, posinf=0, neginf=0), ABSENT_LEVEL)
    offsets = np.array([round((top.at - minute) * 1000) for top in whole])
    return PackedBooks(
        tick,
        offsets.astype(LITTLE_INT).tobytes(),
        mids.astype(LITTLE_WIDE).tobytes(),
        levels.astype(LITTLE_INT).tobytes(),
        np.where(known, sizes, np.nan).astype(LITTLE_REAL).tobytes(),
    )


def _levels(tops: Sequence[BookTop]) -> tuple[FloatArray, FloatArray]:
    """Prices and sizes (S, 2, 20), NaN where a book is shorter."""
    out = np.full((2, len(tops), 2, BOOK_LEVELS), np.nan)
    for row, top in enumerate(tops):
        for side, levels in enumerate((top.bids, top.asks)):
            found = np.array(levels[:BOOK_LEVELS], np.float64).reshape(-1, 2)
            out[:, row, side, : len(found)] = found.T
    return out[0], out[1]


class FlowMinute:
    """The trades of one minute, folded into its 60 seconds as they come."""

    def __init__(self, minute: int) -> None:
        self.minute = minute
        self._volumes = np.zeros((3, 60))  # bought, sold, largest
        self._count = np.zeros(60, np.int64)

    def add(self, trade: Trade) -> None:
        """Count a trade; one outside the minute is left out."""
        second = int((trade.at - self.minute) // 1)
        if 0 <= second < 60:
            self._volumes[0 if trade.buy else 1, second] += trade.size
            self._volumes[2, second] = max(self._volumes[2, second], trade.size)
            self._count[second] += 1

    def packed(self) -> PackedFlow:
        """The columns of its row."""
        buy, sell, largest = (volume.astype(LITTLE_REAL).tobytes() for volume in self._volumes)
        return PackedFlow(buy, sell, self._count.astype(LITTLE_INT).tobytes(), largest)


_KEEP_BOOKS = """
INSERT INTO markets_booksnapshot AS b (instrument_id, minute, tick_size, offsets_ms, mids, levels, sizes)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (instrument_id, minute) DO UPDATE
SET tick_size = EXCLUDED.tick_size, offsets_ms = EXCLUDED.offsets_ms, mids = EXCLUDED.mids, levels = EXCLUDED.levels,
  sizes = EXCLUDED.sizes WHERE length(EXCLUDED.mids) > length(b.mids)
"""  # a feed that restarted within the minute does not replace the fuller half
_KEEP_FLOW = """
INSERT INTO markets_tradeflow (instrument_id, minute, buy, sell, count, largest) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (instrument_id, minute) DO NOTHING
"""


def store_books(minute: int, books: dict[int, PackedBooks]) -> None:
    """Write the packed books of one minute, by instrument id."""
    at = from_epoch(minute)
    rows = [(key, at, b.tick_size, b.offsets_ms, b.mids, b.levels, b.sizes) for key, b in books.items()]
    _write("markets_booksnapshot", _KEEP_BOOKS, minute, rows)


def store_flow(minute: int, flows: dict[int, PackedFlow]) -> None:
    """Write the folded trades of one minute, by instrument id."""
    at = from_epoch(minute)
    _write(
        "markets_tradeflow", _KEEP_FLOW, minute, [(k, at, f.buy, f.sell, f.count, f.largest) for k, f in flows.items()]
    )


def _write(table: str, statement: str, minute: int, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        ensure_partitions(table, from_epoch(minute), from_epoch(minute))
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)


ROWS_AT_ONCE = 20_000
"""Minutes of books read by one query: on its way an answer is held several times over."""


def load_books(instrument_ids: IntArray, until: int, snapshots: int, *, at_once: int = ROWS_AT_ONCE) -> Books | None:
    """The last `snapshots` books of each instrument at or before `until`; None where no instrument has any.

    Only minutes as far back as that many snapshots take at the set rate, plus two, are looked at.
    """
    if snapshots < 1:
        return None
    reach = MINUTE_S * (ceil(snapshots * settings.BOOK_EVERY_S / MINUTE_S) + 2)
    stretch = max(at_once // max(len(instrument_ids), 1), 1) * MINUTE_S
    found: Books | None = None
    filled = np.zeros(len(instrument_ids), dtype=np.int64)
    for end in range(until, until - reach, -stretch):
        rows = _minutes_of_books(instrument_ids.tolist(), max(end - stretch, until - reach), end)
        if rows:  # a training asks for a week: no room is made for nothing
            found = found or _no_books(len(instrument_ids), snapshots)
            filled = _fill(found, filled, instrument_ids, until, unpacked(rows))
    return found if filled.any() else None


def _no_books(instruments: int, snapshots: int) -> Books:
    times, mid, tick = np.full((3, instruments, snapshots), np.nan)
    shape = (instruments, snapshots, 2, BOOK_LEVELS)
    return Books(times, mid, tick, np.full(shape, ABSENT_LEVEL, np.int32), np.full(shape, np.nan, np.float32))


def _fill(books: Books, filled: IntArray, ids: IntArray, until: int, columns: "BookColumns") -> IntArray:
    """Put the snapshots before those that are there, the newest last; how many each instrument has now (I,)."""
    owner, at = columns[:2]
    order = np.argsort(ids)
    row = order[np.searchsorted(ids, owner, sorter=order)]
    known = np.flatnonzero(at <= until)
    # Rows of one instrument lie together, by time: the newest takes the last free place, and so backwards.
    row, ends = row[known], np.searchsorted(owner[known], owner[known], side="right")
    places = books.times.shape[1] - filled[row] - (ends - np.arange(len(known)))
    row, places, known = row[places >= 0], places[places >= 0], known[places >= 0]
    parts: tuple[NDArray[Any], ...] = books.times, books.mid, books.tick, books.levels, books.sizes
    for out, column in zip(parts, columns[1:], strict=True):
        out[row, places] = np.asarray(column)[known]
    return filled + np.bincount(row, minlength=len(filled))


BookRow = tuple[int, datetime, float, bytes, bytes, bytes, bytes]
"""Instrument id, minute and the packed columns."""
BookColumns = tuple[IntArray, FloatArray, FloatArray, FloatArray, NDArray[np.int32], NDArray[np.float32]]
"""Of N snapshots: instrument id, time, mid and tick (N,), levels and sizes (N, 2, 20) as in `Books`."""


def _minutes_of_books(ids: list[int], start: int, end: int) -> list[BookRow]:
    rows = BookSnapshot.objects.filter(
        instrument_id__in=ids, minute__gte=from_epoch(start), minute__lt=from_epoch(end)
    ).order_by("instrument_id", "minute")
    return list(
        rows.values_list("instrument_id", "minute", "tick_size", "offsets_ms", "mids", "levels", "sizes")  # type: ignore[arg-type]  # bytes-like
    )


def unpacked(rows: Sequence[BookRow]) -> BookColumns:
    """The snapshots of all rows in one go, in their order."""
    ids, minutes, ticks, offsets, mids, levels, sizes = zip(*rows, strict=True)
    counts = [len(column) // 8 for column in mids]
    times = np.repeat([minute.timestamp() for minute in minutes], counts)
    return (
        np.repeat(np.array(ids, np.int64), counts),
        times + np.frombuffer(b"".join(offsets), LITTLE_INT) / 1000,
        np.frombuffer(b"".join(mids), LITTLE_WIDE).astype(np.float64),
        np.repeat(np.array(ticks, np.float64), counts),
        np.frombuffer(b"".join(levels), LITTLE_INT).reshape(-1, 2, BOOK_LEVELS).astype(np.int32),
        np.frombuffer(b"".join(sizes), LITTLE_REAL).reshape(-1, 2, BOOK_LEVELS).astype(np.float32),
    )


FLOW_ROWS = 5_000
"""Minutes of flow fetched at a time."""


def load_flow(instrument_ids: IntArray, until: int, seconds: int) -> TradeFlow | None:
    """Per-second trades of the `seconds` before `until`; NaN in minutes that were not recorded, None without any."""
    if seconds < 1:
        return None
    start = (until - seconds) // MINUTE_S * MINUTE_S
    places = {key: place for place, key in enumerate(instrument_ids.tolist())}
    rows = FlowRow.objects.filter(
        instrument_id__in=list(places), minute__gte=from_epoch(start), minute__lt=from_epoch(until)
    ).values_list("instrument_id", "minute", "buy", "sell", "largest", "count")
    volumes: NDArray[np.float32] | None = None
    for key, minute, *columns, trades in rows.iterator(FLOW_ROWS):
        if volumes is None:  # a training asks for a week: no room is made for nothing
            volumes = np.full((3, len(places), until - start), np.nan, np.float32)
            count = np.zeros(volumes.shape[1:], np.int32)
        at = int(minute.timestamp()) - start
        for layer, column in enumerate(columns):
            volumes[layer, places[key], at : at + MINUTE_S] = np.frombuffer(column, LITTLE_REAL)
        count[places[key], at : at + MINUTE_S] = np.frombuffer(trades, LITTLE_INT)
    if volumes is None:
        return None
    (buy, sell, largest), count = volumes[..., -seconds:], count[:, -seconds:]
    return TradeFlow(np.arange(until - seconds, until, dtype=np.int64), buy, sell, count, largest)
