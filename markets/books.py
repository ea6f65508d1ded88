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
from markets.values import BOOK_LEVELS, Books, BookTop, FloatArray, IntArray, Trade, TradeFlow

ABSENT = np.iinfo(np.int32).min
"""A level that the book did not have."""
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
    levels = np.where(known, np.nan_to_num(steps, posinf=0, neginf=0), ABSENT)
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


def unpack_books(minute: int, packed: PackedBooks) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.float32]]:
    """Times (S,), mids (S,), prices (S, 2, 20) and sizes (S, 2, 20) of one row."""
    times = minute + np.frombuffer(packed.offsets_ms, LITTLE_INT) / 1000
    mids = np.frombuffer(packed.mids, LITTLE_WIDE).astype(np.float64)
    levels = np.frombuffer(packed.levels, LITTLE_INT).reshape(-1, 2, BOOK_LEVELS)
    steps = np.where(levels == ABSENT, np.nan, levels * (packed.tick_size / 2))
    sizes = np.frombuffer(packed.sizes, LITTLE_REAL).reshape(-1, 2, BOOK_LEVELS)
    return times, mids, mids[:, None, None] + steps, sizes.astype(np.float32)


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


def load_books(instrument_ids: IntArray, until: int, snapshots: int) -> Books | None:
    """The last `snapshots` books of each instrument at or before `until`; None where no instrument has any.

    Only minutes as far back as that many snapshots take at the set rate, plus two, are looked at.
    """
    if snapshots < 1:
        return None
    reach = MINUTE_S * (ceil(snapshots * settings.BOOK_EVERY_S / MINUTE_S) + 2)
    rows = _minutes_of_books(instrument_ids.tolist(), until, reach)
    if not rows:  # a training asks for a week: room for its books is gigabytes
        return None
    shape = (len(instrument_ids), snapshots)
    times, mids = np.full(shape, np.nan), np.full(shape, np.nan)
    prices = np.full((*shape, 2, BOOK_LEVELS), np.nan)
    sizes = np.full((*shape, 2, BOOK_LEVELS), np.nan, np.float32)
    owner, at, *values = _unpacked(rows)
    # Rows of one instrument lie together, by time: the newest known one takes the last place, and so backwards.
    known = np.flatnonzero(at <= until)
    ends = np.searchsorted(owner[known], owner[known], side="right")
    places = snapshots - (ends - np.arange(len(known)))
    known, places = known[places >= 0], places[places >= 0]
    order = np.argsort(instrument_ids)
    where = order[np.searchsorted(instrument_ids, owner[known], sorter=order)], places
    times[where] = at[known]
    for out, column in zip((mids, prices, sizes), values, strict=True):
        out[where] = column[known]
    return Books(times, mids, prices, sizes) if len(known) else None


BookRow = tuple[int, datetime, float, bytes, bytes, bytes, bytes]
"""Instrument id, minute and the packed columns."""


def _minutes_of_books(ids: list[int], until: int, reach: int) -> list[BookRow]:
    rows = BookSnapshot.objects.filter(
        instrument_id__in=ids, minute__gte=from_epoch(until - reach), minute__lt=from_epoch(until)
    ).order_by("instrument_id", "minute")
    return list(
        rows.values_list("instrument_id", "minute", "tick_size", "offsets_ms", "mids", "levels", "sizes")  # type: ignore[arg-type]  # bytes-like
    )


def _unpacked(rows: list[BookRow]) -> tuple[NDArray[Any], ...]:
    """The snapshots of all rows in one go: instrument (N,), times (N,), mids (N,), prices and sizes (N, 2, 20)."""
    ids, minutes, ticks, offsets, mids, levels, sizes = zip(*rows, strict=True)
    counts = [len(column) // 8 for column in mids]
    mid = np.frombuffer(b"".join(mids), LITTLE_WIDE).astype(np.float64)
    times = np.repeat([minute.timestamp() for minute in minutes], counts)
    times = times + np.frombuffer(b"".join(offsets), LITTLE_INT) / 1000
    level = np.frombuffer(b"".join(levels), LITTLE_INT).reshape(-1, 2, BOOK_LEVELS)
    half = np.repeat(np.array(ticks) / 2, counts)[:, None, None]
    prices = mid[:, None, None] + np.where(level == ABSENT, np.nan, level * half)
    size = np.frombuffer(b"".join(sizes), LITTLE_REAL).reshape(-1, 2, BOOK_LEVELS).astype(np.float32)
    return np.repeat(np.array(ids, np.int64), counts), times, mid, prices, size


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
