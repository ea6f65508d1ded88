"""A change of plan."""

from typing import Any

from django.db import transaction

from accounts.audit import record
from accounts.events import plan_changed
from accounts.models import Organization, User
from accounts.plans import plan_of


def change_plan(
    organization: Organization, key: str, by: User | None, *, actor: str = "", **why: str | int | bool | None
) -> None:
    """Put the entered organization on another plan; the next fetch and the next push obey it.

    Args:
        organization: the one whose scope is entered.
        key: the plan's.
        by: the person who changed it; None for the system, whose part is then named by `actor`.
        actor: who changed it, in words.
        why: further plain facts for the audit log.

    Raises:
        PlanError: no plan has this key.
    """
    plan_of(key)
    with transaction.atomic():
        locked = Organization.objects.select_for_update().get(pk=organization.pk)
        before, locked.plan, organization.plan = locked.plan, key, key
        locked.save(update_fields=["plan"])
        facts: dict[str, Any] = {"before": before, "after": key, **why}
        record("plan.changed", user=by, organization_id=organization.pk, actor=actor, **facts)
        plan_changed.send(Organization, organization_id=organization.pk, before=before, after=key)
