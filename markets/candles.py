"""THE CANDLE STORE: closed 1-minute candles, each stored once, whatever comes how often and in which order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

import numpy as np
from django.db import IntegrityError, connection, transaction
from numpy.typing import NDArray

from lib.clock import MINUTE_S, from_epoch, market_now
from lib.errors import CandorError
from lib.postgres import ensure_partitions
from markets.books import load_books, load_flow
from markets.calendars import last_open_minutes, open_minutes
from markets.copying import Columns, copy_in, fetch, to_epoch, to_stamp
from markets.refusals import count_refused
from markets.validation import CandleRows, fell_silent, last_received, spikes, suspect_rows
from markets.values import FloatArray, IntArray, Ohlcv, Panel, TaintFlag

TABLE = "markets_candle"
INCOMING = "candor_incoming"


class Source(IntEnum):
    """How a candle reached us."""

    STREAM = 1
    REST = 2
    IMPORT = 3
    REPLAY = 4
    SIMULATED = 5


VALUES = ("open", "high", "low", "close", "volume")
COLUMNS: Columns = (
    ("instrument_id", ">i8"),
    ("open_time", ">i8"),
    *((name, ">f8") for name in VALUES),
    ("observed_at", ">i8"),
    ("source", ">i2"),
    ("flags", ">i2"),
)
_NAMES = ", ".join(name for name, _ in COLUMNS)
_DIFFERS = f"({', '.join('c.' + n for n in VALUES)}) IS DISTINCT FROM ({', '.join('i.' + n for n in VALUES)})"

BULK = 1000
"""Rows from which on it pays to look whether they can be copied straight in."""
_ANY = f"SELECT 1 FROM {TABLE} WHERE instrument_id = ANY(%s::bigint[]) AND open_time BETWEEN %s AND %s LIMIT 1"  # noqa: S608  # constants
_MAKE_INCOMING = f"CREATE TEMP TABLE IF NOT EXISTS {INCOMING} (LIKE {TABLE}) ON COMMIT DELETE ROWS"
# Two statements, because the second must see what a racing writer committed while the first waited for its key.
_INSERT = f"INSERT INTO {TABLE} ({_NAMES}) SELECT {_NAMES} FROM {INCOMING} ON CONFLICT DO NOTHING"  # noqa: S608  # constants
_CORRECT = f"""
WITH replaced AS (
  SELECT c.* FROM {TABLE} c JOIN {INCOMING} i USING (instrument_id, open_time)
  WHERE c.open_time BETWEEN %s AND %s AND {_DIFFERS} FOR UPDATE OF c
), kept AS (
  INSERT INTO markets_candlerevision
    (instrument_id, open_time, {", ".join(VALUES)}, observed_at, replaced_at, source, flags)
  SELECT r.instrument_id, r.open_time, {", ".join("r." + n for n in VALUES)}, r.observed_at, i.observed_at,
    r.source, r.flags
  FROM replaced r JOIN {INCOMING} i USING (instrument_id, open_time)
)
UPDATE {TABLE} c SET {", ".join(f"{n} = i.{n}" for n in (*VALUES, "observed_at", "source", "flags"))}
FROM {INCOMING} i JOIN replaced r USING (instrument_id, open_time)
WHERE c.instrument_id = i.instrument_id AND c.open_time = i.open_time AND c.open_time BETWEEN %s AND %s
"""  # noqa: S608  # constants


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What became of the candles that were handed in; the four numbers add up to their count."""

    stored: int = 0
    duplicates: int = 0
    corrected: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "StoreReport") -> "StoreReport":
        reasons = {*self.refused, *other.refused}
        return StoreReport(
            self.stored + other.stored,
            self.duplicates + other.duplicates,
            self.corrected + other.corrected,
            {reason: self.refused.get(reason, 0) + other.refused.get(reason, 0) for reason in sorted(reasons)},
        )


def store_closed(
    rows: CandleRows | Iterable[tuple[int, Ohlcv]],
    *,
    source: Source,
    observed_at: datetime | NDArray[np.floating[Any]] | None = None,
    now: datetime | None = None,
) -> StoreReport:
    """Store closed candles in one transaction.

    A candle that is there already with the same values changes nothing. One with other values is a correction: the
    key stays, the replaced values move to `CandleRevision`. Of equal keys within `rows` the
    values received last count, as of their first arrival.

    Args:
        rows: columns, or pairs of (instrument id, candle).
        observed_at: when they were received, one instant or epoch seconds (N,); default `now`.
        now: market time; default the market clock.

    Returns:
        The counts; refused candles are also counted per instrument and day in `Refusal`, and in the metrics.
    """
    rows = rows if isinstance(rows, CandleRows) else CandleRows.of(rows)
    at = now or market_now()
    if not isinstance(observed_at, np.ndarray):
        observed_at = np.full(len(rows), (observed_at or at).timestamp())
    seen = observed_at.astype(np.float64)
    with transaction.atomic():
        good, refused = count_refused(rows, at)
        kept = np.flatnonzero(good)
        kept = kept[last_received(rows.pick(kept))]
        if not len(kept):
            return StoreReport(refused=refused, duplicates=int(good.sum()))
        stored, corrected = _write(rows.pick(kept), seen[kept], source)
    return StoreReport(stored, int(good.sum()) - stored - corrected, corrected, refused)


def _write(rows: CandleRows, seen: FloatArray, source: Source) -> tuple[int, int]:
    """Stored and corrected counts of rows with distinct keys, sorted by instrument and time."""
    span = from_epoch(int(rows.open_times.min())), from_epoch(int(rows.open_times.max()))
    ensure_partitions(TABLE, *span)
    packed = _packed(rows, seen, source)
    if len(rows) >= BULK and _copied(rows, span, packed):
        return len(rows), 0
    with connection.cursor() as cursor:
        cursor.execute(_MAKE_INCOMING)
        copy_in(INCOMING, COLUMNS, packed)
        cursor.execute(_INSERT)
        stored, corrected = cursor.rowcount, 0
        if stored < len(rows):
            cursor.execute(_CORRECT, [*span, *span])
            corrected = cursor.rowcount
        cursor.execute(f"DELETE FROM {INCOMING}")  # noqa: S608  # a later call may share this transaction
    return stored, corrected


def _copied(rows: CandleRows, span: tuple[datetime, datetime], packed: dict[str, NDArray[Any]]) -> bool:
    """Copy straight into the store where it holds nothing of the span, as in most downloads and imports."""
    with connection.cursor() as cursor:
        cursor.execute(_ANY, [np.unique(rows.instrument_ids).tolist(), *span])
        if cursor.fetchone() is not None:
            return False
    try:
        with transaction.atomic():
            copy_in(TABLE, COLUMNS, packed)
    except IntegrityError:  # somebody else stored one of them since
        return False
    return True


def _packed(rows: CandleRows, seen: FloatArray, source: Source) -> dict[str, NDArray[Any]]:
    flags = rows.flags | suspect_rows(rows.instrument_ids, rows.ohlcv)
    return {
        "instrument_id": rows.instrument_ids,
        "open_time": to_stamp(rows.open_times),
        **{name: rows.ohlcv[:, column] for column, name in enumerate(VALUES)},
        "observed_at": to_stamp(seen),
        "source": np.full(len(rows), int(source)),
        "flags": flags,
    }


# ---- reading

LATEST = np.dtype([("open_time", "i8"), *((name, "f8") for name in VALUES)])
_SHORT: Columns = (("open_time", ">i8"), *((name, ">f8") for name in VALUES))
_SHORT_NAMES = ", ".join(name for name, _ in _SHORT)


def latest(instrument_id: int, n: int, *, until: int | None = None) -> NDArray[Any]:
    """The last `n` stored candles, oldest first, as a structured array of `LATEST` (epoch seconds, float64).

    Args:
        until: close instant (epoch seconds) of the last candle that may be seen; default no bound.
    """
    bound = "" if until is None else " AND open_time <= %s"
    query = f"SELECT {_SHORT_NAMES} FROM {TABLE} WHERE instrument_id = %s{bound} ORDER BY open_time DESC LIMIT %s"  # noqa: S608  # constants
    middle: list[object] = [] if until is None else [from_epoch(until - MINUTE_S)]
    return _structured(fetch(query, [instrument_id, *middle, n], _SHORT))[::-1]


def _structured(rows: dict[str, NDArray[Any]]) -> NDArray[Any]:
    out = np.empty(len(rows["open_time"]), LATEST)
    out["open_time"] = to_epoch(rows["open_time"])
    for name in VALUES:
        out[name] = rows[name]
    return out


def load_ohlcv(instrument_id: int, start: int, end: int) -> tuple[IntArray, FloatArray]:
    """The stored candles with `start <= open_time < end`: open times (T,) ascending, ohlcv (T, 5)."""
    query = (
        f"SELECT {_SHORT_NAMES} FROM {TABLE} WHERE instrument_id = %s AND open_time >= %s AND open_time < %s "  # noqa: S608  # constants
        "ORDER BY open_time"
    )
    rows = fetch(query, [instrument_id, from_epoch(start), from_epoch(end)], _SHORT)
    return to_epoch(rows["open_time"]).astype(np.int64), np.stack([rows[name] for name in VALUES], axis=1)


def stored_times(instrument_id: int, start: int, end: int) -> IntArray:
    """Open times (T,) of the stored candles with `start <= open_time < end`."""
    query = (
        f"SELECT open_time FROM {TABLE} WHERE instrument_id = %s AND open_time >= %s AND open_time < %s "  # noqa: S608  # constants
        "ORDER BY open_time"
    )
    rows = fetch(query, [instrument_id, from_epoch(start), from_epoch(end)], (("open_time", ">i8"),))
    return to_epoch(rows["open_time"]).astype(np.int64)


def find_gaps(instrument_id: int, start: int, end: int, *, calendar: str = "always") -> list[tuple[int, int]]:
    """Holes among the due minutes of [start, end): (first missing open time, end of the hole), ascending.

    A hole that spans a closed stretch of the calendar is one hole: nothing was due in between.
    """
    due = open_minutes(calendar, start, end)
    missing = ~np.isin(due, stored_times(instrument_id, start, end), assume_unique=True)
    edges = np.flatnonzero(np.diff(np.r_[False, missing, False]))
    return [(int(due[a]), int(due[b - 1]) + MINUTE_S) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def incomplete(calendars: Mapping[int, str], start: int, end: int) -> list[int]:
    """Those of the instruments (id → calendar) that lack a due candle in [start, end), asked in one query."""
    query = f"SELECT instrument_id, open_time FROM {TABLE} WHERE {_SPAN}"  # noqa: S608  # constants
    span: list[object] = [list(calendars), from_epoch(start), from_epoch(end - MINUTE_S)]
    rows = fetch(query, span, (("instrument_id", ">i8"), ("open_time", ">i8")))
    times, due = (
        to_epoch(rows["open_time"]).astype(np.int64),
        {c: open_minutes(c, start, end) for c in calendars.values()},
    )
    return [
        key
        for key, calendar in calendars.items()
        if not np.isin(due[calendar], times[rows["instrument_id"] == key], assume_unique=True).all()
    ]


def newest_open_times(instrument_ids: Sequence[int]) -> dict[int, int]:
    """Open time of the newest stored candle of each instrument that has one."""
    query = (
        "SELECT i.id, (SELECT max(open_time) FROM markets_candle WHERE instrument_id = i.id) "
        "FROM unnest(%s::bigint[]) AS i(id)"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [list(instrument_ids)])
        return {key: int(at.timestamp()) for key, at in cursor.fetchall() if at is not None}


def newest(instrument_ids: Sequence[int]) -> datetime | None:
    """Close time of the newest stored candle of any of the instruments, None without one."""
    found = newest_open_times(instrument_ids)
    return from_epoch(max(found.values()) + MINUTE_S) if found else None


# ---- the window of one decision

RECENT_BARS = 15
"""A repaired or late candle is the venue's own and whole; it marks windows for a quarter of an hour only."""
_LASTING = int(TaintFlag.FILLED | TaintFlag.SUSPECT)
PANEL_COLUMNS: Columns = (*COLUMNS[:8], COLUMNS[9])
_PANEL_NAMES = ", ".join(name for name, _ in PANEL_COLUMNS)
_SPAN = "instrument_id = ANY(%s::bigint[]) AND open_time BETWEEN %s AND %s"
WINDOW_QUERY = f"SELECT {_PANEL_NAMES} FROM {TABLE} WHERE {_SPAN}"  # noqa: S608  # constants
_THEN_QUERY = (
    f"SELECT {_PANEL_NAMES} FROM {TABLE} WHERE {_SPAN} AND observed_at <= %s UNION ALL "  # noqa: S608  # constants
    f"SELECT {_PANEL_NAMES} FROM markets_candlerevision WHERE {_SPAN} AND observed_at <= %s AND replaced_at > %s"
)


class WindowError(CandorError):
    """A window that cannot exist."""


def load_panel(
    instrument_ids: Sequence[int],
    until: int,
    bars: int,
    *,
    as_of: datetime | None = None,
    calendar: str = "always",
    taint_bars: int | None = None,
    snapshots: int = 0,
    flow_s: int = 0,
) -> Panel:
    """What a decision at `until` may know: the last `bars` due minutes of each instrument on one time axis.

    Missing candles are NaN. Taint, over the last `taint_bars` minutes (default all: the longest look-back is the rule,
    because a hole anywhere in the window reaches some feature):

    * GAP: a due minute is missing; STALE: the last one is;
    * FILLED, SUSPECT: a candle was filled by its venue; a price jumped by half or volume fell silent;
    * REPAIRED, OUT_OF_ORDER, CLOCK_SKEW: of the last 15 candles one came by back-fill, after a later one, or while the
      venue's clock and ours disagreed. A repaired candle is whole: whether it vetoes is the reader's rule.

    Args:
        until: close instant of the last candle, epoch seconds on the minute grid.
        as_of: show the window as it was known at that instant: later candles are missing, corrections undone.
        calendar: whose minutes are due; instruments of one call share it.
        snapshots: load the last that many book snapshots of each instrument; 0 loads none.
        flow_s: load the last that many seconds of trade flow; 0 loads none.
    """
    if until % MINUTE_S or bars < 1:
        raise WindowError(f"no window of {bars} minutes ends at {until}: give a minute's end and at least one minute")
    ids = np.asarray(instrument_ids, np.int64)
    times = last_open_minutes(calendar, until, bars)
    ohlcv, observed, flags = read_window(ids, times, as_of)
    taint = window_taint(ohlcv, flags, min(taint_bars or bars, bars))
    books, flow = load_books(ids, until, snapshots), load_flow(ids, until, flow_s)
    return Panel(ids, times, ohlcv, observed, taint, books, flow, flags)


READ_AT_ONCE = 500_000
"""Candles asked for by one query: on its way an answer is held several times over."""


def read_window(
    ids: IntArray, times: IntArray, as_of: datetime | None, *, at_once: int = READ_AT_ONCE
) -> tuple[FloatArray, FloatArray, IntArray]:
    """The stored candles on the axes, as `spread` lays them out; a long window is read stretch by stretch."""
    shape, step = (len(ids), len(times)), max(at_once // max(len(ids), 1), 1)
    ohlcv, observed, flags = np.empty((*shape, 5)), np.empty(shape), np.empty(shape, np.int64)
    for first in range(0, len(times), step):
        some = slice(first, first + step)
        found = spread(ids, times[some], fetch_window(ids, times[some], as_of))
        ohlcv[:, some], observed[:, some], flags[:, some] = found
    return ohlcv, observed, flags


def fetch_window(ids: IntArray, times: IntArray, as_of: datetime | None) -> dict[str, NDArray[Any]]:
    """The stored rows of a window as columns of `PANEL_COLUMNS`, in no order."""
    span: list[object] = [ids.tolist(), from_epoch(int(times[0])), from_epoch(int(times[-1]))]
    if as_of is None:
        return fetch(WINDOW_QUERY, span, PANEL_COLUMNS)
    return fetch(_THEN_QUERY, [*span, as_of, *span, as_of, as_of], PANEL_COLUMNS)


def spread(ids: IntArray, times: IntArray, rows: dict[str, NDArray[Any]]) -> tuple[FloatArray, FloatArray, IntArray]:
    """Rows laid out on the axes: ohlcv (I, T, 5), observed_at (I, T), flags (I, T); rows off the axes are left out."""
    ohlcv = np.full((len(ids), len(times), 5), np.nan)
    observed = np.full((len(ids), len(times)), np.nan)
    flags = np.zeros((len(ids), len(times)), np.int64)
    order = np.argsort(ids)
    who = order[np.searchsorted(ids, rows["instrument_id"], sorter=order)]
    at = to_epoch(rows["open_time"]).astype(np.int64)
    when = np.searchsorted(times, at)
    on_axis = times[np.minimum(when, len(times) - 1)] == at
    place = who[on_axis], when[on_axis]
    for column, name in enumerate(VALUES):
        ohlcv[*place, column] = rows[name][on_axis]
    observed[place] = to_epoch(rows["observed_at"][on_axis])
    flags[place] = rows["flags"][on_axis]
    return ohlcv, observed, flags


def window_taint(ohlcv: FloatArray, flags: IntArray, bars: int) -> IntArray:
    """TaintFlag bits (I,) of windows (I, T, 5) with candle flags (I, T), judged over the last `bars` minutes."""
    missing = ~np.isfinite(ohlcv[:, -bars:, 3])
    jumped = spikes(ohlcv)[:, -bars:].any(axis=1) | fell_silent(ohlcv[..., 4])
    taint = np.bitwise_or.reduce(flags[:, -bars:] & _LASTING, axis=1)
    taint |= np.bitwise_or.reduce(flags[:, -min(bars, RECENT_BARS) :], axis=1)
    for flag, hit in (
        (TaintFlag.GAP, missing.any(axis=1)),
        (TaintFlag.STALE, missing[:, -1]),
        (TaintFlag.SUSPECT, jumped),
    ):
        taint |= np.where(hit, int(flag), 0)
    return np.asarray(taint, np.int64)
