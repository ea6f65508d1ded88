"""`decide()`: one instrument, one minute, from votes to what is said. Pure: live, replay and tests call the same."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from signals import confidence, consensus, levels, risk, sizing
from signals.confidence import Bin, Calibration, Chance, Probability
from signals.consensus import Consensus, PanelRule
from signals.levels import Levels, TierRules
from signals.risk import Context, RiskRules
from signals.sizing import Size, SizeRules

CONSERVATIVE_FROM = 0.9
"""Volatility percentile from which conservative mode asks for one more vote."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything fixed before the minute."""

    panel: PanelRule = consensus.NINE
    risk: RiskRules = field(default_factory=RiskRules)
    tiers: TierRules = field(default_factory=TierRules)
    sizes: SizeRules = field(default_factory=SizeRules)
    conservative: bool = False


@dataclass(frozen=True, slots=True)
class Ballot:
    """The answers of all seats for one instrument, in panel order."""

    probabilities: NDArray[np.float32]  # (seats, 3), NaN where abstained
    directions: NDArray[np.int8]  # (seats,)
    abstained: NDArray[np.int8]  # (seats,) AbstainReason, 0 where voted


@dataclass(frozen=True, slots=True)
class Stacked:
    """What the stack says of one instrument, and the past of its statements by bin."""

    chance: Chance
    validation: dict[int, Bin]


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
    actionable: bool = False
    size: Size | None = None

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
    stack: Stacked | None = None,
) -> Decision:
    """Rows 8 to 11 of a candle's life: consensus, calibration, risk filter, levels, tier and size.

    The quorum decides whether anything is said. What it is worth is the stack's to say where there is one, else the
    calibrated lean of the panel's.
    """
    conservative = rules.conservative and context.volatility_percentile >= CONSERVATIVE_FROM
    panel = rules.panel.stricter() if conservative else rules.panel
    counted = consensus.count(ballot.directions, ballot.abstained, panel)
    score = consensus.score(counted, context.pattern)
    probability = _probability(ballot, counted, panel, calibration, live, stack)
    parts = risk.parts_of(context)
    danger = risk.score_of(parts)
    vetoes = risk.vetoes_of(context, danger, rules.risk)
    state = _state(context, counted, vetoes)
    issued = state == "issued"
    at = levels.levels_of(context, counted.direction, probability, rules.tiers) if issued else None
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
        levels=at,
        tier=levels.tier_of(probability, rules.tiers) if issued else None,
        actionable=issued and levels.is_actionable(probability, rules.tiers),
        size=sizing.size_of(at, probability, rules.tiers, rules.sizes) if at else None,
    )


def _probability(
    ballot: Ballot,
    counted: Consensus,
    panel: PanelRule,
    calibration: Calibration | None,
    live: dict[int, Bin] | None,
    stack: Stacked | None,
) -> Probability | None:
    said = confidence.stated_by_stack(stack.chance, counted.direction, stack.validation, live) if stack else None
    if said is not None:
        return said
    lean = float(confidence.lean_of(ballot.probabilities[: panel.seats]))
    return confidence.stated(lean, counted.direction, calibration, live)


def _state(context: Context, counted: Consensus, vetoes: tuple[str, ...]) -> str:
    if context.tainted:
        return "tainted"
    if counted.direction == 0:
        return "silent"
    return "vetoed" if vetoes else "issued"
