"""Whether the platform works, in one cheap look: what load balancers and the status page ask for."""

from typing import Any

import redis
import structlog
from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection
from kombu.exceptions import OperationalError
from prometheus_client import Counter

from lib.clock import wall_now
from lib.sending import ANSWER_S, IMPATIENT
from markets.models import FeedState, Run
from markets.quality import shown_states
from markets.runs import current_run, market_time
from markets.skew import WARN_S
from signals import due

QUEUES = ("default", "score", "train")
PROBE = "candor:health"
BEHIND = Counter("candor_rounds_behind_total", "Looks at which minutes that could be decided had no round")
BACKLOG = 100
"""Waiting tasks from which a queue counts as not keeping up."""

log = structlog.get_logger(__name__)


def health() -> dict[str, Any]:
    """Database, Redis, feed and queues; `down` without a database, `degraded` when anything else is not well."""
    database, feed, deciding = _database()
    redis_answers = _redis()
    queues = None if redis_answers is False else waiting_tasks()
    fresh = feed is not None and feed["state"] == FeedState.State.LIVE and abs(feed["clock_skew_s"] or 0.0) <= WARN_S
    keeping_up = queues is not None and max(queues.values(), default=0) < BACKLOG
    status = "ok" if redis_answers is not False and fresh and keeping_up and deciding else "degraded"
    return {
        "status": status if database else "down",
        "database": database,
        "redis": redis_answers,
        "feed": feed,
        "queues": queues or {},
        "deciding": deciding,
    }


def _database() -> tuple[bool, dict[str, Any] | None, bool]:
    """Whether it answers, the feed, and whether workers decide what is due."""
    try:
        connection.ensure_connection()
        run = current_run()
        return (True, _feed(run), _decides(run)) if run else (True, None, True)
    except DatabaseError as error:
        log.warning("health: no database", error=str(error))
        return False, None, False


def _decides(run: Run) -> bool:
    behind = due.is_behind(run, market_time(run))
    if behind:
        BEHIND.inc()
        log.warning("rounds_behind")
    return not behind


def _feed(run: Run) -> dict[str, Any] | None:
    state = shown_states(run).get(None)
    if state is None:
        return None
    heard = state.last_message_at
    age_s = (wall_now() - heard).total_seconds() if heard else None
    return {"state": state.state, "age_s": age_s, "clock_skew_s": state.skew_s}


def _redis() -> bool | None:
    if not settings.REDIS_URL:
        return None
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    try:
        return bool(client.set(PROBE, b"", ex=60))  # full counts as away: it takes no task
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()


def waiting_tasks() -> dict[str, int] | None:
    """Waiting tasks by queue, None while the broker cannot be asked."""
    try:
        with current_app.connection_for_read(transport_options=IMPATIENT, connect_timeout=ANSWER_S) as broker:
            channel: Any = broker.default_channel  # of a virtual transport, as all of ours are
            return {name: int(channel._size(name)) for name in QUEUES}
    except (OperationalError, redis.RedisError, OSError):
        return None
