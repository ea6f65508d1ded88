"""`decide()`: one instrument, one minute, from votes to what is said. Pure: live, replay and tests call the same."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from signals import confidence, consensus, levels, risk
from signals.confidence import Bin, Calibration, Probability
from signals.consensus import Consensus, PanelRule
from signals.levels import Levels, TierRules
from signals.risk import Context, RiskRules

CONSERVATIVE_FROM = 0.9
"""Volatility percentile from which conservative mode asks for one more vote."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything fixed before the minute."""

    panel: PanelRule = consensus.NINE
    risk: RiskRules = field(default_factory=RiskRules)
    tiers: TierRules = field(default_factory=TierRules)
    conservative: bool = False


@dataclass(frozen=True, slots=True)
class Ballot:
    """The answers of all seats for one instrument, in panel order."""

    probabilities: NDArray[np.float32]  # (seats, 3), NaN where abstained
    directions: NDArray[np.int8]  # (seats,)
    abstained: NDArray[np.int8]  # (seats,) AbstainReason, 0 where voted


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided and everything it rests on. Vote share, score and probability are three separate numbers."""

    state: str
    panel: PanelRule
    conservative: bool
    consensus: Consensus
    score: float
    probability: Probability | None
    risk_score: float
    risk_parts: dict[str, float]
    vetoes: tuple[str, ...]
    levels: Levels | None
    tier: int | None

    @property
    def direction(self) -> int:
        """The panel's direction, also where it was vetoed."""
        return self.consensus.direction


def decide(
    ballot: Ballot,
    context: Context,
    calibration: Calibration | None,
    rules: Rules,
    *,
    live: dict[int, Bin] | None = None,
) -> Decision:
    """Rows 8 to 11 of a candle's life: consensus, calibration, risk filter, levels and tier."""
    conservative = rules.conservative and context.volatility_percentile >= CONSERVATIVE_FROM
    panel = rules.panel.stricter() if conservative else rules.panel
    counted = consensus.count(ballot.directions, ballot.abstained, panel)
    score = consensus.score(counted, context.pattern)
    lean = float(confidence.lean_of(ballot.probabilities[: panel.seats]))
    probability = confidence.stated(lean, counted.direction, calibration, live)
    parts = risk.parts_of(context)
    danger = risk.score_of(parts)
    vetoes = risk.vetoes_of(context, danger, rules.risk)
    state = _state(context, counted, vetoes)
    issued = state == "issued"
    return Decision(
        state=state,
        panel=panel,
        conservative=conservative,
        consensus=counted,
        score=score,
        probability=probability,
        risk_score=danger,
        risk_parts=parts,
        vetoes=vetoes,
        levels=levels.levels_of(context, counted.direction, probability, rules.tiers) if issued else None,
        tier=levels.tier_of(probability, rules.tiers) if issued else None,
    )


def _state(context: Context, counted: Consensus, vetoes: tuple[str, ...]) -> str:
    if context.tainted:
        return "tainted"
    if counted.direction == 0:
        return "silent"
    return "vetoed" if vetoes else "issued"
