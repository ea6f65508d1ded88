"""From Stripe's objects to our rows and the organization's plan.

Every caller (an event, a page, the clock) ends here: the customer's subscriptions are read anew under the
organization's lock, so that neither the order nor the number of calls matters. What an event carries is never taken
for the state.
"""

from collections.abc import Sequence
from datetime import datetime

import stripe
import structlog
from django.core.cache import cache
from django.db import transaction

from accounts.models import Organization
from accounts.planning import change_plan
from accounts.plans import FREE
from billing import mails
from billing.catalogue import plan_key_of
from billing.gateway import client, speaking
from billing.locking import one_at_a_time
from billing.models import CheckoutAttempt, Customer, Subscription
from billing.state import ENTITLED, LIVE_STATUSES, Entitlement
from lib.clock import from_epoch, wall_now
from lib.transactions import on_commit

ACTOR = "stripe"
NEXT_LOOK = "billing:next-look"
"""The cache's key that lets looks at the clock pass; what was just read may be due earlier."""
_RANK = {"active": 0, "trialing": 1, "past_due": 2, "unpaid": 3, "paused": 4, "incomplete": 5}

log = structlog.get_logger(__name__)


def sync(organization_id: int, cause: str) -> Subscription | None:
    """Read the entered organization's subscription from Stripe, store it, and put the organization on its plan.

    Args:
        organization_id: the one whose scope is entered.
        cause: what made us look (an event's id, `page`, `clock`), for the audit log.

    Raises:
        BillingError: Stripe did not answer, or the price is of no plan; nothing was changed then.
    """
    with transaction.atomic():
        one_at_a_time(organization_id)
        customer = Customer.objects.filter(organization_id=organization_id).first()
        if customer is None:
            return None
        found = _chosen(_read(customer.stripe_id))
        before = Subscription.objects.filter(organization_id=organization_id).first()
        if found is None:
            return before  # Stripe forgets no subscription: there has been none
        row = _store(customer, found, before)
        _settle(customer, row)
        apply(row, before.facts.status if before else "", cause)
        on_commit(lambda: cache.delete(NEXT_LOOK))
        return row


def apply(row: Subscription, status_before: str, cause: str) -> Entitlement:
    """Put the organization on the plan that the stored facts entitle to now, and tell its people what changed."""
    now = wall_now()
    due = row.entitlement(now)
    organization = Organization.objects.get(pk=row.organization_id)
    before = organization.plan
    if before != due.plan:
        change_plan(
            organization, due.plan, None, actor=ACTOR, phase=due.phase.value, cause=cause, subscription=row.stripe_id
        )
        log.info("plan follows subscription", organization=organization.pk, before=before, after=due.plan)
    if row.status == "past_due" and status_before != "past_due":
        mails.payment_failed(organization, row, due)
    if before != FREE.key and due.phase not in ENTITLED:
        mails.subscription_ended(organization, row, due)
    return due


def _read(customer_id: str) -> Sequence[stripe.Subscription]:
    with speaking("subscriptions"):
        return client().v1.subscriptions.list({"customer": customer_id, "status": "all", "limit": 100}).data


def _chosen(found: Sequence[stripe.Subscription]) -> stripe.Subscription | None:
    """The one that counts: the best live one, else the newest; two live ones are a fault that a person must see."""
    live = [subscription for subscription in found if subscription.status in LIVE_STATUSES]
    if len(live) > 1:
        log.error("two live subscriptions", customer=str(live[0].customer), ids=[each.id for each in live])
    if live:
        return min(live, key=lambda each: (_RANK[each.status], -each.created, each.id))
    return max(found, key=lambda each: (each.created, each.id), default=None)


def _store(customer: Customer, found: stripe.Subscription, before: Subscription | None) -> Subscription:
    item = found.items.data[0]
    price = item.price
    row, _made = Subscription.objects.update_or_create(
        organization_id=customer.organization_id,
        defaults={
            "stripe_id": found.id,
            "item_id": item.id,
            "status": found.status,
            "plan": plan_key_of(price),
            "price_id": price.id,
            "interval": price.recurring.interval if price.recurring else "",
            "currency": found.currency,
            "amount": price.unit_amount or 0,
            "quantity": getattr(item, "quantity", None) or 1,
            "period_end": from_epoch(item.current_period_end),
            "cancel_at_period_end": _ends(found, item),
            "trial_end": _time(getattr(found, "trial_end", None)),
            "past_due_since": _past_due_since(found, before) if found.status == "past_due" else None,
            "started_at": from_epoch(found.created),
            "synced_at": wall_now(),
        },
    )
    return row


def _ends(found: stripe.Subscription, item: stripe.SubscriptionItem) -> bool:
    """Cancelled for the end of the period, by flag or by a date that is that end."""
    at = getattr(found, "cancel_at", None)
    return bool(found.cancel_at_period_end) or (at is not None and at <= item.current_period_end)


def _past_due_since(found: stripe.Subscription, before: Subscription | None) -> datetime:
    """When the oldest invoice that is still open was made; where Stripe lists none, when we first saw it."""
    with speaking("open invoices"):
        invoices = client().v1.invoices.list({"subscription": found.id, "status": "open", "limit": 100}).data
    if invoices:
        return from_epoch(min(invoice.created for invoice in invoices))
    known = before.past_due_since if before and before.stripe_id == found.id else None
    return known or wall_now()


def _settle(customer: Customer, row: Subscription) -> None:
    """What follows from there being a subscription: the currency is fixed, an open wish to buy is over."""
    if customer.currency != row.currency:
        customer.currency = row.currency
        customer.save(update_fields=["currency"])
    if row.is_live:
        CheckoutAttempt.objects.filter(state=CheckoutAttempt.State.OPEN).update(state=CheckoutAttempt.State.DONE)


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else from_epoch(seconds)
