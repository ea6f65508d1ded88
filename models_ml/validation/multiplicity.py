"""What a best result is worth when many were tried.

Hansen's test of superior predictive ability and the stepwise multiple test are arch's; the rest is a few lines each.
"""

from collections.abc import Mapping
from itertools import combinations
from math import e, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray

EULER_GAMMA = 0.5772156649015329
BLOCK_DAYS = 2
"""Mean length of the bootstrap's blocks of days."""
LEAST_DAYS = 4


def superior(benchmark: FloatArray, losses: Mapping[str, FloatArray], *, seed: int = 0, draws: int = 1000) -> float:
    """Hansen's consistent p value (2005) that no model has a lower expected loss than the benchmark.

    Args:
        benchmark: (D,) loss of each day.
        losses: model → (D,).
        seed: of the bootstrap.
        draws: of the bootstrap.
    """
    from arch.bootstrap import SPA  # seconds to import, and only evaluations need it

    test = SPA(benchmark, np.column_stack(list(losses.values())), block_size=BLOCK_DAYS, reps=draws, seed=seed)
    test.compute()
    return float(test.pvalues["consistent"])


def better_ones(
    benchmark: FloatArray, losses: Mapping[str, FloatArray], *, level: float = 0.05, seed: int = 0, draws: int = 1000
) -> list[str]:
    """The models that beat the benchmark with a family-wise error of `level` (Romano and Wolf's StepM, 2005)."""
    from arch.bootstrap import StepM

    names = list(losses)
    table = np.column_stack([losses[name] for name in names])
    test = StepM(benchmark, table, size=level, block_size=BLOCK_DAYS, reps=draws, seed=seed)
    test.compute()
    chosen = set(test.superior_models)
    return [name for place, name in enumerate(names) if place in chosen]


def deflated_sharpe(returns: FloatArray, trial_sharpes: FloatArray) -> float | None:
    """Probability that the true Sharpe ratio is above what the best of the trials would show by luck.

    Bailey and López de Prado, The Deflated Sharpe Ratio (2014). `returns` (T,) are those of the chosen configuration,
    `trial_sharpes` (N,) the ratios, per period, of all that were tried, the chosen one among them. None without spread.
    """
    spread = returns.std(ddof=1) if len(returns) > LEAST_DAYS else 0.0
    if spread < 1e-15:
        return None
    z = (returns - returns.mean()) / returns.std()
    ratio, skew, kurtosis = float(returns.mean() / spread), float((z**3).mean()), float((z**4).mean())
    error = sqrt(max(1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2, 1e-12) / (len(returns) - 1))
    return NormalDist().cdf((ratio - lucky_sharpe(trial_sharpes)) / error)


def lucky_sharpe(trial_sharpes: FloatArray) -> float:
    """Expected largest Sharpe ratio of as many trials without any skill, given how much they differ."""
    trials = len(trial_sharpes)
    if trials < 2:
        return 0.0
    normal = NormalDist()
    best = (1 - EULER_GAMMA) * normal.inv_cdf(1 - 1 / trials) + EULER_GAMMA * normal.inv_cdf(1 - 1 / (trials * e))
    return float(trial_sharpes.std(ddof=1) * best)


def overfitting(performance: FloatArray, blocks: int = 16) -> float | None:
    """Probability that the configuration best in one half of the blocks is below the median in the other.

    Combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado, Zhu 2017) over `performance` (T, N),
    higher is better; None with fewer than two configurations, or fewer periods than blocks.
    """
    periods, configurations = performance.shape
    if configurations < 2 or periods < blocks:
        return None
    means = np.stack([part.mean(axis=0) for part in np.array_split(performance, blocks)])
    below = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.zeros(blocks, dtype=bool)
        inside[list(chosen)] = True
        best = int(np.argmax(means[inside].mean(axis=0)))
        outside = means[~inside].mean(axis=0)
        rank = ((outside < outside[best]).sum() + 0.5 * ((outside == outside[best]).sum() + 1)) / (configurations + 1)
        below.append(rank <= 0.5)
    return float(np.mean(below))


def at_least(hits: IntArray, n: IntArray, rate: FloatArray) -> FloatArray:
    """P(X ≥ hits) for X binomial(n, rate), exactly, (N,); 1 where nothing was tried."""
    from scipy.special import bdtrc  # a worker's library

    tail = np.where(hits <= 0, 1.0, bdtrc(np.maximum(hits - 1, 0), np.maximum(n, 1), rate))
    return np.where(n > 0, tail, 1.0)


def q_values(p: FloatArray, tried: int) -> FloatArray:
    """Adjusted values q (N,) of the p values (N,) among `tried` trials; those that are not listed count as p = 1.

    Rejecting q ≤ a keeps the expected share of false discoveries at a (Benjamini, Hochberg: JRSS B 57, 1995).

    Raises:
        ValueError: fewer trials than p values.
    """
    if tried < len(p):
        raise ValueError(f"{len(p)} p values of {tried} trials: count every candidate that was tried")
    order = np.argsort(p, kind="stable")
    raised = p[order] * tried / (1 + np.arange(len(p)))
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return q


def benjamini_hochberg(p: FloatArray, level: float = 0.05) -> NDArray[np.bool_]:
    """Which hypotheses (N,) are rejected with a false discovery rate of `level`; NaN is never, and is no trial."""
    known = np.isfinite(p)
    out = np.zeros(len(p), dtype=bool)
    out[known] = q_values(p[known], int(known.sum())) <= level
    return out
