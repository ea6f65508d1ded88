"""Where every limit of a plan is enforced, and told before it bites.

Whoever is about to add, read or call something asks `check` (how many) or `require` (whether at all); pages show
`allowance`. Nothing else in the code compares a number with a plan's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.plans import PLANS, Plan
from lib.errors import CandorError

UPGRADE_URL: Final = "/billing/plans/"
NEAR: Final = 0.8
"""The share of a limit from which on pages warn."""


class Limit(StrEnum):
    """What is counted; the values are fields of `Plan`."""

    INSTRUMENTS = "instruments"
    SEATS = "seats"
    HISTORY_DAYS = "history_days"
    API_MINUTE = "api_minute"
    API_DAY = "api_day"
    DESTINATIONS = "destinations"
    STRATEGIES = "strategies"


class Feature(StrEnum):
    """What a plan has or has not; the first two values are fields of `Plan`, the others its channels."""

    API = "api"
    WEBHOOKS = "webhooks"
    EMAIL = "email"
    TELEGRAM = "telegram"
    WEBPUSH = "webpush"
    WEBHOOK = "webhook"


TITLES: Final = {
    Limit.INSTRUMENTS: gettext_lazy("instruments"),
    Limit.SEATS: gettext_lazy("seats"),
    Limit.HISTORY_DAYS: gettext_lazy("days of history"),
    Limit.API_MINUTE: gettext_lazy("API calls a minute"),
    Limit.API_DAY: gettext_lazy("API calls a day"),
    Limit.DESTINATIONS: gettext_lazy("destinations of alerts"),
    Limit.STRATEGIES: gettext_lazy("strategies"),
    Feature.API: gettext_lazy("API keys"),
    Feature.WEBHOOKS: gettext_lazy("webhooks"),
    Feature.EMAIL: gettext_lazy("alerts by email"),
    Feature.TELEGRAM: gettext_lazy("alerts by Telegram"),
    Feature.WEBPUSH: gettext_lazy("push alerts"),
    Feature.WEBHOOK: gettext_lazy("alerts to a webhook"),
}


class PlanLimit(CandorError):
    """Something a plan does not include; names what, how much of it, and the way to more.

    Args:
        limit: what was asked for.
        plan: whose plan it is not in.
        allowed: how many the plan includes; 0 where it has none of it.
    """

    def __init__(self, limit: Limit | Feature, plan: Plan, allowed: int) -> None:
        self.limit, self.plan, self.allowed = limit, plan, allowed
        self.better = next((other for other in PLANS.values() if _more(other, limit, plan)), None)
        self.upgrade_url = UPGRADE_URL
        super().__init__(f"{self._what()} {self._remedy()}")

    def _what(self) -> str:
        facts = {"plan": self.plan.title, "title": TITLES[self.limit], "allowed": self.allowed}
        if isinstance(self.limit, Feature):
            return _("The %(plan)s plan does not include %(title)s.") % facts
        return _("All %(allowed)d %(title)s of the %(plan)s plan are taken.") % facts

    def _remedy(self) -> str:
        if self.better is None:
            return _("Remove one first: no plan has more.")
        if not settings.STRIPE_SECRET_KEY:
            return _("Remove one first, or ask the operator of this installation for the %s plan.") % self.better.title
        return _("Remove one first, or take the %(plan)s plan: %(url)s") % {
            "plan": self.better.title,
            "url": UPGRADE_URL,
        }


@dataclass(frozen=True, slots=True)
class Allowance:
    """One line of the page that shows limits: how much is used of what."""

    limit: Limit
    used: int
    allowed: int | None

    @property
    def title(self) -> str:
        """What is counted, in words."""
        return str(TITLES[self.limit])

    @property
    def text(self) -> str:
        """How much is used: `2 of 5`, or only how much where there is no limit."""
        if self.allowed is None:
            return _("%d, without limit") % self.used
        return _("%(used)d of %(allowed)d") % {"used": self.used, "allowed": self.allowed}

    @property
    def is_full(self) -> bool:
        """One more would be refused."""
        return self.allowed is not None and self.used >= self.allowed

    @property
    def is_near(self) -> bool:
        """Not full yet, but a page says that it soon will be."""
        return self.allowed is not None and not self.is_full and self.used >= NEAR * self.allowed

    @property
    def state(self) -> str:
        """`full`, `near` or `free`, for the page's style and words."""
        return "full" if self.is_full else "near" if self.is_near else "free"


def allowed(plan: Plan, limit: Limit) -> int | None:
    """How many a plan includes; None for any number."""
    found: int | None = getattr(plan, limit.value)
    return found


def check(plan: Plan, limit: Limit, used: int, adding: int = 1) -> None:
    """Let `adding` more of something through where `used` are there.

    Raises:
        PlanLimit: the plan does not include that many.
    """
    most = allowed(plan, limit)
    if most is not None and used + adding > most:
        raise PlanLimit(limit, plan, most)


def has(plan: Plan, feature: Feature) -> bool:
    """Whether a plan includes a feature."""
    if feature in {Feature.API, Feature.WEBHOOKS}:
        return bool(getattr(plan, feature.value))
    return feature.value in plan.channels


def require(plan: Plan, feature: Feature) -> None:
    """Let a feature through.

    Raises:
        PlanLimit: the plan does not include it.
    """
    if not has(plan, feature):
        raise PlanLimit(feature, plan, 0)


def included(most: int | None, items: Sequence[int]) -> tuple[int, ...]:
    """The first of some items, as many as a plan includes: a smaller plan hides the rest and deletes nothing."""
    return tuple(items[:most])


def history_reach(plan: Plan) -> timedelta | None:
    """How far back the record is shown; None for all of it."""
    days = allowed(plan, Limit.HISTORY_DAYS)
    return None if days is None else timedelta(days=days)


def allowance(plan: Plan, limit: Limit, used: int) -> Allowance:
    """The line that shows a limit before it bites."""
    return Allowance(limit, used, allowed(plan, limit))


def _more(other: Plan, limit: Limit | Feature, than: Plan) -> bool:
    if isinstance(limit, Feature):
        return has(other, limit) and not has(than, limit)
    there, here = allowed(other, limit), allowed(than, limit)
    return here is not None and (there is None or there > here)
