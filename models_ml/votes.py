"""What a voter may answer."""

from dataclasses import dataclass
from enum import IntEnum

DOWN, NEUTRAL, UP = -1, 0, 1
"""Directions of a vote; columns 0, 1, 2 of a probability row are down, neutral, up."""


class AbstainReason(IntEnum):
    """Why a voter did not vote. Stored as a number on the round: never renumber."""

    UNTRAINED = 1
    NO_KEY = 2
    NO_BOOK = 3
    TOO_OLD = 4
    DEADLINE = 5
    FAILED = 6
    BAD_INPUT = 7
    CORRUPT = 8
    MUTED = 9
    RATE_LIMITED = 10
    OVER_BUDGET = 11
    BAD_ANSWER = 12
    INVENTED_NUMBER = 13
    REFUSED = 14
    RESTING = 15

    @property
    def word(self) -> str:
        """The word that pages, API and status use."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Vote:
    """One voter's raw opinion on one instrument and minute: three probabilities that sum to 1."""

    down: float
    neutral: float
    up: float
    direction: int
    latency_ms: float
    model_id: int


@dataclass(frozen=True, slots=True)
class Abstention:
    """One voter's silence, with its reason."""

    reason: AbstainReason
    latency_ms: float = 0.0


def direction_of(down: float, neutral: float, up: float, threshold: float) -> int:
    """The direction a vote counts for.

    Neutral when the tie is the likeliest outcome or |p_up − p_down| stays under the voter's own threshold, which was
    chosen on its validation slice.
    """
    if neutral > max(down, up) or abs(up - down) < threshold:
        return NEUTRAL
    return UP if up > down else DOWN
