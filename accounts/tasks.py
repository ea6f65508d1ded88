"""The base class of every task that works for one organization, and the tasks that keep what privacy promises."""

import time

import structlog
from celery import Task, shared_task
from prometheus_client import Histogram

from accounts import erasing, export_files, retention
from accounts.audit import operator_work
from accounts.models import DataExport
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


@shared_task
def make_person_export(export_id: str) -> bool:
    """Make a person's copy of all about them; a second time makes nothing."""
    return export_files.make_person_export(export_id)


@shared_task(base=TenantTask)
def make_organization_export(organization_id: int, export_id: str, user_id: int) -> bool:
    """Make an owner's copy of all about an organization; a second time makes nothing."""
    return export_files.make_organization_export(organization_id, export_id, user_id)


def start_export(export: DataExport) -> None:
    """Start the task that makes a copy, after the surrounding transaction commits."""
    _start_export(str(export.pk), export.organization_id, export.user_id)


def _start_export(key: str, organization_id: int | None, user_id: int) -> None:
    if organization_id is None:
        on_commit(lambda: send_soon(make_person_export, (key,)))
    else:
        make_organization_export.enqueue(organization_id, key, user_id)


@shared_task
def keep_promises() -> int:
    """Erase what is due, remove files that are over, start copies whose task was lost; number of erasures."""
    erased = erasing.erase_due()
    with operator_work("task:privacy", "remove expired copies and find lost ones"):
        export_files.remove_expired()
        lost = export_files.waiting_exports()
    for waiting in lost:
        _start_export(*waiting)
    return erased


@shared_task
def forget_old_rows() -> dict[str, int]:
    """Carry out the retention rules; number of rows by table."""
    with operator_work("task:retention", "delete rows that are over their days"):
        return retention.carry_out()
