"""What workers do for the signal floor.

Each task is an edge: it takes ids, may come twice or late, and changes nothing then.
"""

import structlog
from celery import shared_task
from django.conf import settings
from prometheus_client import Counter

from lib import clock
from lib.postgres import ensure_partitions
from markets.models import Venue
from markets.quality import shown_states
from markets.runs import current_run, market_time
from models_ml import watching
from signals import due, outcomes, push, rounds, sizing_shadow
from signals.models import Round

log = structlog.get_logger(__name__)
RESCUED = Counter("candor_rounds_rescued_total", "Rounds that the sweeper had to decide")


@shared_task(soft_time_limit=30, time_limit=60)
def decide_minute(close_time: int, instrument_ids: list[int], received: float | None = None) -> int:
    """Decide one minute of a shard; returns the number of rounds written."""
    return len(rounds.decide_minute(close_time, instrument_ids, received=received))


@shared_task(soft_time_limit=60, time_limit=90)
def sweep() -> int:
    """Decide (late) what was stored but never decided, and write as missed what cannot be decided any more.

    A recording is swept by its feed, which knows when a minute is over; the wall clock says nothing about it.
    """
    run = current_run()
    if run is None or run.venue.kind == Venue.Kind.REPLAY or run.state != run.State.RUNNING:
        return 0
    now = market_time(run)
    ensure_partitions("signals_round", now, now)
    written = 0
    for close_time, ids in sorted(due.rescuable(run, now).items()):
        if rescued := len(rounds.decide_minute(close_time, ids)):
            RESCUED.inc(rescued)
            log.warning("minute_rescued", close_time=close_time, rounds=rescued)
            written += rescued
    return written + due.sweep_missed(run, now)


@shared_task(soft_time_limit=60, time_limit=90)
def resolve_outcomes() -> int:
    """Judge every expired signal; returns the number of outcomes written."""
    run = current_run()
    if run is None:
        return 0
    over = run.venue.kind == Venue.Kind.REPLAY and run.state == run.State.ENDED
    return len(outcomes.resolve_due(run, market_time(run), final=over))


@shared_task(soft_time_limit=60, time_limit=90)
def watch_patterns(close_time: int, round_ids: list[int]) -> int:
    """After a round: note the promoted patterns that it completed, judge the earlier ones; returns new sightings."""
    run = current_run()
    if run is None:
        return 0
    at = clock.from_epoch(close_time)
    ids = Round.objects.filter(close_time=at, pk__in=round_ids).values_list("instrument_id", flat=True)
    found = watching.watch(run, close_time, list(ids))
    watching.judge(run, at)
    return found


@shared_task(soft_time_limit=60, time_limit=90)
def shadow_sizes(signal_ids: list[int]) -> int:
    """After signals: note what the learned sizing would stake on them, while nobody knows the outcome; new rows."""
    run = current_run()
    return sizing_shadow.record(run, signal_ids) if run else 0


@shared_task
def tell_feeds(venue_id: int) -> int:
    """Show the states of a venue's feeds on open pages; returns the number of feeds told."""
    run = current_run()
    if run is None or run.venue_id != venue_id:
        return 0
    feeds = [
        {
            "venue": run.venue.key,
            **({} if key is None else {"instrument_id": key}),
            "state": row.state,
            "since": clock.epoch(row.since),
        }
        for key, row in shown_states(run).items()
    ]
    push.publish("feeds", {"feeds": feeds}, venue_id=venue_id, at=market_time(run))
    return len(feeds)


@shared_task
def forget_push_events() -> int:
    """Drop push events that no reader may ask for any more."""
    return push.forget(clock.wall_now() - settings.PUSH_RETENTION)
