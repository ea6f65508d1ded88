"""From the wish to buy to Stripe's payment page.

The wish is a row with an idempotency key that is committed before Stripe is called: whatever breaks in between (a
time-out, a killed process, a second click), asking again with the same key is answered with the same session.
"""

import hashlib
from datetime import timedelta
from typing import Final

import stripe
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.audit import record
from accounts.models import Organization, User
from billing.catalogue import read_catalogue
from billing.errors import BillingError
from billing.gateway import client, speaking
from billing.locking import one_at_a_time
from billing.models import CheckoutAttempt, Customer, Subscription
from billing.sync import sync
from lib.clock import wall_now

Attempt = CheckoutAttempt

SESSION_LASTS: Final = timedelta(hours=23)
"""Stripe closes a payment page, and forgets an idempotency key, after a day."""


def wish(organization: Organization, user: User, lookup_key: str, currency: str) -> CheckoutAttempt:
    """Write down what somebody wants to buy; the open wish for the same thing is found again, another is closed.

    Raises:
        BillingError: it is not sold, not in this currency, or the organization has a subscription already.
    """
    _check_offer(lookup_key, currency)
    with transaction.atomic():
        one_at_a_time(organization.pk)
        _check_currency(organization, currency)
        _refuse_second(organization)
        attempt = Attempt.objects.filter(state=Attempt.State.OPEN).first()
        if attempt is not None and _is_same(attempt, lookup_key, currency):
            return attempt
        if attempt is not None:
            _give_up(attempt)
        made = Attempt.objects.create(organization=organization, user=user, lookup_key=lookup_key, currency=currency)
        record("checkout.started", user=user, organization_id=organization.pk, price=lookup_key, currency=currency)
    return made


def open_session(attempt: CheckoutAttempt, user: User, back: str, done: str) -> str:
    """The address of Stripe's payment page for a wish; asked again, the same one for as long as it is open.

    Args:
        attempt: an open wish of the entered organization.
        user: whose address a new customer gets.
        back: where the page's back link leads.
        done: where it leads after the payment; may hold `{CHECKOUT_SESSION_ID}`.

    Raises:
        BillingError: Stripe did not answer (not permanent) or refused, or there is a subscription already.
    """
    live = sync(attempt.organization_id, "checkout")  # kept, whatever comes of the rest
    if live is not None and live.is_live:
        raise BillingError(_("Your organization has a subscription already: change it instead of buying another."))
    with transaction.atomic():
        one_at_a_time(attempt.organization_id)
        locked = Attempt.objects.select_related("organization").get(pk=attempt.pk, state=Attempt.State.OPEN)
        customer = ensure_customer(locked.organization, user)
        session = _session(locked, customer, back, done)
        if session.status != "open" or not session.url:
            raise BillingError(_("This payment page is closed: choose your plan once more."))
        locked.session_id = session.id
        locked.save(update_fields=["session_id"])
        return session.url


def ensure_customer(organization: Organization, user: User) -> Customer:
    """The organization's customer at Stripe, made where there is none; the same key makes the same one."""
    found = Customer.objects.filter(organization=organization).first()
    if found is not None:
        return found
    with speaking("customer"):
        made = client().v1.customers.create(
            {"email": user.email, "name": organization.name, "metadata": {"organization": organization.slug}},
            {"idempotency_key": f"candor-customer-{organization.slug}-{_digest(user.email, organization.name)}"},
        )
    row, _made = Customer.objects.get_or_create(organization=organization, defaults={"stripe_id": made.id})
    return row


def withdraw_closed(attempt: CheckoutAttempt) -> None:
    """Close a wish whose payment page is over, so that the next one begins anew."""
    Attempt.objects.filter(pk=attempt.pk, state=Attempt.State.OPEN).update(state=Attempt.State.CLOSED)


def _digest(*words: str) -> str:
    """A key's end that changes with what is sent: Stripe refuses a key that comes with other words."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _is_same(attempt: CheckoutAttempt, lookup_key: str, currency: str) -> bool:
    """Whether an open wish is for the same thing, and its payment page not about to expire."""
    is_fresh = wall_now() - attempt.created_at < SESSION_LASTS
    return is_fresh and (attempt.lookup_key, attempt.currency) == (lookup_key, currency)


def _check_offer(lookup_key: str, currency: str) -> None:
    catalogue = read_catalogue()
    catalogue.price(lookup_key)
    if currency not in catalogue.currencies:
        raise BillingError(_("Choose one of these currencies: %s.") % ", ".join(catalogue.currencies).upper())


def _check_currency(organization: Organization, currency: str) -> None:
    customer = Customer.objects.filter(organization=organization).first()
    if customer is not None and customer.currency not in {"", currency}:
        raise BillingError(
            _("Your organization pays in %s: its first purchase fixed that.") % customer.currency.upper()
        )


def _refuse_second(organization: Organization) -> None:
    row = Subscription.objects.filter(organization=organization).first()
    if row is not None and row.is_live:
        raise BillingError(_("Your organization has a subscription already: change it instead of buying another."))


def _give_up(attempt: CheckoutAttempt) -> None:
    """Close an older wish; its payment page first, so that nobody can pay on it any more."""
    if attempt.session_id:
        with speaking("expire session"):
            session = client().v1.checkout.sessions.retrieve(attempt.session_id)
            if session.status == "open":
                client().v1.checkout.sessions.expire(attempt.session_id)
            elif session.status == "complete":
                raise BillingError(_("A payment has just been made: wait until it is confirmed."), permanent=False)
    attempt.state = Attempt.State.CLOSED
    attempt.save(update_fields=["state"])


def _session(attempt: CheckoutAttempt, customer: Customer, back: str, done: str) -> stripe.checkout.Session:
    with speaking("checkout session"):
        if attempt.session_id:
            return client().v1.checkout.sessions.retrieve(attempt.session_id)
        price = read_catalogue().price(attempt.lookup_key)
        return client().v1.checkout.sessions.create(
            {
                "mode": "subscription",
                "customer": customer.stripe_id,
                "line_items": [{"price": price.id, "quantity": 1}],
                "currency": attempt.currency,
                "success_url": done,
                "cancel_url": back,
                "client_reference_id": str(attempt.key),
                "allow_promotion_codes": True,
                "tax_id_collection": {"enabled": True},
                "customer_update": {"name": "auto", "address": "auto"},
                "automatic_tax": {"enabled": settings.BILLING_AUTOMATIC_TAX},
                "payment_method_collection": "always",
                "subscription_data": _subscription_data(attempt),
            },
            {"idempotency_key": f"candor-checkout-{attempt.key}"},
        )


def _subscription_data(
    attempt: CheckoutAttempt,
) -> "stripe.params.checkout.SessionCreateParamsSubscriptionData":
    data: stripe.params.checkout.SessionCreateParamsSubscriptionData = {
        "metadata": {"organization": attempt.organization.slug}
    }
    if settings.BILLING_TRIAL_DAYS and not Subscription.objects.filter(organization=attempt.organization).exists():
        data["trial_period_days"] = settings.BILLING_TRIAL_DAYS  # one trial for each organization
    return data
