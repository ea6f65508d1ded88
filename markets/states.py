"""What a running feed knows about its own health, and how it tells: states, counters, the sign of life."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from django.conf import settings

from lib.clock import MINUTE_S, from_epoch, market_now
from markets.calendars import last_open_minutes
from markets.minutes import Batch, Series
from markets.models import FeedState, Run
from markets.quality import SeriesState, write_states
from markets.runs import mark
from markets.skew import SkewMeter

LIVE, DELAYED, DOWN = FeedState.State.LIVE, FeedState.State.DELAYED, FeedState.State.DOWN
BEAT_EVERY_S = 5.0
DOWN_AFTER_S = 30.0
"""A connection that is away for less is delayed, for longer down."""
GARBAGE_SHOWN_S = 60.0
"""How long operators are shown the last thing that made no sense."""


class Frames(Protocol):
    """What an adapter counts of frames that it could not read."""

    bad: int
    samples: Sequence[str]


class StateBoard:
    """States of one feed's connection and series; times of `heard` are monotonic."""

    def __init__(self, run: Run, series: dict[str, Series], silence_s: float, skew: SkewMeter) -> None:
        self._run, self._series, self._silence_s, self._skew = run, series, silence_s, skew
        self._heard = self._heard_data = self._lost_at = time.monotonic()
        self._newest_stored: dict[int, int] = {}
        self._written: dict[int | None, tuple[str, str]] = {}
        self._wrote_all_at = -1e9
        self._now: list[SeriesState] = []
        self._bad, self._bad_at = 0, -1e9
        self.receiving = False
        self.reconnects = -1  # the first connection is none
        self.detail = ""
        self.reset_wanted = ""

    # -- what happens

    def connecting(self, now: float) -> None:
        """A stream is being opened."""
        self._heard = self._heard_data = now
        self.reconnects += 1
        self.receiving = False
        self.reset_wanted = ""

    def disconnected(self, reason: str) -> None:
        """The stream is gone."""
        if self.receiving:
            self._lost_at = time.monotonic()
        self.receiving, self.detail = False, reason

    def heard(self, now: float) -> None:
        """Any sign of life."""
        self._heard = now

    def heard_data(self, series: Series, now: float) -> None:
        """A message of one series."""
        self._heard_data = series.heard_at = now
        series.heard_stamp = market_now().timestamp()

    def garbage(self, sample: str) -> None:
        """An event that made no sense; the last one is kept for operators."""
        self.detail = f"made no sense: {sample}"

    def unreadable(self, frames: Frames | None, now: float) -> None:
        """What the adapter could not read, where it counts that."""
        if frames is not None and frames.bad > self._bad:
            self._bad, self._bad_at = frames.bad, now
            self.detail = f"made no sense: {frames.samples[-1][:200]}"

    def stored(self, batch: Batch) -> None:
        """A batch is in the store."""
        for arrival in batch.arrivals:
            before = self._newest_stored.get(arrival.instrument_id, 0)
            self._newest_stored[arrival.instrument_id] = max(before, arrival.candle.open_time)

    def stopped(self) -> None:
        """The feed ends."""
        self.receiving, self.detail, self._lost_at = False, "the feed was stopped", -1e9
        self.judge(time.monotonic(), market_now())

    # -- what is asked

    def silent_for(self, now: float) -> float:
        """Seconds without any sign of life."""
        return now - self._heard

    def without_data_for(self, now: float) -> float:
        """Seconds without a message of any series."""
        return now - self._heard_data

    def is_silent(self, series: Series, now: float) -> bool:
        """Whether one series said nothing for too long."""
        return series.heard_at is None or now - series.heard_at > self._silence_s

    # -- what is told

    def judge(self, now: float, at: datetime) -> None:
        """Work out every state; `at` is the market clock."""
        connection = self._connection(now)
        telling = connection != LIVE or now - self._bad_at < GARBAGE_SHOWN_S
        detail = self._skew.warning or (self.detail if telling else "")
        newest = max((series.heard_stamp or 0.0 for series in self._series.values()), default=0.0)
        self._now = [self._state(None, connection, newest, detail)]
        for series in self._series.values():
            state, why = (connection, "") if connection != LIVE else self._judge_series(series, now, at)
            self._now.append(self._state(series.instrument_id, state, series.heard_stamp or 0.0, why))

    def _connection(self, now: float) -> str:
        if self.receiving:
            return LIVE if self.silent_for(now) <= self._silence_s else DELAYED
        return DELAYED if now - self._lost_at < DOWN_AFTER_S else DOWN

    def _judge_series(self, series: Series, now: float, at: datetime) -> tuple[str, str]:
        end = int(at.timestamp() - settings.LATE_AFTER_S) // MINUTE_S * MINUTE_S
        due = int(last_open_minutes(series.calendar, end, 1)[0])
        newest = self._newest_stored.get(series.instrument_id, due)
        if newest < due:
            behind = at.timestamp() - newest - MINUTE_S
            state = DOWN if behind > settings.STALE_AFTER_S + MINUTE_S else DELAYED
            return state, f"no candle for {behind:.0f} s"
        closed = due + MINUTE_S < end  # nothing is due now, so silence is no news
        if self.is_silent(series, now) and not closed:
            return DELAYED, "no message of this instrument"
        return LIVE, ""

    def _state(self, instrument_id: int | None, state: str, stamp: float, detail: str) -> SeriesState:
        last = from_epoch(stamp) if stamp else None
        return SeriesState(instrument_id, state, last, max(self.reconnects, 0), self._skew.seconds, detail)

    def write(self, *, everything: bool = False) -> None:
        """Write what changed, all of it every few seconds, and the feed's sign of life; runs in the database thread."""
        now = time.monotonic()
        due = everything or now - self._wrote_all_at >= BEAT_EVERY_S
        states = list(self._now)
        changed = states if due else [s for s in states if self._written.get(s.instrument_id) != (s.state, s.detail)]
        if changed:
            write_states(self._run.venue_id, changed, market_now())
            self._written |= {s.instrument_id: (s.state, s.detail) for s in changed}
        if due:
            mark(self._run)
            self._wrote_all_at = now
