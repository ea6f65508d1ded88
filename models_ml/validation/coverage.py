"""Speak in a stated share of the minutes: thresholds that follow the confidences themselves.

A threshold frozen on an older slice misses its coverage as soon as the market is calmer or wilder. These are quantiles
of the confidences of the latest days, set anew every hour from what was said before it, and a coverage that was missed
so far is made up for within a day (after Gibbs and Candès, Adaptive conformal inference, 2021). No outcome is needed,
so nothing is looked ahead.
"""

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray

HOUR_S = 3600
WINDOW_S = 3 * 24 * HOUR_S
"""Whole days, so that the hours of the day weigh as they do in the day to come."""
DAY_S = 24 * HOUR_S
MOST_PULL = 2.0
"""The share that is asked for stays within this factor of the share that is wanted."""
LEAST = 200
"""Confidences under which the latest ones are taken, however old."""


def adaptive_thresholds(
    confidence: FloatArray,
    times: IntArray,
    coverage: float,
    *,
    before: tuple[FloatArray, IntArray] | None = None,
    window_s: int = WINDOW_S,
    step_s: int = HOUR_S,
) -> FloatArray:
    """The threshold in force at each row (N,): NaN while nothing was said before it.

    Args:
        confidence: (N,), NaN where there is none.
        times: (N,) epoch seconds of the decisions, in any order.
        coverage: share of the rows that should reach it.
        before: confidences and times of an earlier slice to start from.
        window_s: how far back the quantile looks.
        step_s: how often it is set anew.
    """
    earlier = before or (np.empty(0), np.empty(0, dtype=np.int64))
    known = np.isfinite(confidence)
    said = np.concatenate([earlier[0], confidence[known]])
    when = np.concatenate([earlier[1], times[known]])
    order = np.argsort(when, kind="stable")
    said, when = said[order], when[order]
    steps, place = np.unique(times // step_s, return_inverse=True)
    levels = np.full(len(steps), np.nan)
    owed = 0.0  # rows that should have reached their threshold so far, less those that did
    for number, start in enumerate(steps * step_s):
        last = int(np.searchsorted(when, start))
        first = min(int(np.searchsorted(when, start - window_s)), max(last - LEAST, 0))
        if last > first:
            day = last - int(np.searchsorted(when, start - DAY_S))
            share = np.clip(coverage + owed / max(day, LEAST), coverage / MOST_PULL, coverage * MOST_PULL)
            levels[number] = np.quantile(said[first:last], 1 - min(share, 1.0))
            now = said[last : np.searchsorted(when, start + step_s)]
            owed += coverage * len(now) - np.count_nonzero(now >= levels[number])
    return np.asarray(levels[place])


def surest(
    confidence: FloatArray, times: IntArray, coverage: float, *, before: tuple[FloatArray, IntArray] | None = None
) -> NDArray[np.bool_]:
    """The rows (N,) that reach the threshold in force."""
    with np.errstate(invalid="ignore"):
        return np.asarray(confidence >= adaptive_thresholds(confidence, times, coverage, before=before))
