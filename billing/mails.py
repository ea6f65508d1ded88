"""Mails about money, to the owners and admins of the organization that is entered; they leave after the commit."""

from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from accounts.models import MANAGING_ROLES, Membership, Organization
from accounts.plans import plan_of
from billing.models import Subscription
from billing.state import Entitlement
from lib.transactions import on_commit


def payment_failed(organization: Organization, row: Subscription, due: Entitlement) -> None:
    """A charge was declined; says until when the plan stays."""
    _mail(organization, row, due, "payment_failed", _("Candor: a payment failed"))


def grace_ending(organization: Organization, row: Subscription, due: Entitlement) -> None:
    """The plan ends soon, because a payment is still missing."""
    _mail(organization, row, due, "grace_ending", _("Candor: your plan ends soon"))


def subscription_ended(organization: Organization, row: Subscription, due: Entitlement) -> None:
    """The organization is on Free now; nothing was deleted."""
    _mail(organization, row, due, "ended", _("Candor: your plan has ended"))


def _mail(organization: Organization, row: Subscription, due: Entitlement, name: str, subject: str) -> None:
    managers = Membership.objects.filter(role__in=MANAGING_ROLES, user__is_active=True)
    context = {"organization": organization, "plan": plan_of(row.plan), "until": due.until}
    text = render_to_string(f"billing/email/{name}.txt", context)
    for address in managers.order_by("pk").values_list("user__email", flat=True):
        _send_later(EmailMessage(subject, text, to=[address]))


def _send_later(message: EmailMessage) -> None:
    on_commit(message.send)
