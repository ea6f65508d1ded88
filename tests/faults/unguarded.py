"""A deliberate defect, for `celery beat -S tests.faults.unguarded:Scheduler`: it does not ask whether it is alone."""

from config import beat


class Scheduler(beat.Scheduler):
    """Ticks without the lock."""

    def _take_lead(self) -> bool:
        return True
