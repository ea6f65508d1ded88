"""A deliberate defect: a beat that does not ask whether it is the only one. `celery beat -S tests.faults.unguarded:Scheduler`."""

from config import beat


class Scheduler(beat.Scheduler):
    """Ticks without the lock."""

    def _take_lead(self) -> bool:
        return True
