"""Who may be asked now: calls a minute, the provider's own wish to be left alone, its health, and the day's budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from models_ml.votes import AbstainReason

WINDOW_S = 60
BREAK_AFTER = 5
"""Failures in a row after which a provider is left alone."""
REST_S = 45
"""Seconds of rest after the last of them; then one call tries (half open). Short of a minute, so that the next
minute may be the one that tries."""
FAILURES = frozenset({AbstainReason.FAILED, AbstainReason.DEADLINE, AbstainReason.RATE_LIMITED})
"""Answers that say something about the provider's health; a bad answer is an answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator allows: calls a minute and provider, money and tokens a day for both; 0 is no such cap."""

    per_minute: int
    daily_cost: float
    daily_tokens: int

    @property
    def capped(self) -> bool:
        """Whether any cap of the day is set: without one nothing is asked."""
        return self.daily_cost > 0 or self.daily_tokens > 0


@dataclass(frozen=True, slots=True)
class Need:
    """The most that one call can use up. `cost` is None where no prices are known."""

    tokens: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a provider stands. Times are epoch seconds.

    `recent` are its calls of the last minute; `tokens` and `cost` are those of the day over both providers, calls
    without an answer at the most they can use up; `probing` says that a call since the last failure is still out.
    """

    recent: int = 0
    tokens: int = 0
    cost: float = 0.0
    failures: int = 0
    failed_at: float = 0.0
    probing: bool = False
    retry_at: float = 0.0


def admit(needs: Sequence[Need], standing: Standing, limits: Limits, now: float) -> list[AbstainReason | None]:
    """For each wished call None where it may be made now, else why not. First come, first served."""
    if standing.retry_at > now:
        return [AbstainReason.RATE_LIMITED] * len(needs)
    room, refusal = max(limits.per_minute - standing.recent, 0), AbstainReason.RATE_LIMITED
    if standing.failures >= BREAK_AFTER:
        resting = standing.probing or now - standing.failed_at < REST_S
        room, refusal = 0 if resting else min(room, 1), AbstainReason.RESTING
    tokens, cost, answers = standing.tokens, standing.cost, list[AbstainReason | None]()
    for need in needs:
        if not _affordable(need, tokens, cost, limits):
            answers.append(AbstainReason.OVER_BUDGET)
        elif room < 1:
            answers.append(refusal)
        else:
            room, tokens, cost = room - 1, tokens + need.tokens, cost + (need.cost or 0.0)
            answers.append(None)
    return answers


def _affordable(need: Need, tokens: int, cost: float, limits: Limits) -> bool:
    if not limits.capped or (limits.daily_tokens and tokens + need.tokens > limits.daily_tokens):
        return False
    if not limits.daily_cost:
        return True
    return need.cost is not None and cost + need.cost <= limits.daily_cost
