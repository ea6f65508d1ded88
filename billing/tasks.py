"""What happens without anybody asking: events, and the passing of time."""

from datetime import datetime, timedelta

import structlog
from celery import shared_task
from django.core.cache import cache
from django.db import transaction
from django.db.models import F, Q, QuerySet

from accounts.audit import operator_work
from accounts.models import Organization
from accounts.scoping import scope_to
from billing import mails
from billing.errors import BillingError
from billing.gateway import enabled
from billing.locking import one_at_a_time
from billing.models import StripeEvent, Subscription
from billing.state import LIVE_STATUSES, Phase
from billing.sync import NEXT_LOOK, apply, sync
from billing.webhooks import work
from lib.clock import wall_now

UNDONE_AFTER = timedelta(seconds=30)
RETRY_EVERY = timedelta(minutes=5)
MOST_ATTEMPTS = 288
"""A day of tries; then a person has to look, in the console."""
STALE_AFTER = timedelta(hours=24)
WARN_BEFORE = timedelta(days=2)
LOOK_EVERY = timedelta(minutes=15)
BATCH = 100

log = structlog.get_logger(__name__)


@shared_task
def work_on(pk: int) -> None:
    """Work on one event."""
    work(pk)


@shared_task
def sweep_events() -> int:
    """Work on events whose task was lost and on those that failed; the number of them."""
    now = wall_now()
    lost = Q(state=StripeEvent.State.RECEIVED, received_at__lt=now - UNDONE_AFTER)
    failed = Q(state=StripeEvent.State.FAILED, attempts__lt=MOST_ATTEMPTS, tried_at__lt=now - RETRY_EVERY)
    found = list(StripeEvent.objects.filter(lost | failed).order_by("received_at").values_list("pk", flat=True)[:BATCH])
    for pk in found:
        work(pk)
    return len(found)


@shared_task
def pass_time() -> int:
    """Apply what changes by the clock alone, and read again what was not read for a day; the number looked at.

    Looking across organizations is written down each time, so it looks when something is due, or after a quarter of
    an hour.
    """
    if not enabled() or cache.get(NEXT_LOOK):
        return 0
    now = wall_now()
    with transaction.atomic(), operator_work("task:billing", "subscriptions that time changes"):
        living = Subscription.objects.filter(status__in=LIVE_STATUSES).order_by("synced_at")
        timed = living.filter(Q(status="past_due") | Q(cancel_at_period_end=True, period_end__lte=now))
        stale = living.filter(synced_at__lt=now - STALE_AFTER)[:BATCH]
        found = {row.organization_id: row.synced_at for row in (*timed, *stale)}
        _wait_for(living, now)
    for organization_id, synced_at in found.items():
        with transaction.atomic(), scope_to(organization_id):
            _look(organization_id, again=synced_at < now - STALE_AFTER)
    return len(found)


def _wait_for(living: QuerySet[Subscription], now: datetime) -> None:
    """Let the next looks pass until the first change that time alone will bring."""
    due = [row.entitlement(now).until for row in living.filter(Q(status="past_due") | Q(cancel_at_period_end=True))]
    edges = [edge for until in due if until is not None for edge in (until - WARN_BEFORE, until) if edge > now]
    cache.set(NEXT_LOOK, True, max(1, int((min([*edges, now + LOOK_EVERY]) - now).total_seconds())))


def _look(organization_id: int, *, again: bool) -> None:
    """Look at one organization: read anew what is stale or about to lose its plan, then obey the clock.

    Where Stripe does not answer the stored facts decide: a grace that is over is over.
    """
    one_at_a_time(organization_id)
    row = Subscription.objects.get(organization_id=organization_id)
    organization = Organization.objects.get(pk=organization_id)
    due = row.entitlement(wall_now())
    if again or due.plan != organization.plan:
        try:
            row = sync(organization_id, "clock") or row
        except BillingError as error:
            log.warning("subscription not read", organization=organization_id, error=str(error))
        due = apply(row, row.status, "clock")
    if due.phase == Phase.GRACE and due.until is not None and due.until - wall_now() <= WARN_BEFORE:
        _warn_once(row, organization)


def _warn_once(row: Subscription, organization: Organization) -> None:
    unwarned = Subscription.objects.filter(pk=row.pk).exclude(warned_for=F("past_due_since"))
    if unwarned.update(warned_for=row.past_due_since):
        mails.grace_ending(organization, row, row.entitlement(wall_now()))
