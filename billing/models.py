"""What we keep of Stripe's: customers, the newest state of subscriptions, every event, every attempt to buy.

Stripe's own objects are the truth. A row here is a copy that was read at `synced_at`, never a sum of events.
"""

import uuid
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization, User
from accounts.scoping import TenantManager
from billing.state import LIVE_STATUSES, Entitlement, Facts, entitlement
from lib.clock import wall_now


class Customer(models.Model):
    """An organization as Stripe knows it; made before anything is bought."""

    organization = models.OneToOneField(Organization, models.PROTECT, related_name="+")
    stripe_id = models.CharField(_("Stripe customer"), max_length=255, unique=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True, help_text=_("Fixed by the first purchase"))
    created_at = models.DateTimeField(_("created"), default=wall_now, editable=False)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    def __str__(self) -> str:
        return f"{self.stripe_id} of {self.organization_id}"


class Subscription(models.Model):
    """The one subscription that counts for an organization, as last read."""

    organization = models.OneToOneField(Organization, models.PROTECT, related_name="+")
    stripe_id = models.CharField(_("Stripe subscription"), max_length=255, unique=True)
    item_id = models.CharField(_("its item"), max_length=255)
    status = models.CharField(_("status"), max_length=30)
    plan = models.CharField(_("plan"), max_length=20)
    price_id = models.CharField(_("price"), max_length=255)
    interval = models.CharField(_("interval"), max_length=10)
    currency = models.CharField(_("currency"), max_length=3)
    amount = models.BigIntegerField(_("amount"), help_text=_("In the currency's smallest unit"))
    quantity = models.PositiveIntegerField(_("quantity"), default=1)
    period_end = models.DateTimeField(_("paid until"), null=True)
    cancel_at_period_end = models.BooleanField(_("cancelled at the end"), default=False)
    trial_end = models.DateTimeField(_("trial ends"), null=True)
    past_due_since = models.DateTimeField(_("past due since"), null=True)
    started_at = models.DateTimeField(_("began"))
    synced_at = models.DateTimeField(_("read from Stripe"))
    warned_for = models.DateTimeField(
        _("warned of"), null=True, help_text=_("The past-due date whose grace was said to end")
    )

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        """Found by the tasks that watch time pass."""

        indexes = [models.Index(fields=["synced_at"], name="billing_subscription_synced")]

    def __str__(self) -> str:
        return f"{self.stripe_id} {self.status} {self.plan}"

    @property
    def is_live(self) -> bool:
        """May still be charged, so that there must be no second one."""
        return self.status in LIVE_STATUSES

    @property
    def facts(self) -> Facts:
        """What decides, for `billing.state`."""
        return Facts(
            self.status, self.plan, self.period_end, self.cancel_at_period_end, self.trial_end, self.past_due_since
        )

    def entitlement(self, now: datetime) -> Entitlement:
        """What it entitles to at `now`."""
        return entitlement(self.facts, now, grace())


def grace() -> timedelta:
    """How long a failed payment leaves the plan as it is."""
    return timedelta(days=settings.BILLING_GRACE_DAYS)


class CheckoutAttempt(models.Model):
    """A wish to buy. Its idempotency key is stored before Stripe is called: asking twice is asking once."""

    class State(models.TextChoices):
        """Open until it is paid, given up or overtaken by another."""

        OPEN = "open", _("Open")
        DONE = "done", _("Done")
        CLOSED = "closed", _("Closed")

    key = models.UUIDField(_("idempotency key"), default=uuid.uuid4, unique=True, editable=False)
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+")
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    lookup_key = models.CharField(_("price"), max_length=80)
    currency = models.CharField(_("currency"), max_length=3)
    state = models.CharField(_("state"), max_length=6, choices=State.choices, default=State.OPEN)
    session_id = models.CharField(_("Stripe session"), max_length=255, blank=True)
    created_at = models.DateTimeField(_("created"), default=wall_now, editable=False)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        """One open wish per organization."""

        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=models.Q(state="open"), name="billing_attempt_open_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lookup_key} {self.state}"


class StripeEvent(models.Model):
    """One verified event, kept once. It belongs to no tenant: operator work and the console alone read it."""

    class State(models.TextChoices):
        """What became of it."""

        RECEIVED = "received", _("Received")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        IGNORED = "ignored", _("Ignored")

    event_id = models.CharField(_("event"), max_length=255, unique=True)
    type = models.CharField(_("type"), max_length=120)
    created = models.DateTimeField(_("made by Stripe"))
    received_at = models.DateTimeField(_("received"), default=wall_now, editable=False)
    payload = models.JSONField(_("payload"))
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.RECEIVED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    tried_at = models.DateTimeField(_("last tried"), null=True)
    error = models.CharField(_("error"), max_length=500, blank=True)

    class Meta:
        """The sweeper looks for what is not done."""

        indexes = [
            models.Index(
                fields=["received_at"],
                condition=models.Q(state__in=["received", "failed"]),
                name="billing_event_undone",
            )
        ]

    def __str__(self) -> str:
        return f"{self.event_id} {self.type}"
