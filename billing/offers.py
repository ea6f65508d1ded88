"""The table of plans: what each unlocks, what it costs, and what pressing its button does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.plans import FREE, PLANS, Plan
from billing.catalogue import INTERVALS, Catalogue, Price, is_upgrade
from billing.models import Customer, Subscription

CHANNELS = {"email": "email", "telegram": "Telegram", "webpush": "push", "webhook": "webhooks"}


@dataclass(frozen=True, slots=True)
class Offer:
    """One plan as it is offered.

    `act` is what its button does: `buy`, `change`, `cancel`, or "" where there is nothing to press.
    """

    plan: Plan
    price: Price | None
    cost: str
    is_current: bool
    act: str
    label: str
    points: list[str]


def choices(
    catalogue: Catalogue | None,
    plan: Plan,
    row: Subscription | None,
    customer: Customer | None,
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    """Offers, intervals and currencies of the plans page.

    Args:
        catalogue: None where Stripe does not answer: then plans are shown without prices and cannot be bought.
        plan: the organization's own.
        row: its subscription.
        customer: whose currency is fixed once something was bought.
        asked: the query, with `interval` and `currency`.
    """
    interval = asked.get("interval", row.interval if row and row.is_live else INTERVALS[0])
    interval = interval if interval in INTERVALS else INTERVALS[0]
    currencies = _currencies(catalogue, customer)
    currency = asked.get("currency", "")
    currency = currency if currency in currencies else next(iter(currencies), "")
    return {
        "offers": [_offer(catalogue, each, plan, row, interval, currency) for each in PLANS.values()],
        "interval": interval,
        "intervals": INTERVALS,
        "currency": currency,
        "currencies": currencies,
        "trial_days": trial_days(row),
    }


def trial_days(row: Subscription | None) -> int:
    """Days of trial that a purchase begins with: one trial for each organization."""
    return 0 if row is not None else settings.BILLING_TRIAL_DAYS


def points(plan: Plan) -> list[str]:
    """What a plan unlocks, line by line."""
    minutes = plan.delay_s // 60
    ways = ", ".join(word for key, word in CHANNELS.items() if key in plan.channels)
    return [
        _("Signals %d minutes late") % minutes if minutes else _("Signals at once"),
        _("%d instruments") % plan.instruments if plan.instruments else _("Every instrument"),
        _("%d days of history") % plan.history_days if plan.history_days else _("The whole history"),
        _("%d seats") % plan.seats,
        _("Alerts by %s") % ways,
        ngettext("%d destination of alerts", "%d destinations of alerts", plan.destinations) % plan.destinations,
        ngettext("%d strategy", "%d strategies", plan.strategies) % plan.strategies,
        _("%s API calls a day, with keys") % f"{plan.api_day:,}" if plan.api else _("No API keys"),
    ]


def _currencies(catalogue: Catalogue | None, customer: Customer | None) -> tuple[str, ...]:
    if catalogue is None:
        return ()
    return (customer.currency,) if customer and customer.currency else catalogue.currencies


def _offer(
    catalogue: Catalogue | None, plan: Plan, own: Plan, row: Subscription | None, interval: str, currency: str
) -> Offer:
    price = catalogue.of(plan, interval) if catalogue and plan is not FREE else None
    if price is not None and currency not in price.amounts:
        price = None
    cost = price.text(currency) if price else ""
    act, label = _act(plan, price, own, row)
    return Offer(plan, price, cost, plan is own, act, label, points(plan))


def _act(plan: Plan, price: Price | None, own: Plan, row: Subscription | None) -> tuple[str, str]:
    live = row is not None and row.is_live
    if plan is FREE:
        return (
            ("cancel", _("Cancel at the period's end")) if live and row and not row.cancel_at_period_end else ("", "")
        )
    if price is None or (live and row and row.price_id == price.id):
        return "", ""
    if not live:
        return "buy", _("Try %s") % plan.title if trial_days(row) else _("Buy %s") % plan.title
    if plan is own:
        return "change", _("Pay by the year") if price.interval == "year" else _("Pay by the month")
    word = _("Upgrade to %s") if is_upgrade(own.key, plan.key) else _("Downgrade to %s")
    return "change", word % plan.title
