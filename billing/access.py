"""What a viewer may fetch of their own organization's billing."""

from uuid import UUID

from django.shortcuts import get_object_or_404

from accounts.access import Viewer, access_organization
from accounts.limits import Allowance, Limit, allowance
from accounts.models import Invitation, Membership
from billing.models import CheckoutAttempt, Customer, Subscription
from signals.access import access_instruments


def access_subscription(viewer: Viewer) -> Subscription | None:
    """The subscription of the viewer's organization; 404 for who belongs to none."""
    return Subscription.objects.filter(organization=access_organization(viewer)).first()


def access_customer(viewer: Viewer) -> Customer | None:
    """The customer that the viewer's organization is; 404 for who belongs to none."""
    return Customer.objects.filter(organization=access_organization(viewer)).first()


def access_attempt(viewer: Viewer, key: UUID) -> CheckoutAttempt:
    """A wish to buy of the viewer's organization; 404 where it is foreign or absent."""
    return get_object_or_404(CheckoutAttempt.objects, organization=access_organization(viewer), key=key)


def access_usage(viewer: Viewer) -> list[Allowance]:
    """How much of each limit the viewer's organization uses."""
    access_organization(viewer)
    seats = Membership.objects.count() + Invitation.objects.filter(accepted_at__isnull=True).count()
    return [
        allowance(viewer.plan, Limit.SEATS, seats),
        allowance(viewer.plan, Limit.INSTRUMENTS, access_instruments(viewer).count()),
    ]
