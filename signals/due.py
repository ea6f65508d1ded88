"""Every due minute gets its round: decided once, or missed with a reason. The database decides, no broker."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from prometheus_client import Counter

from lib import clock
from lib.postgres import ensure_partitions
from markets import schedule
from markets.models import Activation, Candle, Run, Venue
from markets.runs import market_time
from signals import push
from signals.cards import cards_of
from signals.models import Round

log = structlog.get_logger(__name__)
MISSED = Counter("candor_rounds_missed_total", "Due minutes that nobody could decide")

GRACE = timedelta(seconds=90)
"""A due minute without a candle this long after its close is written as missed."""

RESCUE = timedelta(minutes=10)
"""How far back the sweeper still decides a minute whose candle is there (the round is then late, and says so)."""

SHOWN_MISSED = 200
"""More missed rounds at once than this are an outage, and a page that opens reads them anyway."""

WEDGED = timedelta(seconds=40)
"""Two sweeps and some: a decidable minute that waits longer shows that nobody works."""

LOOK_BACK = timedelta(hours=2)
"""How far back each sweep looks; longer outages are accounted for at the next start."""

_MISSED = """
INSERT INTO signals_round (instrument_id, horizon_s, close_time, state, reason, decided_at)
SELECT instrument_id, %s, to_timestamp(close_time), 'missed', reason, %s
FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS due(instrument_id, close_time, reason)
ON CONFLICT DO NOTHING
"""


def _activations(run: Run) -> QuerySet[Activation]:
    return Activation.objects.filter(instrument__venue_id=run.venue_id)


def undecided(run: Run, start: datetime, end: datetime) -> list[tuple[int, int]]:
    """(instrument, close time in epoch s) of every due minute in [start, end] that has no round."""
    # Also of instruments no longer followed: their activation intervals say until when they were due.
    ids = list(
        Activation.objects.filter(instrument__venue_id=run.venue_id).values_list("instrument_id", flat=True).distinct()
    )
    due = schedule.due_minutes(ids, clock.epoch(start), clock.epoch(end), settings.HORIZON_S)
    written = Round.objects.filter(
        instrument_id__in=ids, horizon_s=settings.HORIZON_S, close_time__gte=start, close_time__lte=end
    )
    done = {(id_, clock.epoch(at)) for id_, at in written.values_list("instrument_id", "close_time")}
    return [(id_, at) for id_, at in due if (id_, at) not in done]


def write_missed(pairs: Iterable[tuple[int, int, str]], run: Run | None = None) -> int:
    """Write missed rounds (instrument, close time, reason) in one statement; those written meanwhile stay.

    With a run, open pages are shown the missed rounds of the newest minute; an outage of hours is no news to push.
    """
    rows = list(pairs)
    if not rows:
        return 0
    times = [time for _, time, _ in rows]
    with transaction.atomic(), connection.cursor() as cursor:
        ensure_partitions("signals_round", clock.from_epoch(min(times)), clock.from_epoch(max(times)))
        cursor.execute(
            _MISSED,
            [settings.HORIZON_S, clock.wall_now(), [id_ for id_, _, _ in rows], times, [why for _, _, why in rows]],
        )
        written = int(cursor.rowcount)
        if run is not None and written <= SHOWN_MISSED:
            _show(run, max(times))
    if written:
        MISSED.inc(written)
        log.warning("rounds_missed", rounds=written, reasons=sorted({why for _, _, why in rows}))
    return written


def _show(run: Run, close_time: int) -> None:
    at = clock.from_epoch(close_time)
    missed = Round.objects.filter(instrument__venue_id=run.venue_id, close_time=at, state=Round.State.MISSED)
    rows = list(missed.select_related("instrument__venue"))
    cards = cards_of(rows, [], [], market_time(run).timestamp())
    push.publish("rounds", {"close_time": close_time, "cards": cards}, venue_id=run.venue_id, at=at)


def account_for_downtime(run: Run, now: datetime) -> int:
    """At start: every due minute since the last round, in which the whole platform was off, is missed."""
    first = (
        Activation.objects.filter(instrument__venue_id=run.venue_id).order_by("at").values_list("at", flat=True).first()
    )
    if first is None:
        return 0
    rounds = Round.objects.filter(instrument__venue_id=run.venue_id).order_by("-close_time")
    newest = rounds.values_list("close_time", flat=True).first()
    # What was on its way when the platform stopped lies before the newest round; older holes were swept.
    start = first if newest is None else max(first, newest - LOOK_BACK)
    pairs = undecided(run, start, now)
    return write_missed((id_, at, "platform_down") for id_, at in pairs)


def close_recording(run: Run, end: datetime) -> int:
    """When a recording is told: what nobody decided in time is missed, because no sweeper looks at recordings."""
    first = (
        Activation.objects.filter(instrument__venue_id=run.venue_id).order_by("at").values_list("at", flat=True).first()
    )
    if first is None:
        return 0
    return write_missed((id_, at, "not_decided") for id_, at in undecided(run, first, end))


def rescuable(run: Run, now: datetime) -> dict[int, list[int]]:
    """Close time → undecided instruments whose candle is stored, from the last minutes; the newest are left alone.

    A minute younger than the lateness limit may still be on its way through the ordinary task.
    """
    settle = timedelta(seconds=settings.LATE_AFTER_S)
    pairs = undecided(run, clock.floor_minute(now - RESCUE), now - settle)
    stored = _stored(pairs)
    found: dict[int, list[int]] = defaultdict(list)
    for id_, at in pairs:
        if (id_, at) in stored:
            found[at].append(id_)
    return found


def is_behind(run: Run, now: datetime) -> bool:
    """Whether a minute whose candle is stored has waited for its round longer than any sweep would let it.

    The end-to-end sign of life of beat, broker and workers: a worker may be up and consume nothing.
    """
    if run.venue.kind == Venue.Kind.REPLAY or run.state != Run.State.RUNNING:
        return False
    settled = now - WEDGED
    return any(close_time <= clock.epoch(settled) for close_time in rescuable(run, now))


def sweep_missed(run: Run, now: datetime) -> int:
    """Write as missed what can no longer be decided: no candle after the grace, or too old to rescue."""
    lost = undecided(run, clock.floor_minute(now - LOOK_BACK), now - GRACE)
    stored, oldest = _stored(lost), clock.epoch(clock.floor_minute(now - RESCUE))
    without = [(id_, at, "no_candle") for id_, at in lost if (id_, at) not in stored]
    too_old = [(id_, at, "not_decided") for id_, at in lost if (id_, at) in stored and at < oldest]
    return write_missed(without + too_old, run)


def _stored(pairs: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of (instrument, close time) whose closing candle is in the store."""
    if not pairs:
        return set()
    closes = [at for _, at in pairs]
    candles = Candle.objects.filter(
        instrument_id__in={id_ for id_, _ in pairs},
        open_time__gte=clock.from_epoch(min(closes) - clock.MINUTE_S),
        open_time__lte=clock.from_epoch(max(closes) - clock.MINUTE_S),
    )
    return {(id_, clock.epoch(at) + clock.MINUTE_S) for id_, at in candles.values_list("instrument_id", "open_time")}


def settle_minute(run: Run, close_time: int) -> bool:
    """Whether every due round of one minute is written; instruments that have no candle there are missed at once.

    A recording asks this after each minute: what its file lacks will not arrive later.
    """
    at = clock.from_epoch(close_time)
    waiting = undecided(run, at, at)
    stored = _stored(waiting)
    write_missed(((id_, close_time, "no_candle") for id_, _ in waiting if (id_, close_time) not in stored), run)
    return not stored
