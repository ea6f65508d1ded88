"""Entry, stop, target, expected move and tier of a signal."""

from dataclasses import dataclass
from math import pi, sqrt

from signals.confidence import Probability
from signals.risk import Context

REWARD_TO_RISK = 2.0
"""Target at least twice as far as the stop."""

MEAN_ABSOLUTE = sqrt(2 / pi)
"""E|x| of a standard normal: turns a standard deviation into an expected absolute move."""


@dataclass(frozen=True, slots=True)
class TierRules:
    """What the stated payout asks for.

    Attributes:
        payout: won stake per stake; break-even is 1 / (1 + payout).
        first, second: margins over break-even that the lower bound must reach for tiers 1 and 2.
        fee_bps: costs a side in basis points.
        actionable: the margin over break-even from which a signal may be acted upon.
    """

    payout: float = 0.85
    first: float = 0.03
    second: float = 0.01
    fee_bps: float = 1.0
    actionable: float = 0.01

    @property
    def break_even(self) -> float:
        """Hit rate at which the payout neither wins nor loses."""
        return 1 / (1 + self.payout)


@dataclass(frozen=True, slots=True)
class Levels:
    """Prices in quote currency; stop and target are None for fixed-payout instruments, which have neither."""

    entry: float
    stop: float | None
    target: float | None
    expected_move_bps: float | None


def levels_of(context: Context, direction: int, probability: Probability | None, rules: TierRules) -> Levels:
    """One ATR to the stop, two to the target, and the move to expect after costs."""
    move = None
    if probability is not None and probability.is_known:
        edge = 2 * probability.value - 1
        move = edge * context.volatility * MEAN_ABSOLUTE * 1e4 - 2 * rules.fee_bps
    if context.market_class == "binary":
        return Levels(context.close, None, None, move)
    stop = context.close - direction * context.atr
    target = context.close + direction * context.atr * REWARD_TO_RISK
    return Levels(context.close, stop, target, move)


def tier_of(probability: Probability | None, rules: TierRules) -> int:
    """1, 2 or 3 from the lower bound of the calibrated probability; never from the vote share."""
    low = probability.cautious if probability else 0.0
    if low >= rules.break_even + rules.first:
        return 1
    return 2 if low >= rules.break_even + rules.second else 3


def is_actionable(probability: Probability | None, rules: TierRules) -> bool:
    """Whether the lower bound of the calibrated probability is over break-even by the margin: worth acting upon."""
    return probability is not None and probability.cautious >= rules.break_even + rules.actionable
