"""Beat from the database, one at a time: the second idles and says so, because two beats double everything."""

import structlog
from django.db import connection
from django_celery_beat.schedulers import DatabaseScheduler

BEAT_LOCK = 0x43414E44  # "CAND"
log = structlog.get_logger(__name__)


class Scheduler(DatabaseScheduler):  # type: ignore[misc]  # the library carries no types
    """DatabaseScheduler that only ticks while it holds an advisory lock of PostgreSQL."""

    _holds: bool | None = None

    def tick(self, *args: object, **kwargs: object) -> float:
        """Tick when this beat is the one; else look again in five seconds."""
        if not self._leads():
            return 5.0
        return min(float(super().tick(*args, **kwargs)), 5.0)

    def _leads(self) -> bool:
        # The lock belongs to the connection; a new connection has to take it again.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND pid = pg_backend_pid()", [BEAT_LOCK]
            )
            leads = cursor.fetchone() is not None
            if not leads:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [BEAT_LOCK])
                leads = bool(cursor.fetchone()[0])
        if leads != self._holds:
            log.warning("beat leads" if leads else "beat idles: another beat holds the lock")
            self._holds = leads
        return leads
