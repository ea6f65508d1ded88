"""What workers and beat do for the market floor. Each may run twice or late: the store takes a candle once."""

from datetime import date, timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.db import connection, transaction

from lib import clock
from lib.clock import MINUTE_S
from lib.postgres import drop_month, ensure_partitions
from markets import derivatives, quality
from markets.candles import incomplete, newest_open_times
from markets.downloading import Downloaded, download
from markets.events import announce
from markets.intelligence import polling
from markets.models import Headline, Instrument, Run, Venue
from markets.runs import current_run, market_time

log = structlog.get_logger(__name__)

CATCH_UP_S = 15 * MINUTE_S
"""How far back each minute's catch-up looks; older holes are the feed's own or download_candles' work."""
SETTLED_S = 5.0
"""A minute that closed less than this ago is still the feed's."""
AHEAD = timedelta(days=62)
"""This month and the two after it have their partitions."""
KEPT_FOR_A_WHILE = ("markets_booksnapshot", "markets_tradeflow")

_PARTITIONS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE p.relname = %s ORDER BY 1
"""


@shared_task(soft_time_limit=50, time_limit=60)
def ingest_closed() -> int:
    """Ask REST for closed minutes of followed instruments that no stream brought; returns how many were stored.

    Where the stream is alive the store lacks nothing and the venue is not even opened. A recording has no REST.
    """
    run = current_run()
    if run is None or run.state != Run.State.RUNNING or run.venue.kind == Venue.Kind.REPLAY:
        return 0
    end = clock.epoch(market_time(run) - timedelta(seconds=SETTLED_S)) // MINUTE_S * MINUTE_S
    start = end - CATCH_UP_S
    followed = Instrument.objects.filter(venue_id=run.venue_id, followed=True).in_bulk()
    lacking = incomplete({key: instrument.calendar for key, instrument in followed.items()}, start, end)
    wanted = [followed[key] for key in lacking]
    if not wanted:
        return 0
    before = newest_open_times([instrument.pk for instrument in wanted])
    reports = download(run.venue, wanted, start, end, live=True)
    _tell(wanted, before, end)
    return _stored(reports)


def _stored(reports: list[Downloaded]) -> int:
    for report in reports:
        if report.error:
            log.warning("catch_up_failed", symbol=report.symbol, reason=report.error[:300])
    return sum(report.stored for report in reports)


def _tell(instruments: list[Instrument], before: dict[int, int], end: int) -> None:
    """The newest minute is news when it came by this way first."""
    newest = newest_open_times([instrument.pk for instrument in instruments])
    fresh = [key for key, at in newest.items() if at == end - MINUTE_S and before.get(key) != at]
    if fresh:
        announce(end, fresh, clock.wall_now().timestamp())


@shared_task(soft_time_limit=50, time_limit=60)
def measure_quality() -> int:
    """Write today's score of every followed instrument, and just after midnight yesterday's last one."""
    run = current_run()
    if run is None:
        return 0
    now = market_time(run)
    written = quality.measure_day(run.venue_id, now.date(), now)
    if now.hour == 0 and now.minute < 10:
        written += quality.measure_day(run.venue_id, now.date() - timedelta(days=1), now)
    return written


@shared_task(soft_time_limit=180, time_limit=200)
def poll_derivatives() -> int:
    """Store funding and open interest of a live run's followed instruments; returns how many figures were new."""
    run = current_run()
    if run is None or run.state != Run.State.RUNNING or run.venue.kind != Venue.Kind.LIVE:
        return 0
    return derivatives.poll(run.venue)


@shared_task(soft_time_limit=280, time_limit=300)
def poll_words() -> int:
    """Poll the feeds of headlines, events and indexes whose time has come; returns how many rows were new."""
    return sum(polling.poll(feed) for feed in polling.due(clock.wall_now()))


@shared_task
def forget_old_headlines() -> int:
    """Delete headlines observed before HEADLINE_RETENTION; events and indexes are kept. Returns how many."""
    oldest = clock.wall_now() - settings.HEADLINE_RETENTION
    gone, _ = Headline.objects.filter(observed_at__lt=oldest).delete()
    return gone


@shared_task
def create_partitions() -> int:
    """See that every monthly table has this month and the next two; returns how many tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT parent FROM candor_monthly")
        parents = [parent for (parent,) in cursor.fetchall()]
    now = clock.wall_now()
    for parent in parents:
        ensure_partitions(parent, now, now + AHEAD)
    return len(parents)


@shared_task
def drop_old_books() -> int:
    """Drop the months of books and trade flow that lie wholly before BOOK_RETENTION; returns how many."""
    oldest = (clock.wall_now() - settings.BOOK_RETENTION).date().replace(day=1)
    dropped = 0
    for parent in KEPT_FOR_A_WHILE:
        with connection.cursor() as cursor:
            cursor.execute(_PARTITIONS, [parent])
            names = [name for (name,) in cursor.fetchall()]
        for name in names:
            year, month = map(int, name.removeprefix(f"{parent}_").split("_"))
            if (year, month) < (oldest.year, oldest.month):
                _drop(parent, oldest.replace(year=year, month=month))
                dropped += 1
    return dropped


def _drop(parent: str, month: date) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '1s'")  # rather tomorrow than hold up the feed
        drop_month(parent, month)
    log.info("books_dropped", table=parent, month=str(month))
