"""The second panel: five lenses and two language models, counted. It is shown beside the nine and decides nothing.

*Basic* where more than three of the five lenses agree, *strong* where more than four of the seven do. A language model
that abstained agrees with nobody; the panel stays seven. As many up as down are a tie, and a tie is no verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models_ml.votes import DOWN, UP

LENS_SEATS, ALL_SEATS = 5, 7
BASIC_OVER, STRONG_OVER = 3, 4
"""More than so many of five, of seven."""


@dataclass(frozen=True, slots=True)
class SecondPanel:
    """How the seven counted.

    Attributes:
        direction: the side that reached basic or strong, 0 where none did.
        up, down, neutral, abstained: the seven.
        lens_consensus: more than three of the five lenses agree.
        full_consensus: more than four of the seven agree.
        tie: as many up as down, and at least one of each.
        disagreement: 1 − the share of the larger side among the seats that took a side; 0 where none did.
    """

    direction: int
    up: int
    down: int
    neutral: int
    abstained: int
    lens_consensus: bool
    full_consensus: bool
    tie: bool
    disagreement: float

    @property
    def strength(self) -> str:
        """`strong`, `basic`, `tie` or `none`."""
        if self.full_consensus:
            return "strong"
        if self.lens_consensus:
            return "basic"
        return "tie" if self.tie else "none"


def count(lenses: Sequence[int], language: Sequence[int | None]) -> SecondPanel:
    """Count five directions of lenses and two of language models, None where one abstained.

    Raises:
        ValueError: not five lenses and two language models.
    """
    if len(lenses) != LENS_SEATS or len(lenses) + len(language) != ALL_SEATS:
        raise ValueError(f"{len(lenses)} lenses and {len(language)} language models: five and two are the panel")
    all_of_them = [*lenses, *language]
    up, down, neutral = (all_of_them.count(way) for way in (UP, DOWN, 0))
    most = UP if up > down else DOWN if down > up else 0
    lens_consensus = max(list(lenses).count(UP), list(lenses).count(DOWN)) > BASIC_OVER
    full_consensus = max(up, down) > STRONG_OVER
    return SecondPanel(
        direction=most if lens_consensus or full_consensus else 0,
        up=up,
        down=down,
        neutral=neutral,
        abstained=ALL_SEATS - up - down - neutral,
        lens_consensus=lens_consensus,
        full_consensus=full_consensus,
        tie=up == down > 0,
        disagreement=1 - max(up, down) / (up + down) if up + down else 0.0,
    )
