"""Time-ordered splits with purge and embargo.

A row is placed by its decision instant (epoch seconds of the candle's close). Its outcome is known one horizon later,
so the last rows before a later part are purged: else their labels overlap the first decisions of that part.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from lib.errors import CandorError
from markets.values import IntArray

HORIZON_S = 60
LAG_S = 60
"""Time a decision and its candle may take to arrive, rounded up to a bar."""
PURGE_S = HORIZON_S + LAG_S


class BadSplit(CandorError):
    """A split that would leak, or that leaves a part empty."""


def time_ordered(
    times: IntArray, shares: tuple[float, ...] = (0.6, 0.2, 0.2), *, purge_s: int = PURGE_S
) -> tuple[IntArray, ...]:
    """Row numbers of consecutive parts of the time span, oldest first.

    Args:
        times: (N,) decision instants in any order; rows of one instant stay together.
        shares: fractions of the distinct instants, sum 1.
        purge_s: seconds before each later part whose rows are left out.
    """
    _check(purge_s)
    if abs(sum(shares) - 1) > 1e-9 or min(shares) <= 0:
        raise BadSplit(f"shares {shares} must be positive and sum to 1")
    instants = np.unique(times)
    if len(instants) < len(shares):
        raise BadSplit(f"{len(instants)} distinct minutes cannot be split into {len(shares)} parts: load more candles")
    cuts = [instants[min(round(float(edge) * len(instants)), len(instants) - 1)] for edge in np.cumsum(shares)[:-1]]
    starts = [instants[0], *cuts]
    ends = [*(cut - purge_s for cut in cuts), instants[-1] + 1]
    parts = tuple(np.flatnonzero((times >= start) & (times < end)) for start, end in zip(starts, ends, strict=True))
    if not all(len(part) for part in parts):
        raise BadSplit("a part of the split is empty after the purge: load more candles")
    return parts


def walk_forward(
    times: IntArray, folds: int, *, purge_s: int = PURGE_S, first: float = 0.5
) -> Iterator[tuple[IntArray, IntArray]]:
    """Expanding windows: learn from everything before a block, test on the block; (train, test) row numbers.

    `first` is the share of the distinct instants in the first training part; the rest makes `folds` test blocks.
    """
    _check(purge_s)
    instants = np.unique(times)
    edges = np.linspace(first * len(instants), len(instants), folds + 1).round().astype(np.int64)
    if folds < 1 or edges[0] < 1 or (np.diff(edges) < 1).any():
        raise BadSplit(f"{len(instants)} distinct minutes are too few for {folds} folds: load more candles")
    bounds = np.append(instants, instants[-1] + 1)
    for start, stop in zip(bounds[edges[:-1]], bounds[edges[1:]], strict=True):
        yield np.flatnonzero(times < start - purge_s), np.flatnonzero((times >= start) & (times < stop))


def combinatorial(
    times: IntArray, groups: int = 10, held: int = 2, *, embargo_s: int, purge_s: int = PURGE_S
) -> Iterator[tuple[IntArray, IntArray]]:
    """Combinatorial purged splits: every choice of `held` of `groups` blocks is once the test; (train, test) rows.

    Training rows are dropped within `purge_s` before a test block and within `embargo_s` after it; the embargo must
    reach as far as the longest look-back, because features just after a test block are made of it.
    (López de Prado, Advances in Financial Machine Learning, 2018, chapters 7 and 12.)
    """
    _check(purge_s)
    instants = np.unique(times)
    if len(instants) < groups or not 0 < held < groups:
        raise BadSplit(f"{len(instants)} distinct minutes cannot make {groups} groups with {held} held out")
    edges = np.linspace(0, len(instants), groups + 1).round().astype(np.int64)
    bounds = np.append(instants, instants[-1] + 1)[edges]
    for chosen in combinations(range(groups), held):
        test = np.zeros(len(times), dtype=bool)
        near = np.zeros(len(times), dtype=bool)
        for block in chosen:
            start, stop = bounds[block], bounds[block + 1]
            test |= (times >= start) & (times < stop)
            near |= (times >= start - purge_s) & (times < stop + embargo_s)
        yield np.flatnonzero(~near), np.flatnonzero(test)


def _check(purge_s: int) -> None:
    if purge_s < PURGE_S:
        raise BadSplit(f"a purge of {purge_s} s is shorter than horizon and lag ({PURGE_S} s): labels would leak")
