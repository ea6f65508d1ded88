"""How far the data can be trusted: scores of due candles, and the state of each feed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil

import numpy as np
from django.conf import settings
from django.db import connection

from lib.clock import MINUTE_S, epoch, from_epoch, wall_now
from markets.copying import fetch, to_epoch
from markets.models import DayQuality, FeedState, Instrument, Run
from markets.schedule import due_closes
from markets.values import IntArray

HOUR_S, DAY_S = 3600, 86_400
GOAL = 0.995
"""What a day should reach; the floors that veto are settings."""

_GOOD = (
    "SELECT instrument_id, open_time FROM markets_candle WHERE instrument_id = ANY(%s::bigint[]) "
    "AND open_time BETWEEN %s AND %s AND flags = 0 AND observed_at <= open_time + %s"
)


def due_and_good(instrument_ids: Sequence[int], start: int, end: int) -> dict[int, tuple[IntArray, IntArray]]:
    """Close times in [start, end] at which each instrument was due, and those of them that were good.

    Good: the candle is there, arrived at most LATE_AFTER_S after its close, and carries no taint. A candle that was
    corrected later counts by its correction: the decision rested on a wrong one.
    """
    due = due_closes(instrument_ids, start, end)
    limit = timedelta(seconds=MINUTE_S + settings.LATE_AFTER_S)
    span = [list(instrument_ids), from_epoch(start - MINUTE_S), from_epoch(end - MINUTE_S), limit]
    rows = fetch(_GOOD, span, (("instrument_id", ">i8"), ("open_time", ">i8")))
    closes = to_epoch(rows["open_time"]).astype(np.int64) + MINUTE_S
    owners = rows["instrument_id"]
    return {key: (closes_due, np.intersect1d(closes_due, closes[owners == key])) for key, closes_due in due.items()}


def scores(instrument_ids: Sequence[int], at: int) -> tuple[dict[int, float | None], dict[int, float | None]]:
    """Share of good candles over the last hour and over the last day before `at` (epoch seconds, market clock).

    Minutes that may still be on their way (younger than LATE_AFTER_S) are not counted; None where nothing was due.
    """
    end = at - ceil(settings.LATE_AFTER_S)
    day = due_and_good(instrument_ids, at - DAY_S + 1, end)
    hour = {key: _share(*(part[part > at - HOUR_S] for part in parts)) for key, parts in day.items()}
    return hour, {key: _share(*parts) for key, parts in day.items()}


def score(instrument_id: int, hours: int, at: int) -> float | None:
    """Share of good candles over the last `hours` before `at`; None where nothing was due."""
    parts = due_and_good([instrument_id], at - hours * HOUR_S + 1, at - ceil(settings.LATE_AFTER_S))
    return _share(*parts[instrument_id]) if instrument_id in parts else None


def _share(due: IntArray, good: IntArray) -> float | None:
    return len(good) / len(due) if len(due) else None


def measure_day(venue_id: int, day: date, now: datetime) -> int:
    """Write the score of a UTC day, as far as it has come by `now`, for every followed instrument; returns how many.

    The candle that closes at midnight belongs to the day it tells of.
    """
    midnight = epoch(datetime.combine(day, time(), UTC))
    ids = list(Instrument.objects.filter(venue_id=venue_id, followed=True).values_list("id", flat=True))
    end = min(epoch(now) - ceil(settings.LATE_AFTER_S), midnight + DAY_S)
    found = due_and_good(ids, midnight + 1, end)
    rows = [
        DayQuality(instrument_id=key, day=day, due=len(due), good=len(good))
        for key, (due, good) in found.items()
        if len(due)
    ]
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
    """Write states; `since` moves only where the state changed. `now` is the market clock."""
    rows = [
        (venue_id, s.instrument_id, s.state, now, s.last_message_at, s.reconnects, s.skew_s, s.detail[:300])
        for s in states
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_WRITE_STATE, rows)


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
