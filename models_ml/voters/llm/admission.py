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

    `recent` are the times of its calls of the last minute, and of those that wait for their place in the next.
    `tokens` and `cost` are those of the day over both providers, calls without an answer at the most they can use up;
    `probing` says that a call since the last failure is still out.
    """

    recent: tuple[float, ...] = ()
    tokens: int = 0
    cost: float = 0.0
    failures: int = 0
    failed_at: float = 0.0
    probing: bool = False
    retry_at: float = 0.0


def admit(
    needs: Sequence[Need], standing: Standing, limits: Limits, now: float, patience_s: float = 0.0
) -> list[float | AbstainReason]:
    """For each wished call the time at which it may be made, else why not. First come, first served.

    Minutes come every 60 seconds and a little more or less, so a call whose place in the last 60 seconds is not free
    yet may wait for it, at most `patience_s`.
    """
    if standing.retry_at > now:
        return [AbstainReason.RATE_LIMITED] * len(needs)
    broken = standing.failures >= BREAK_AFTER
    resting = broken and (standing.probing or now - standing.failed_at < REST_S)
    times, made = sorted(standing.recent), list[Need]()
    answers: list[float | AbstainReason] = []
    for need in needs:
        start = _place(times, limits.per_minute, now)
        if not _affordable([*made, need], standing, limits):
            answers.append(AbstainReason.OVER_BUDGET)
        elif resting or (broken and made):
            answers.append(AbstainReason.RESTING)
        elif start is None or start > now + patience_s:
            answers.append(AbstainReason.RATE_LIMITED)
        else:
            times.append(start)
            made.append(need)
            answers.append(start)
    return answers


def _place(times: Sequence[float], per_minute: int, now: float) -> float | None:
    """The first time at which one more call leaves no 60 seconds with more than `per_minute`, after all others."""
    if per_minute < 1:
        return None
    free = times[-per_minute] + WINDOW_S if len(times) >= per_minute else now
    return max(now, free, *times[-1:])


def _affordable(needs: Sequence[Need], standing: Standing, limits: Limits) -> bool:
    """Whether all of `needs` fit into what is left of the day."""
    tokens = standing.tokens + sum(need.tokens for need in needs)
    if not limits.capped or (limits.daily_tokens and tokens > limits.daily_tokens):
        return False
    costs = [need.cost for need in needs]
    spent = standing.cost + sum(cost or 0.0 for cost in costs)
    return not limits.daily_cost or (None not in costs and spent <= limits.daily_cost)
