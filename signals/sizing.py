"""How much to risk on a signal: a quarter of Kelly's fraction of the cautious probability, never over 2 %. Pure.

Kelly (1956): with probability p of winning b per stake, f = (p·(1 + b) − 1) / b. It is exact only for the true p, so p
is the lower bound of the calibrated probability, and a quarter of f is taken: that costs little growth and most of the
risk of ruin. Without an edge that survives that caution the size is 0.

A fixed payout stakes f and wins `payout`. Where there is a stop, f is the share of capital lost at the stop; what is
won is counted as no more than that, less the costs of both sides, and the position is never more than the capital: a
stop a few ticks away would otherwise ask for leverage.
"""

from dataclasses import dataclass

from signals.confidence import Probability
from signals.levels import Levels, TierRules

MOST = 0.02
"""Share of capital that no signal may risk more of."""


@dataclass(frozen=True, slots=True)
class SizeRules:
    """`fraction` of Kelly that is suggested."""

    fraction: float = 0.25


@dataclass(frozen=True, slots=True)
class Size:
    """`risk` is the share of capital to be lost at worst, 0 for none; `position` that to be bought or sold."""

    risk: float
    position: float
    note: str  # one sentence


def kelly(probability: float, odds: float) -> float:
    """Kelly's fraction of a bet that wins `odds` per stake; 0 without an edge."""
    return max((probability * (1 + odds) - 1) / odds, 0.0) if odds > 0 else 0.0


def size_of(levels: Levels, probability: Probability | None, tiers: TierRules, rules: SizeRules) -> Size:
    """What to risk on an issued signal."""
    if probability is None or not probability.is_known:
        return Size(0.0, 0.0, "No size: there is no probability yet that could carry one.")
    distance = _stop_distance(levels)
    odds = tiers.payout if distance is None else _odds_at(distance, tiers.fee_bps)
    cautious = probability.cautious
    risk = min(rules.fraction * kelly(cautious, odds), MOST)
    if not risk:
        return Size(0.0, 0.0, f"No size: at the cautious {cautious:.1%} this loses money in the long run.")
    if distance is None:
        lost = f"even at {cautious:.1%} right, {1 - cautious:.1%} of such stakes are lost whole"
        return Size(risk, risk, f"Stake at most {risk:.2%} of your capital: {lost}.")
    position = min(risk / distance, 1.0)
    risk = min(position * distance, risk)
    note = f"Risk at most {risk:.2%} of your capital up to the stop: a position of {position:.0%} of it."
    return Size(risk, position, note)


def _stop_distance(levels: Levels) -> float | None:
    """Share of the entry price that is lost at the stop; None for a fixed payout."""
    if levels.stop is None or levels.entry <= 0:
        return None
    return abs(levels.entry - levels.stop) / levels.entry or None


def _odds_at(distance: float, fee_bps: float) -> float:
    """What is won per what is lost, both the stop's distance, after costs on the way in and out."""
    costs = 2 * fee_bps / 1e4
    return (distance - costs) / (distance + costs)
