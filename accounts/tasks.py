"""The base class of every task that works for one organization."""

import time

import structlog
from celery import Task
from prometheus_client import Histogram

from accounts.scoping import scope_to
from lib.sending import send_soon
from lib.transactions import on_commit

log = structlog.get_logger(__name__)
DURATION = Histogram("candor_tenant_task_seconds", "Time a tenant's task took", ["task", "outcome"])


class TenantTask(Task):  # type: ignore[type-arg]  # generic in the stubs only
    """Takes ids, enters the tenant, starts after commit, and is measured.

    The task's first argument is the organization's id. It runs in one transaction inside that organization, so a task
    that was given another tenant's row id finds nothing. Use it as `@shared_task(base=TenantTask)` and start it with
    `task.enqueue(organization_id, …)`; work that must not be lost belongs into a row that a sweeper finds as well.
    """

    abstract = True

    def __call__(self, organization_id: int, *args: object, **kwargs: object) -> object:
        """Run inside the organization."""
        started, outcome = time.perf_counter(), "failed"
        try:
            with scope_to(organization_id):
                result = self.run(organization_id, *args, **kwargs)
            outcome = "done"
        finally:
            seconds = time.perf_counter() - started
            DURATION.labels(self.name, outcome).observe(seconds)
            log.info("tenant_task", task=self.name, organization=organization_id, outcome=outcome, seconds=seconds)
        return result

    def enqueue(self, organization_id: int, *args: object, **kwargs: object) -> None:
        """Start after the surrounding transaction commits."""
        on_commit(lambda: send_soon(self, (organization_id, *args), kwargs))
