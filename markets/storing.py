"""The feed's way into the database: one thread, one transaction per batch, tried again until it is written."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection, connections, transaction
from prometheus_client import Counter

from lib.clock import market_now
from markets.backoff import Backoff
from markets.books import store_books, store_flow
from markets.candles import Source, StoreReport, store_closed
from markets.events import announce
from markets.minutes import Batch

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

STORED = Counter("candor_candles_stored_total", "Candles that were written", ["source"])
CORRECTED = Counter("candor_candles_corrected_total", "Candles that the venue told again with other values", ["source"])
WAITS = Counter("candor_database_waits_total", "Writes of a feed that the database did not take at once")
FRESH_S = 90
"""A minute that closed longer ago is news to nobody; the sweeper accounts for it."""


def store_batch(batch: Batch, source: Source) -> StoreReport:
    """Write candles, books and trades of a batch in one transaction, and tell of the fresh minutes on its commit."""
    rows, seen = batch.rows()
    now = market_now()
    with transaction.atomic():
        report = store_closed(rows, source=source, observed_at=seen, now=now)
        for minute, books in batch.books.items():
            store_books(minute, books)
        for minute, flows in batch.flows.items():
            store_flow(minute, flows)
        received = max((arrival.received for arrival in batch.arrivals), default=0.0)
        for close_time, ids in sorted(batch.closes().items()):
            if 0 <= now.timestamp() - close_time + FRESH_S <= 2 * FRESH_S:
                announce(close_time, ids, received)
    STORED.labels(source.name.lower()).inc(report.stored)
    if report.corrected:
        CORRECTED.labels(source.name.lower()).inc(report.corrected)
        log.warning("candles_corrected", count=report.corrected, source=source.name.lower())
    return report


class DatabaseThread:
    """All database work of one feed, in one thread and so on one connection, off the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "feed-db")

    async def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` there; the database's errors come through."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: _tidy(work, *args, **kwargs))

    async def insist(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `call`, but while the database is away wait and try again: what is written by key may be written twice."""
        backoff = Backoff(0.5, 5.0)
        while True:
            try:
                return await self.call(work, *args, **kwargs)
            except (OperationalError, InterfaceError) as error:
                WAITS.inc()
                log.warning("feed_waits_for_database", reason=str(error).strip()[:200])
                await asyncio.sleep(backoff.next_wait())

    def close(self) -> None:
        """Let go of the connection and the thread."""
        self._pool.submit(connections.close_all)
        self._pool.shutdown(wait=True)


def _tidy(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return work(*args, **kwargs)
    except (OperationalError, InterfaceError):
        connection.close()  # a dead connection would fail the next call as well
        raise
