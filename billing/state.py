"""What a subscription entitles to, and until when. Pure: facts and a time in, a plan and a phase out.

The statuses are Stripe's (https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses); one that is
not known here entitles to nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from accounts.plans import FREE


class Phase(StrEnum):
    """Where in its life a subscription is."""

    NONE = "none"
    TRIAL = "trial"
    ACTIVE = "active"
    ENDING = "ending"
    """Paid or on trial, but cancelled: keeps the plan until its end."""
    GRACE = "grace"
    """A payment failed; the plan stays for some days."""
    LAPSED = "lapsed"
    """A payment failed and the grace is over."""
    INCOMPLETE = "incomplete"
    PAUSED = "paused"
    UNPAID = "unpaid"
    ENDED = "ended"
    UNKNOWN = "unknown"


ENTITLED = frozenset({Phase.TRIAL, Phase.ACTIVE, Phase.ENDING, Phase.GRACE})
"""Phases that keep the plan."""

LIVE_STATUSES = frozenset({"trialing", "active", "past_due", "unpaid", "paused", "incomplete"})
"""Statuses of a subscription that may still be charged: nobody buys a second one beside it."""

_OVER = {
    "incomplete": Phase.INCOMPLETE,
    "incomplete_expired": Phase.ENDED,
    "unpaid": Phase.UNPAID,
    "paused": Phase.PAUSED,
    "canceled": Phase.ENDED,
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What Stripe says of a subscription, reduced to what decides.

    `plan` is the key of the plan its price belongs to. Times are aware; None where Stripe has none. `past_due_since`
    is when the oldest invoice that is still open was made.
    """

    status: str
    plan: str
    period_end: datetime | None = None
    cancel_at_period_end: bool = False
    trial_end: datetime | None = None
    past_due_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The plan that is due, the phase, and when either changes by time alone (None: not by time)."""

    plan: str
    phase: Phase
    until: datetime | None = None


def entitlement(facts: Facts | None, now: datetime, grace: timedelta) -> Entitlement:
    """What a subscription entitles to at `now`.

    Args:
        facts: None for an organization that never had one.
        now: wall-clock time.
        grace: how long a failed payment leaves the plan as it is; at its very end the plan is gone.
    """
    if facts is None:
        return Entitlement(FREE.key, Phase.NONE)
    if facts.status in _OVER:
        return Entitlement(FREE.key, _OVER[facts.status])
    if facts.status not in {"trialing", "active", "past_due"}:
        return Entitlement(FREE.key, Phase.UNKNOWN)
    if _is_over(facts, now):
        return Entitlement(FREE.key, Phase.ENDED)
    if facts.status == "past_due":
        return _past_due(facts, now, grace)
    if facts.cancel_at_period_end:
        return Entitlement(facts.plan, Phase.ENDING, facts.period_end)
    if facts.status == "trialing":
        return Entitlement(facts.plan, Phase.TRIAL, facts.trial_end)
    return Entitlement(facts.plan, Phase.ACTIVE, facts.period_end)


def _is_over(facts: Facts, now: datetime) -> bool:
    """Cancelled, and its end has come, whether or not Stripe has told us yet."""
    return facts.cancel_at_period_end and facts.period_end is not None and now >= facts.period_end


def _past_due(facts: Facts, now: datetime, grace: timedelta) -> Entitlement:
    if facts.past_due_since is None or now >= facts.past_due_since + grace:
        return Entitlement(FREE.key, Phase.LAPSED)
    ends = facts.past_due_since + grace
    if facts.cancel_at_period_end and facts.period_end is not None:
        ends = min(ends, facts.period_end)
    return Entitlement(facts.plan, Phase.GRACE, ends)
