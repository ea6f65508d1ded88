"""Changes of a live subscription: another plan or interval, the end, and the way back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import structlog
from django.core import signing
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.audit import record
from accounts.models import User
from billing.catalogue import Price, is_upgrade, money, read_catalogue
from billing.errors import BillingError
from billing.gateway import client, speaking
from billing.locking import one_at_a_time
from billing.models import Customer, Subscription
from billing.sync import sync
from lib.clock import epoch, wall_now

log = structlog.get_logger(__name__)

SALT = "billing.change"
QUOTE_LASTS = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a preview."""

    text: str
    amount: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What a change will cost, and the token that makes exactly this change."""

    price: Price
    currency: str
    charged_now: bool
    lines: tuple[Line, ...]
    due: str
    """What is charged (`charged_now`: at once, else with the next invoice)."""
    token: str

    @property
    def cost(self) -> str:
        """What the new price costs each interval."""
        return self.price.text(self.currency)


def quote(row: Subscription, lookup_key: str) -> Quote:
    """What changing to another price will cost if it is done within half an hour.

    Raises:
        BillingError: nothing changes, it is not sold in the subscription's currency, or Stripe did not answer.
    """
    price = _target(row, lookup_key)
    at = epoch(wall_now())
    with speaking("preview"):
        preview = client().v1.invoices.create_preview(
            {
                "customer": Customer.objects.get(organization_id=row.organization_id).stripe_id,
                "subscription": row.stripe_id,
                "subscription_details": {
                    "items": [{"id": row.item_id, "price": price.id}],
                    "proration_behavior": _behaviour(row, price),
                    "proration_date": at,
                },
            }
        )
    lines = tuple(
        Line(line.description or price.plan.title, money(line.amount, preview.currency)) for line in preview.lines.data
    )
    facts = {"subscription": row.stripe_id, "from": row.price_id, "to": lookup_key, "at": at}
    token = signing.dumps(facts, salt=SALT)
    due = money(preview.amount_due, preview.currency)
    return Quote(price, row.currency, _charges_now(row, price), lines, due, token)


def change(row: Subscription, token: str, by: User) -> Subscription:
    """Make the change that was previewed, prorated from the moment of the preview.

    A better plan is charged at once and refused with the card; a smaller one is credited to the next invoice.

    Raises:
        BillingError: the preview is old or of another state, the card was declined, or Stripe did not answer.
    """
    with transaction.atomic():
        one_at_a_time(row.organization_id)
        row.refresh_from_db()  # the click before may have changed it
        facts = _facts(row, token)
        price = _target(row, facts["to"])
        with speaking("change"):
            client().v1.subscriptions.update(
                row.stripe_id,
                {
                    "items": [{"id": row.item_id, "price": price.id}],
                    "proration_behavior": _behaviour(row, price),
                    "proration_date": facts["at"],
                    "payment_behavior": "error_if_incomplete",
                },
                {"idempotency_key": f"candor-change-{row.stripe_id}-{row.price_id}-{price.id}-{facts['at']}"},
            )
        record(
            "subscription.changed",
            user=by,
            organization_id=row.organization_id,
            before=row.plan,
            after=price.plan_key,
            price=price.lookup_key,
        )
        return _synced(row)


def set_ending(row: Subscription, by: User, *, ending: bool) -> Subscription:
    """Cancel at the end of the period, or take that back.

    Raises:
        BillingError: there is nothing to cancel or to resume, or Stripe did not answer.
    """
    if not row.is_live or row.cancel_at_period_end == ending:
        raise BillingError(_("There is nothing to cancel.") if ending else _("There is nothing to resume."))
    with transaction.atomic():
        one_at_a_time(row.organization_id)
        with speaking("cancel" if ending else "resume"):
            client().v1.subscriptions.update(row.stripe_id, {"cancel_at_period_end": ending})
        action = "subscription.canceled" if ending else "subscription.resumed"
        until = row.period_end.isoformat() if row.period_end else None
        record(action, user=by, organization_id=row.organization_id, plan=row.plan, until=until)
        return _synced(row)


def _target(row: Subscription, lookup_key: str) -> Price:
    price = read_catalogue().price(lookup_key)
    if row.status not in {"active", "trialing"}:
        raise BillingError(_("Settle the open payment first: then the plan can be changed."))
    if price.id == row.price_id:
        raise BillingError(_("This is the plan you have."))
    if row.currency not in price.amounts:
        raise BillingError(_("%s is not sold in your currency.") % price.plan.title)
    return price


def _charges_now(row: Subscription, price: Price) -> bool:
    """A better plan, and the same plan for a year, are charged at once; all else waits for the next invoice."""
    return is_upgrade(row.plan, price.plan_key) or (row.plan, row.interval, price.interval) == (
        price.plan_key,
        "month",
        "year",
    )


def _behaviour(row: Subscription, price: Price) -> Literal["always_invoice", "create_prorations"]:
    return "always_invoice" if _charges_now(row, price) else "create_prorations"


def _facts(row: Subscription, token: str) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = signing.loads(token, salt=SALT, max_age=QUOTE_LASTS)
    except signing.BadSignature:
        raise BillingError(_("This preview is too old: look at the present one.")) from None
    if (facts["subscription"], facts["from"]) != (row.stripe_id, row.price_id):
        raise BillingError(_("Your subscription has changed meanwhile: look at the present preview."))
    return facts


def _synced(row: Subscription) -> Subscription:
    """The row as Stripe has it now; the change is made, so a failure to read it back must not undo our record of it."""
    try:
        return sync(row.organization_id, "page") or row
    except BillingError as error:
        log.warning("subscription not read back", subscription=row.stripe_id, error=str(error))
        return row
