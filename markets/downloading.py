"""History from a venue: only what the store lacks is asked for, so a second run goes on where the first one ended."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from lib.clock import MINUTE_S, epoch, market_now
from lib.errors import CandorError
from markets.backoff import Backoff
from markets.candles import Source, StoreReport, find_gaps, store_closed
from markets.models import Instrument, Venue
from markets.opening import Opened, Say
from markets.storing import DatabaseThread
from markets.validation import CandleRows
from markets.values import Ohlcv, TaintFlag
from markets.venues import Venue as Adapter
from markets.venues import VenueError, open_venue
from markets.venues.replay import ReplayVenue

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Instruments in work; the adapter's own rate limit stands behind it."""
TRIES = 5
"""Failures in a row of one request before the download gives up."""

OnProgress = Callable[[Instrument, int, int], None]
"""Told (instrument, minutes done, minutes in all)."""


class DownloadError(CandorError):
    """A download that cannot start."""


@dataclass(slots=True)
class Downloaded:
    """What became of one instrument's download."""

    symbol: str
    stored: int = 0
    duplicates: int = 0
    corrected: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    gaps: int = 0  # holes that the venue left
    missing: int = 0  # minutes in them
    error: str = ""

    def add(self, report: StoreReport) -> None:
        """Count a page."""
        self.stored += report.stored
        self.duplicates += report.duplicates
        self.corrected += report.corrected
        for reason, count in report.refused.items():
            self.refused[reason] = self.refused.get(reason, 0) + count

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


class Downloader:
    """Fills the store from one opened venue, on its event loop; `stopping` ends it after the page in hand."""

    def __init__(
        self,
        adapter: Adapter,
        database: DatabaseThread,
        *,
        on_progress: OnProgress | None = None,
        stopping: threading.Event | None = None,
        live: bool = False,
    ) -> None:
        self._adapter, self._database = adapter, database
        self._flags = int(TaintFlag.REPAIRED) if live else 0
        self._on_progress, self._stopping = on_progress, stopping or threading.Event()
        self._recorded = adapter.facts.clock == "recording"
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def all(self, instruments: Sequence[Instrument], start: int, end: int) -> list[Downloaded]:
        """Download [start, end) of each instrument; a failing one does not stop the others."""
        return list(await asyncio.gather(*(self.one(instrument, start, end) for instrument in instruments)))

    async def one(self, instrument: Instrument, start: int, end: int) -> Downloaded:
        """Download the minutes of [start, end) that the store lacks."""
        found = Downloaded(instrument.raw_symbol)
        async with self._gate:
            gaps = await self._gaps(instrument, start, end)
            total, done = sum(b - a for a, b in gaps) // MINUTE_S, 0
            try:
                for first, last in gaps:
                    await self._fill(instrument, first, last, found, done, total)
                    done += (last - first) // MINUTE_S
            except VenueError as error:
                found.error = str(error)
                log.warning("download_failed", symbol=instrument.raw_symbol, reason=str(error)[:300])
            left = await self._gaps(instrument, start, end)
        found.gaps, found.missing = len(left), sum(b - a for a, b in left) // MINUTE_S
        return found

    async def _gaps(self, instrument: Instrument, start: int, end: int) -> list[tuple[int, int]]:
        return await self._database.insist(find_gaps, instrument.pk, start, end, calendar=instrument.calendar)

    async def _fill(
        self, instrument: Instrument, first: int, last: int, found: Downloaded, done: int, total: int
    ) -> None:
        """Page through one hole; after an error go on behind the last page that was stored."""
        at, backoff = first, Backoff(1.0, 30.0)
        while at < last and not self._stopping.is_set():
            try:
                async for page in self._adapter.history(instrument.raw_symbol, at, last):
                    found.add(await self._store(instrument, page))
                    at = page[-1].open_time + MINUTE_S
                    backoff.reset()
                    self._say(instrument, done + (at - first) // MINUTE_S, total)
                    if self._stopping.is_set():
                        break
                at = last  # what no page brought, the venue does not have
            except VenueError as error:
                if error.permanent or backoff.failures >= TRIES:
                    raise
                await asyncio.sleep(max(backoff.next_wait(), error.retry_after or 0.0))

    async def _store(self, instrument: Instrument, page: list[Ohlcv]) -> StoreReport:
        rows = CandleRows.of(((instrument.pk, candle) for candle in page), self._flags)
        # A recording was received when it was made; what comes from a venue today was not known before today.
        seen = rows.open_times + float(MINUTE_S) if self._recorded else None
        source = Source.REPLAY if self._recorded else Source.REST
        return await self._database.insist(store_closed, rows, source=source, observed_at=seen)

    def _say(self, instrument: Instrument, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(instrument, done, total)


def download(
    venue: Venue,
    instruments: Sequence[Instrument],
    start: int,
    end: int,
    *,
    on_progress: OnProgress | None = None,
    stopping: threading.Event | None = None,
    live: bool = False,
    options: Mapping[str, object] | None = None,
) -> list[Downloaded]:
    """Fill the store with [start, end) (epoch seconds) of `instruments` from their venue; blocks until done.

    Args:
        live: mark what comes as repaired: a running feed should have brought it.
        options: passed on to the venue's adapter.

    Raises:
        DownloadError: the window is empty or holds no past minute.
    """
    if end <= start:
        raise DownloadError("the window to download ends before it starts: swap --from and --to")

    async def work() -> list[Downloaded]:
        database = DatabaseThread()
        try:
            async with open_venue(venue.adapter, **(options or {})) as adapter:
                first, last = _window(adapter, start, end)
                downloader = Downloader(adapter, database, on_progress=on_progress, stopping=stopping, live=live)
                return await downloader.all(instruments, first, last)
        finally:
            await asyncio.to_thread(database.close)

    return asyncio.run(work())


def _window(venue: Adapter, start: int, end: int) -> tuple[int, int]:
    """The window in whole minutes; of a recording all that lies before its live part."""
    if isinstance(venue, ReplayVenue):
        return venue.history_start(), venue.reached
    return start // MINUTE_S * MINUTE_S, end // MINUTE_S * MINUTE_S


def load_history(opened: Opened, *, days: float, say: Say, stopping: threading.Event | None = None) -> list[Downloaded]:
    """Load the last `days` of an opened market's followed instruments, or all of a recording before its live part."""
    instruments = list(Instrument.objects.filter(venue_id=opened.run.venue_id, followed=True))
    end = epoch(market_now())
    said: dict[int, int] = {}

    def progress(instrument: Instrument, done: int, total: int) -> None:
        quarter = 4 * done // max(total, 1)
        if said.get(instrument.pk, 0) < quarter:
            said[instrument.pk] = quarter
            say(f"history of {instrument.symbol}: {done} of {total} minutes")

    start = end - int(days * 86_400)
    if start >= end and opened.adapter != "replay":
        return []
    venue = opened.run.venue
    reports = download(
        venue, instruments, start, end + MINUTE_S, on_progress=progress, stopping=stopping, options=opened.options
    )
    for report in reports:
        if report.error:
            say(f"history of {report.symbol} is incomplete: {report.error}")
    say(f"history: {sum(r.stored for r in reports)} candles of {len(reports)} instruments stored")
    return reports
