"""What is due: activation intervals of each instrument and horizon, cut with its calendar. Append-only."""

from collections.abc import Iterable
from datetime import datetime

import numpy as np
from django.db.models import Q

from lib.clock import MINUTE_S, epoch, market_now
from lib.errors import CandorError
from markets.calendars import open_minutes
from markets.models import Activation, Instrument
from markets.values import IntArray

HORIZON_S = 60


class ScheduleError(CandorError):
    """An activation that would rewrite what was due."""


def activate(instrument: Instrument, at: datetime | None = None, *, horizon_s: int = HORIZON_S) -> None:
    """From the close time `at` (default now, market clock) on, every minute of the instrument's calendar is due."""
    _append(instrument, at, horizon_s, active=True)


def deactivate(instrument: Instrument, at: datetime | None = None, *, horizon_s: int = HORIZON_S) -> None:
    """From the close time `at` on, nothing is due any more."""
    _append(instrument, at, horizon_s, active=False)


def _append(instrument: Instrument, at: datetime | None, horizon_s: int, *, active: bool) -> None:
    """Add a row when it changes anything; the past cannot be changed."""
    if horizon_s <= 0 or horizon_s % MINUTE_S:
        raise ScheduleError(f"a horizon of {horizon_s} s is no whole number of minutes: give 60, 120, …")
    moment = at or market_now()
    last = Activation.objects.filter(instrument=instrument, horizon_s=horizon_s).order_by("at").last()
    if last is not None and last.active == active:
        return
    if last is not None and moment <= last.at:
        raise ScheduleError(f"{instrument} was scheduled from {last.at:%Y-%m-%d %H:%M} on: choose a later time")
    if last is not None or active:
        Activation.objects.create(instrument=instrument, horizon_s=horizon_s, at=moment, active=active)


def intervals(instrument_ids: Iterable[int], horizon_s: int = HORIZON_S) -> dict[int, list[tuple[int, int | None]]]:
    """For each instrument the stretches [from, to) of close times in which it is due; None = still open."""
    found: dict[int, list[tuple[int, int | None]]] = {key: [] for key in instrument_ids}
    rows = Activation.objects.filter(instrument_id__in=list(found), horizon_s=horizon_s).order_by("at")
    for key, at, active in rows.values_list("instrument_id", "at", "active"):
        stretches = found[key]
        if active:
            stretches.append((epoch(at), None))
        elif stretches:
            stretches[-1] = (stretches[-1][0], epoch(at))
    return found


def due_closes(instrument_ids: Iterable[int], start: int, end: int, horizon_s: int = HORIZON_S) -> dict[int, IntArray]:
    """For each instrument the close times (epoch seconds) with `start <= close_time <= end` at which it is due.

    A close time is due while the instrument is active and when its candle and the whole horizon after it lie in open
    minutes: at the end of a trading week there is nothing left to predict.
    """
    calendars = dict(Instrument.objects.filter(id__in=list(instrument_ids)).values_list("id", "calendar"))
    closes = {calendar: _closes(calendar, start, end, horizon_s) for calendar in set(calendars.values())}
    found: dict[int, IntArray] = {}
    for key, stretches in intervals(calendars, horizon_s).items():
        due = closes[calendars[key]]
        active = np.zeros(len(due), np.bool_)
        for first, last in stretches:
            active |= (due >= first) & (due < (end + 1 if last is None else last))
        found[key] = due[active]
    return found


def due_minutes(
    instrument_ids: Iterable[int], start: int, end: int, horizon_s: int = HORIZON_S
) -> list[tuple[int, int]]:
    """`due_closes` as (instrument id, close time), by close time, then instrument."""
    by_instrument = due_closes(instrument_ids, start, end, horizon_s)
    pairs = [(key, close) for key, closes in by_instrument.items() for close in closes.tolist()]
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def _closes(calendar: str, start: int, end: int, horizon_s: int) -> IntArray:
    """Close times in [start, end] whose candle and horizon are open."""
    opens = open_minutes(calendar, start - MINUTE_S, end + horizon_s)
    reach = horizon_s // MINUTE_S
    whole = opens[reach:] - opens[:-reach] == horizon_s if len(opens) > reach else np.empty(0, np.bool_)
    closes = opens[: len(whole)][whole] + MINUTE_S
    return np.asarray(closes[(closes >= start) & (closes <= end)], np.int64)


def align(venue_id: int, at: datetime | None = None) -> None:
    """Make what is followed due from `at` (default now, market clock) on, and what is not followed not due any more."""
    concerned = Q(followed=True) | Q(activations__isnull=False)
    for instrument in Instrument.objects.filter(concerned, venue_id=venue_id).distinct():
        _append(instrument, at, HORIZON_S, active=instrument.followed)
