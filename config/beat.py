"""Beat from the database, one at a time: the second idles and says so, because two beats double everything."""

from typing import Any

import psycopg
import structlog
from django.db import connection
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler
from prometheus_client import Counter

BEAT_LOCK = 0x43414E44  # "CAND"
IDLE_S = 5.0
log = structlog.get_logger(__name__)
IDLE = Counter("candor_beat_idle_total", "Looks at the lock at which another beat held it, or no database answered")


class Scheduler(DatabaseScheduler):  # type: ignore[misc]  # the library carries no types
    """DatabaseScheduler that only ticks while it holds an advisory lock of PostgreSQL."""

    _guard: "psycopg.Connection[Any] | None" = None
    _leads = False
    _said: bool | None = None  # what the log was told last

    def setup_schedule(self) -> None:
        """Copy entries that the database does not know yet; what an operator edited stays as edited."""
        known = set(PeriodicTask.objects.values_list("name", flat=True))
        fresh = {name: entry for name, entry in self.app.conf.beat_schedule.items() if name not in known}
        self.update_from_dict(fresh)

    def tick(self, *args: object, **kwargs: object) -> float:
        """Tick when this beat is the one; else look again in five seconds."""
        if not self._take_lead():
            IDLE.inc()
            return IDLE_S
        return min(float(super().tick(*args, **kwargs)), IDLE_S)

    def close(self) -> None:
        """Let the next beat take over."""
        super().close()
        if self._guard is not None:
            self._guard.close()

    def _take_lead(self) -> bool:
        leads = self._holds_lock()
        if leads != self._said:
            log.warning("beat leads" if leads else "beat idles: another beat holds the lock")
        self._leads = self._said = leads
        return leads

    def _holds_lock(self) -> bool:
        """The lock lives as long as a connection of its own: a pooled one would carry it away."""
        try:
            if self._guard is None or self._guard.closed:
                self._guard = psycopg.connect(**connection.get_connection_params(), autocommit=True)
                self._leads = False
            if self._leads:
                return self._guard.execute("SELECT true").fetchone() is not None
            row = self._guard.execute("SELECT pg_try_advisory_lock(%s)", [BEAT_LOCK]).fetchone()
        except psycopg.OperationalError as error:
            log.warning("beat has no database", error=str(error))
            self._guard, self._leads = None, False
            return False
        return bool(row and row[0])
