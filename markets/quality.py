"""How far the data can be trusted: scores of due candles, and the state of each feed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from math import ceil

import numpy as np
from django.conf import settings
from django.db import connection

from lib.clock import MINUTE_S, epoch, from_epoch, wall_now
from markets.events import announce_feed
from markets.models import DayQuality, FeedState, Instrument, Run
from markets.schedule import due_closes, intervals
from markets.values import IntArray, Panel

HOUR_S, DAY_S = 3600, 86_400
GOAL = 0.995
"""What a day should reach; the floors that veto are settings."""

_GOOD = """
SELECT r.id, count(*), count(*) FILTER (WHERE c.open_time > r.since)
FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[]) AS r(id, first, last, since)
JOIN markets_candle c ON c.instrument_id = r.id AND c.open_time BETWEEN r.first AND r.last
WHERE c.open_time BETWEEN %s AND %s AND c.flags = 0 AND c.observed_at <= c.open_time + make_interval(secs => %s)
GROUP BY 1
"""  # counted by the server: a day of fifty instruments is 72,000 rows


@dataclass(frozen=True, slots=True)
class Tally:
    """Due and good minutes of one instrument over a span, and over the later part of it."""

    due: int
    good: int
    due_late: int
    good_late: int


def tally(instrument_ids: Sequence[int], start: int, end: int, late: int) -> dict[int, Tally]:
    """Count close times in [start, end], and those after `late`, at which each instrument was due, and the good ones.

    Good: the candle is there, arrived at most LATE_AFTER_S after its close, and carries no taint. A candle that was
    corrected later counts by its correction: the decision rested on a wrong one.
    """
    due = due_closes(instrument_ids, start, end)
    stretches = [
        (key, max(first, start), min(end, last - 1 if last else end))
        for key, parts in intervals(due).items()
        for first, last in parts
    ]
    spans = [(key, from_epoch(a - MINUTE_S), from_epoch(b - MINUTE_S)) for key, a, b in stretches if a <= b]
    good: dict[int, tuple[int, int]] = {}
    if spans:
        since = from_epoch(late - MINUTE_S)
        bounds = [from_epoch(start - MINUTE_S), from_epoch(end - MINUTE_S)]
        limit = MINUTE_S + float(settings.LATE_AFTER_S)
        columns = [list(column) for column in zip(*spans, strict=True)]
        with connection.cursor() as cursor:
            cursor.execute(_GOOD, [*columns, [since] * len(spans), *bounds, limit])
            good = {key: (whole, later) for key, whole, later in cursor.fetchall()}
    return {key: _tally(closes, *good.get(key, (0, 0)), late) for key, closes in due.items()}


def _tally(due: IntArray, good: int, good_late: int, late: int) -> Tally:
    later = int((due > late).sum())
    # A venue may send candles outside its calendar; they are welcome but not due.
    return Tally(len(due), min(good, len(due)), later, min(good_late, later))


Scores = tuple[dict[int, float | None], dict[int, float | None]]
"""Instrument → share of good candles over the last hour, and over the last day."""


def scores(instrument_ids: Sequence[int], at: int) -> Scores:
    """Share of good candles over the last hour and over the last day before `at` (epoch seconds, market clock).

    Minutes that may still be on their way (younger than LATE_AFTER_S) are not counted; None where nothing was due.
    """
    found = tally(instrument_ids, at - DAY_S + 1, at - ceil(settings.LATE_AFTER_S), at - HOUR_S)
    hours = {key: _share(one.due_late, one.good_late) for key, one in found.items()}
    return hours, {key: _share(one.due, one.good) for key, one in found.items()}


def scores_of(panel: Panel) -> Scores:
    """`scores` at the close of a window that is at hand, without asking the store again for its candles.

    The window must reach back a day: 1,440 due minutes always do.
    """
    at, closes = int(panel.open_times[-1]) + MINUTE_S, panel.open_times + MINUTE_S
    good = (panel.flags == 0) & (panel.observed_at <= closes + settings.LATE_AFTER_S)
    due = due_closes(panel.instrument_ids.tolist(), at - DAY_S + 1, at - ceil(settings.LATE_AFTER_S))
    hour: dict[int, float | None] = {}
    day: dict[int, float | None] = {}
    for row, key in enumerate(panel.instrument_ids.tolist()):
        there = good[row, np.searchsorted(closes, due[key])]
        late = due[key] > at - HOUR_S
        hour[key] = _share(int(late.sum()), int(there[late].sum()))
        day[key] = _share(len(there), int(there.sum()))
    return hour, day


def score(instrument_id: int, hours: int, at: int) -> float | None:
    """Share of good candles over the last `hours` before `at`; None where nothing was due."""
    start = at - hours * HOUR_S
    found = tally([instrument_id], start + 1, at - ceil(settings.LATE_AFTER_S), start).get(instrument_id)
    return None if found is None else _share(found.due, found.good)


def _share(due: int, good: int) -> float | None:
    return good / due if due else None


def measure_day(venue_id: int, day: date, now: datetime) -> int:
    """Write the score of a UTC day, as far as it has come by `now`, for every followed instrument; returns how many.

    The candle that closes at midnight belongs to the day it tells of.
    """
    midnight = epoch(datetime.combine(day, time(), UTC))
    ids = list(Instrument.objects.filter(venue_id=venue_id, followed=True).values_list("id", flat=True))
    end = min(epoch(now) - ceil(settings.LATE_AFTER_S), midnight + DAY_S)
    found = tally(ids, midnight + 1, end, end)
    rows = [DayQuality(instrument_id=key, day=day, due=one.due, good=one.good) for key, one in found.items() if one.due]
    DayQuality.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["instrument", "day"], update_fields=["due", "good"]
    )
    return len(rows)


# ---- feed states


@dataclass(frozen=True, slots=True)
class SeriesState:
    """What is known of one feed; `instrument_id` None stands for the venue's connection."""

    instrument_id: int | None
    state: str
    last_message_at: datetime | None = None
    reconnects: int = 0
    skew_s: float | None = None
    detail: str = ""


_WRITE_STATE = """
INSERT INTO markets_feedstate AS f
  (venue_id, instrument_id, state, since, last_message_at, reconnects, skew_s, detail)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (venue_id, instrument_id) DO UPDATE SET
  state = EXCLUDED.state, since = CASE WHEN f.state = EXCLUDED.state THEN f.since ELSE EXCLUDED.since END,
  last_message_at = coalesce(EXCLUDED.last_message_at, f.last_message_at), reconnects = EXCLUDED.reconnects,
  skew_s = EXCLUDED.skew_s, detail = EXCLUDED.detail
"""


def write_states(venue_id: int, states: Iterable[SeriesState], now: datetime) -> None:
    """Write states; `since` moves only where the state changed, and that is announced. `now` is the market clock."""
    states = list(states)
    before: dict[int | None, str] = dict(
        FeedState.objects.filter(venue_id=venue_id).values_list("instrument_id", "state")
    )
    rows = [
        (venue_id, s.instrument_id, s.state, now, s.last_message_at, s.reconnects, s.skew_s, s.detail[:300])
        for s in states
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_WRITE_STATE, rows)
    if any(before.get(s.instrument_id) != s.state for s in states):
        announce_feed(venue_id)


def feed_silent(run: Run | None) -> bool:
    """Whether the run's feed gave no sign of life for STALE_AFTER_S: what its rows say is then history, not state."""
    if run is not None and run.state == Run.State.ENDED:
        return False  # a recording that ended is over, not broken
    if run is None or run.beat_at is None:
        return True
    return bool((wall_now() - run.beat_at).total_seconds() > settings.STALE_AFTER_S)


def shown_states(run: Run) -> Mapping[int | None, FeedState]:
    """The feed states of a run's venue as a page may show them: all down while the feed itself is silent."""
    rows = {row.instrument_id: row for row in FeedState.objects.filter(venue_id=run.venue_id)}
    if feed_silent(run):
        for row in rows.values():
            row.state, row.detail = FeedState.State.DOWN, "the feed process gives no sign of life"
    return rows
