"""Console pages of billing; the console's requests run as audited operator work."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin import ReadOnlyAdmin
from accounts.models import User
from billing.models import CheckoutAttempt, Customer, StripeEvent, Subscription
from billing.webhooks import replay


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    """Events, with what became of them; failed ones can be worked on again."""

    list_display = ("event_id", "type", "created", "state", "attempts", "error")
    list_filter = ("state", "type")
    search_fields = ("event_id", "type")
    date_hierarchy = "received_at"
    actions = ("replay_events",)

    @admin.action(description="Work on these events again")
    def replay_events(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> None:
        """Each is audited; state is read from Stripe anew, so that replaying does no harm."""
        if not isinstance(request.user, User):
            return
        for event in queryset:
            replay(event, request.user)
        messages.success(request, f"{queryset.count()} events are worked on again.")


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """Subscriptions as last read from Stripe."""

    list_display = ("organization", "plan", "status", "period_end", "cancel_at_period_end", "synced_at")
    list_select_related = ("organization",)
    list_filter = ("status", "plan")
    search_fields = ("stripe_id", "organization__name")


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    """Who is which customer."""

    list_display = ("organization", "stripe_id", "currency", "created_at")
    list_select_related = ("organization",)
    search_fields = ("stripe_id", "organization__name")


@admin.register(CheckoutAttempt)
class CheckoutAttemptAdmin(ReadOnlyAdmin):
    """Wishes to buy."""

    list_display = ("organization", "lookup_key", "currency", "state", "created_at")
    list_select_related = ("organization",)
    list_filter = ("state",)
