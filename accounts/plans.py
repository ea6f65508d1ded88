"""What each plan includes, as data. Who pays, and how, is not known here."""

from dataclasses import dataclass

from accounts.errors import PlanError


@dataclass(frozen=True, slots=True)
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
    channels: frozenset[str]
    """Ways an alert may leave."""
    api: bool
    webhooks: bool


FREE = Plan("free", "Free", 900, 3, 2, 30, frozenset({"email"}), api=False, webhooks=False)
PRO = Plan("pro", "Pro", 0, 25, 5, 365, frozenset({"email", "telegram", "webpush"}), api=True, webhooks=False)
DESK = Plan(
    "desk", "Desk", 0, None, 50, None, frozenset({"email", "telegram", "webpush", "webhook"}), api=True, webhooks=True
)

PLANS: dict[str, Plan] = {plan.key: plan for plan in (FREE, PRO, DESK)}


def plan_of(key: str) -> Plan:
    """The plan of a key; an unknown one is an error, never silently the free or the best plan."""
    try:
        return PLANS[key]
    except KeyError:
        raise PlanError(f"plan {key!r} is unknown: use one of {', '.join(PLANS)}") from None
