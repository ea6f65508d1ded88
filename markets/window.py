"""The live window in memory: a minute costs the rows of that minute, not those of the whole look-back.

What the store changed behind it is noticed by key facts, whoever wrote it: a new revision means that some candle was
corrected (reload), and a candle can only be added where a minute was missing (those are asked for again).
"""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db import connection

from lib.clock import from_epoch
from markets.books import load_books, load_flow
from markets.calendars import last_open_minutes
from markets.candles import (
    PANEL_COLUMNS,
    WINDOW_QUERY,
    fetch_window,
    spread,
    window_taint,
)
from markets.copying import fetch
from markets.values import FloatArray, IntArray, Panel

MOST_HOLES = 5000
"""Beyond this many missing candles a reload is the cheaper question."""

_HOLES = f"{WINDOW_QUERY} AND (instrument_id, open_time) IN (SELECT * FROM unnest(%s::bigint[], %s::timestamptz[]))"  # noqa: S608  # constants


class LiveWindow:
    """The last `bars` due minutes of some instruments; `panel` equals `load_panel` for the same arguments.

    One per process and group of instruments; calls from several threads take turns.
    """

    def __init__(self, instrument_ids: Sequence[int], bars: int, *, calendar: str = "always") -> None:
        self._ids = np.asarray(instrument_ids, np.int64)
        self._bars, self._calendar = bars, calendar
        self._lock = threading.Lock()
        self._times: IntArray = np.empty(0, np.int64)
        self._ohlcv: FloatArray = np.empty((len(self._ids), 0, 5))
        self._observed: FloatArray = np.empty((len(self._ids), 0))
        self._flags: IntArray = np.empty((len(self._ids), 0), np.int64)
        self._revision: int | None = -1
        self.reloads = 0

    def panel(self, until: int, *, taint_bars: int | None = None, snapshots: int = 0, flow_s: int = 0) -> Panel:
        """The window that ends at `until`; arrays are the caller's own."""
        times = last_open_minutes(self._calendar, until, self._bars)
        with self._lock:
            revision = _newest_revision()
            if revision != self._revision or not self._move(times):
                self._reload(times)
            self._revision = revision
            ohlcv, observed, flags = self._ohlcv.copy(), self._observed.copy(), self._flags.copy()
        taint = window_taint(ohlcv, flags, min(taint_bars or self._bars, self._bars))
        books, flow = load_books(self._ids, until, snapshots), load_flow(self._ids, until, flow_s)
        return Panel(self._ids, times, ohlcv, observed, taint, books, flow, flags)

    def _reload(self, times: IntArray) -> None:
        self.reloads += 1
        self._times = times
        self._ohlcv, self._observed, self._flags = spread(self._ids, times, fetch_window(self._ids, times, None))

    def _move(self, times: IntArray) -> bool:
        """Shift to the new axis and ask for what is missing on it; False when a reload is the better way."""
        first = int(np.searchsorted(self._times, times[0])) if len(self._times) else 0
        kept = len(self._times) - first
        if kept <= 0 or not np.array_equal(self._times[first:], times[:kept]):
            return False
        new = len(times) - kept
        ohlcv = np.pad(self._ohlcv[:, first:], ((0, 0), (0, new), (0, 0)), constant_values=np.nan)
        observed = np.pad(self._observed[:, first:], ((0, 0), (0, new)), constant_values=np.nan)
        flags = np.pad(self._flags[:, first:], ((0, 0), (0, new)))
        missing = np.argwhere(np.isnan(ohlcv[..., 3]))
        if len(missing) > MOST_HOLES:
            return False
        found = self._ask(times, missing)
        known = np.isfinite(found[0][..., 3])
        ohlcv[known], observed[known], flags[known] = found[0][known], found[1][known], found[2][known]
        self._times, self._ohlcv, self._observed, self._flags = times, ohlcv, observed, flags
        return True

    def _ask(self, times: IntArray, missing: IntArray) -> tuple[FloatArray, FloatArray, IntArray]:
        """The rows of (instrument, minute) positions, laid out on the axes."""
        if not len(missing):
            return spread(self._ids, times, fetch_window(self._ids[:0], times, None))
        owners = self._ids[missing[:, 0]].tolist()
        minutes = times[missing[:, 1]]
        span: list[Any] = [self._ids.tolist(), from_epoch(int(minutes.min())), from_epoch(int(minutes.max()))]
        stamps = [from_epoch(int(minute)) for minute in minutes.tolist()]
        return spread(self._ids, times, fetch(_HOLES, [*span, owners, stamps], PANEL_COLUMNS))


def _newest_revision() -> int | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM markets_candlerevision")
        newest: int | None = cursor.fetchone()[0]
    return newest
