"""An organization that is erased pays no more, and no event tells of its people any longer."""

from django.db.models import Q
from django.dispatch import receiver

from accounts.audit import record
from accounts.events import organization_erasing
from billing.gateway import client, enabled, speaking
from billing.locking import one_at_a_time
from billing.models import Customer, StripeEvent, Subscription


@receiver(organization_erasing)
def end_payments(sender: object, organization_id: int, **facts: object) -> None:
    """End a live subscription at once, and empty what events carried; inside operator work.

    Raises:
        BillingError: Stripe did not end it; the erasure then waits for the next attempt.
    """
    one_at_a_time(organization_id)
    row = Subscription.objects.filter(organization_id=organization_id).first()
    if row is not None and row.is_live and enabled():
        with speaking("cancel for erasure"):
            client().v1.subscriptions.cancel(row.stripe_id)
        row.status, row.past_due_since = "canceled", None
        row.save(update_fields=["status", "past_due_since"])
        record("subscription.ended", organization_id=organization_id, actor="task:erasure", plan=row.plan)
    customer = Customer.objects.filter(organization_id=organization_id).first()
    if customer is not None:
        _empty_events(customer.stripe_id)


def _empty_events(customer_id: str) -> None:
    """Leave of a customer's events whom they were about, which says nothing without Stripe."""
    about = Q(payload__data__object__customer=customer_id) | Q(payload__data__object__id=customer_id)
    left = {"data": {"object": {"object": "customer", "id": customer_id}}}
    StripeEvent.objects.filter(about).update(payload=left)
