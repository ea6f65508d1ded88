"""The analytical lens: how far price stands from its mean, and whether this market keeps or undoes such a distance.

Whether moves persist is asked three ways: the autocorrelation of returns, Hurst's exponent and the variance ratio.
Where two of the three agree, a distance of more than one standard deviation is continued or undone accordingly.
"""

from models_ml.lenses.base import Facts, Figures, Sight, neutral, side, signed

FAR = 1.0
"""Standard deviations of the last hour from which a distance is worth a verdict."""
WILD = 2.5
"""Volatility of the hour over that of four hours from which statistics of the calm say nothing."""

MEMORY, HURST, VARIANCE = 0.1, 0.05, 0.15
"""How far autocorrelation, Hurst's exponent − ½ and the variance ratio − 1 must be from zero to count."""


def look(facts: Facts) -> Sight:
    """Mean reversion or continuation of the distance to the hour's mean."""
    row = facts.row
    if "score_60" not in row or "memory_1_60" not in row:
        return neutral("Too few candles are known to measure an hour.")
    score, memory = row["score_60"], row["memory_1_60"]
    ratio = row.get("deviation_ratio_60_240", 1.0)
    if ratio >= WILD:
        return neutral(f"Volatility is {ratio:.1f} times that of the last four hours, too wild for its statistics.")
    where = f"Price stands {signed(score)} σ from the hour's mean"
    if abs(score) < FAR:
        return neutral(f"{where}, under {FAR:.0f} σ.")
    keeps = _persistence(facts)
    if keeps == 0:
        return neutral(f"{where}, and moves neither persist nor revert (lag 1: {signed(memory, 2)}).")
    manner = "persist" if keeps > 0 else "revert"
    return Sight(
        keeps * side(score), f"{where} while moves tend to {manner} (lag 1: {signed(memory, 2)}{_hurst(row)})."
    )


def _persistence(facts: Facts) -> int:
    """1 where two of three measures say that moves go on, −1 where two say that they are undone."""
    row = facts.row
    votes = (
        side(row.get("memory_1_60", 0.0), MEMORY)
        + side(row.get("hurst_240", 0.5) - 0.5, HURST)
        + side(row.get("variance_ratio_5_60", 0.0), VARIANCE)
    )
    return side(votes, 1)


def _hurst(row: Figures) -> str:
    known = row.get("hurst_240")
    return "" if known is None else f", Hurst {known:.2f}"
