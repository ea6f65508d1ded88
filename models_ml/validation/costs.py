"""What directions would have earned: at a payout, and after costs a side."""

import numpy as np

from markets.values import FloatArray, IntArray

PAYOUT = 0.85
"""Won stake per stake; break-even is 1 / 1.85 = 54.1 %. A tie loses the stake, the harder of the two rules."""
COSTS_BPS = (0, 1, 2, 5)


def net_at_payout(side: IntArray, move: FloatArray, payout: float = PAYOUT) -> float | None:
    """Mean gain per stake of the rows with a side in −1, +1; None without any."""
    bet = side != 0
    if not bet.any():
        return None
    won = np.sign(move[bet]) == side[bet]
    return float(np.where(won, payout, -1.0).mean())


def net_bps(side: IntArray, move: FloatArray, cost_bps: float) -> float | None:
    """Mean gain in basis points of entering at the open and leaving at the close of each minute with a side.

    `move` (N,) are log returns from entry to exit; each bet pays the cost twice.
    """
    bet = side != 0
    if not bet.any():
        return None
    return float((side[bet] * move[bet]).mean() * 1e4 - 2 * cost_bps)


def turnover(side: IntArray, instrument: IntArray, times: IntArray) -> float | None:
    """Mean change of position a minute, in units of the position (2 is a full turn every minute); rows in any order."""
    if not len(side):
        return None
    order = np.lexsort((times, instrument))
    held, owner = side[order].astype(np.float64), instrument[order]
    change = np.abs(np.diff(held, prepend=0.0))
    first = np.diff(owner, prepend=owner[:1] - 1) != 0
    change[first] = np.abs(held[first])
    return float(change.mean())
