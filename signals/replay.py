"""The whole pipeline over recorded candles at full speed: each minute is decided before the next is told."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lib import clock
from lib.errors import CandorError
from markets.downloading import load_history
from markets.events import candle_closed
from markets.models import Run
from markets.opening import Opened, open_recordings
from markets.replaying import ReplayFeed
from markets.venues import open_venue
from markets.venues.replay import ReplayVenue
from models_ml.profiles import Profile
from models_ml.training import train
from models_ml.validation.metrics import wilson
from signals import due, outcomes, receivers, rounds
from signals.events import round_decided, signal_issued
from signals.scoring import panel_score
from signals.status import status_of

FULL_SPEED = 1e9
ALL_OF_IT = timedelta(days=36_500)
Say = Callable[[str], Any]


class EmptyReplay(CandorError):
    """The times given leave nothing to replay."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the recordings that is decided; what lies before is history and training data."""

    start: datetime | None = None
    end: datetime | None = None
    last: timedelta = timedelta(hours=6)


def replay(paths: Sequence[Path], window: Window, *, profile: Profile, say: Say) -> dict[str, Any]:
    """Train on what lies before the window, decide every minute inside it, judge it, and report.

    Raises:
        CandorError: unreadable recordings, a window outside them, or too little history to train on.
    """
    opened = open_recordings(paths, live_s=_live_seconds(paths, window), speed=FULL_SPEED, background=True)
    load_history(opened, days=0, say=say)
    train(opened.run.venue, profile=profile, score=panel_score)
    candle_closed.disconnect(receivers.decide)  # this process decides by itself, in order; no worker is asked
    round_decided.disconnect(receivers.watch_patterns)
    signal_issued.disconnect(receivers.shadow_sizes)
    started = time.perf_counter()
    try:
        minutes = asyncio.run(_tell(opened, window))
    finally:
        candle_closed.connect(receivers.decide)
        round_decided.connect(receivers.watch_patterns)
        signal_issued.connect(receivers.shadow_sizes)
        clock.release()
    return _report(opened.run, minutes, time.perf_counter() - started)


def _live_seconds(paths: Sequence[Path], window: Window) -> int:
    span = ReplayVenue(paths=paths, live_s=clock.MINUTE_S).span
    start = window.end or clock.from_epoch(span.end)
    start = window.start or start - window.last
    seconds = span.end - clock.epoch(clock.floor_minute(start))
    if seconds < clock.MINUTE_S:
        raise EmptyReplay(f"nothing is recorded after {start:%Y-%m-%d %H:%M}: choose an earlier --from")
    return seconds


async def _tell(opened: Opened, window: Window) -> int:
    """Drive the recording to the end of the window; returns the minutes told."""
    run, told = opened.run, 0
    ids = await asyncio.to_thread(_instrument_ids, run)
    end = clock.epoch(window.end) if window.end else None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def decide(close_time: int) -> bool:
        nonlocal told
        told += 1
        rounds.decide_minute(close_time, list(ids.values()), received=clock.wall_now().timestamp(), run=run)
        outcomes.resolve_due(run, clock.from_epoch(close_time))
        if end is not None and close_time >= end:
            loop.call_soon_threadsafe(stop.set)
        return due.settle_minute(run, close_time)

    venue = open_venue("replay", **opened.options)
    assert isinstance(venue, ReplayVenue)  # noqa: S101  # the key says so
    instruments = await asyncio.to_thread(lambda: list(run.venue.instruments.filter(followed=True)))
    feed = asyncio.create_task(ReplayFeed(venue, run, instruments, speed=run.speed, wait_decided=decide).run())
    ended = asyncio.create_task(stop.wait())
    await asyncio.wait({feed, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not feed.done():
        feed.cancel()
    await asyncio.gather(feed, ended, return_exceptions=True)
    if feed.done() and not feed.cancelled() and (error := feed.exception()):
        raise error
    await asyncio.to_thread(due.close_recording, run, clock.market_now())
    await asyncio.to_thread(outcomes.resolve_due, run, clock.market_now(), final=True)
    return told


def _instrument_ids(run: Run) -> dict[str, int]:
    return dict(run.venue.instruments.filter(followed=True).values_list("raw_symbol", "pk"))


def _report(run: Run, minutes: int, seconds: float) -> dict[str, Any]:
    run.refresh_from_db()
    facts = status_of(run, ALL_OF_IT, run.market_end or clock.wall_now())
    judged = facts["outcomes"]
    n = judged["won"] + judged["lost"] + judged["tie"]
    low, high = wilson(judged["won"], n)
    written = sum(facts["rounds"].values())
    return {
        "venue": run.venue.key,
        "minutes": minutes,
        "rounds": facts["rounds"],
        "signals": facts["signals"],
        "votes": facts["votes"],
        "outcomes": judged,
        "hit_rate": {"n": n, "rate": judged["won"] / n if n else None, "low": low, "high": high} if n else None,
        "seconds": round(seconds, 3),
        "rounds_per_second": round(written / seconds, 1),
    }
