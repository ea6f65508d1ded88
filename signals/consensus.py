"""Six of nine, or nothing is said."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_ml.votes import DOWN, NEUTRAL, UP

PATTERN_BONUS = 0.1
"""What a confirming candlestick pattern adds to the score (never to the vote share or the probability)."""


@dataclass(frozen=True, slots=True)
class PanelRule:
    """The panel in force: fixed before the minute, stored on the round, never dependent on who abstained.

    Attributes:
        seats: 9, or 7 where LLM voters are not part of the panel.
        quorum: votes that must agree: 6 of 9, or 5 of 7. More than half, so that two sides never both reach it.
    """

    seats: int
    quorum: int

    def __post_init__(self) -> None:
        if not self.seats < 2 * self.quorum:
            raise ValueError(f"a quorum of {self.quorum} of {self.seats} is no majority: ask for more than half")

    def stricter(self) -> "PanelRule":
        """Conservative mode: one more vote must agree (7 of 9, 6 of 7)."""
        return PanelRule(self.seats, self.quorum + 1)


NINE = PanelRule(seats=9, quorum=6)
SEVEN = PanelRule(seats=7, quorum=5)


@dataclass(frozen=True, slots=True)
class Consensus:
    """How the panel counted. `share` is agreeing votes over seats; `direction` is 0 where the quorum was not met."""

    direction: int
    up: int
    down: int
    neutral: int
    share: float


def count(directions: NDArray[np.int8], abstained: NDArray[np.int8], rule: PanelRule) -> Consensus:
    """Count the votes of the seats in force.

    Args:
        directions: (seats,) −1, 0 or 1 of each seat; ignored where the seat abstained.
        abstained: (seats,) AbstainReason number, 0 where the seat voted.
        rule: the panel in force; seats beyond it are not counted.
    """
    voted = abstained[: rule.seats] == 0
    cast = directions[: rule.seats][voted]
    up, down, neutral = (int((cast == side).sum()) for side in (UP, DOWN, NEUTRAL))
    direction = UP if up >= rule.quorum else DOWN if down >= rule.quorum else NEUTRAL
    return Consensus(direction, up, down, neutral, max(up, down) / rule.seats)


def score(consensus: Consensus, pattern: int) -> float:
    """The vote share plus the bonus of a pattern that points the same way, capped at 1."""
    confirmed = consensus.direction != NEUTRAL and pattern == consensus.direction
    return min(consensus.share + (PATTERN_BONUS if confirmed else 0.0), 1.0)
