"""What each plan includes, as data. Who pays, and how, is not known here; `accounts.limits` enforces it."""

from dataclasses import dataclass
from typing import Final

from accounts.errors import PlanError


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One plan's limits. None means without limit."""

    key: str
    title: str
    delay_s: int
    """Seconds of market time before a round or signal may be seen."""
    instruments: int | None
    """How many instruments an organization may follow."""
    seats: int
    """Members and open invitations together."""
    history_days: int | None
    """How far back the record can be searched and exported."""
    api_minute: int
    """REST calls that an organization may make within a minute."""
    api_day: int
    """REST calls that an organization may make within a day."""
    destinations: int
    """Places that alerts may be sent to."""
    strategies: int
    """Strategies an organization may keep."""
    channels: frozenset[str]
    """Ways an alert may leave."""
    api: bool
    """Whether API keys may be made; what the pages show may be read by everybody."""
    webhooks: bool


FREE: Final = Plan(
    key="free",
    title="Free",
    delay_s=900,
    instruments=3,
    seats=2,
    history_days=30,
    api_minute=60,
    api_day=5_000,
    destinations=1,
    strategies=1,
    channels=frozenset({"email"}),
    api=False,
    webhooks=False,
)
PRO: Final = Plan(
    key="pro",
    title="Pro",
    delay_s=0,
    instruments=25,
    seats=5,
    history_days=365,
    api_minute=300,
    api_day=50_000,
    destinations=10,
    strategies=10,
    channels=frozenset({"email", "telegram", "webpush"}),
    api=True,
    webhooks=False,
)
DESK: Final = Plan(
    key="desk",
    title="Desk",
    delay_s=0,
    instruments=None,
    seats=50,
    history_days=None,
    api_minute=1_200,
    api_day=500_000,
    destinations=100,
    strategies=100,
    channels=frozenset({"email", "telegram", "webpush", "webhook"}),
    api=True,
    webhooks=True,
)

PLANS: Final[dict[str, Plan]] = {plan.key: plan for plan in (FREE, PRO, DESK)}
"""Every plan by its key, the cheapest first."""


def plan_of(key: str) -> Plan:
    """The plan of a key; an unknown one is an error, never silently the free or the best plan."""
    try:
        return PLANS[key]
    except KeyError:
        raise PlanError(f"plan {key!r} is unknown: use one of {', '.join(PLANS)}") from None
