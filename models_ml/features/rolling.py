"""Rolling forms along the last axis whose value depends on their own window and on nothing before it.

A window of n values is folded from blocks of 1, 2, 4, ... values: log2(n) passes instead of a running total. A running
total carries the rounding and the NaN of everything it ever saw; a folded block gives the same bits from any start, so
the start test holds exactly and a gap spoils only the windows that contain it.

Every function takes values (..., T) and returns (..., T), NaN where the window is not full or holds a NaN.
"""

import math
from collections.abc import Callable

import numpy as np

from markets.values import FloatArray

TRUNCATION = 1e-6
"""Weight that an exponential mean may leave out: its error is at most this share of the range of its values."""

TAPS_STEP = 32
"""Exponential means are cut after a multiple of this: fewer, fuller blocks to fold."""

ROUNDING = 1e-12
"""Two numbers closer than this share of their size are equal: the rest is rounding, far below any tick."""

FEW = 4
"""Up to this many windows are folded one by one: a live row needs one, and not those of every step before it."""

State = tuple[FloatArray, ...]
Merge = Callable[[State, State, int, int], State]


def fold(leaf: State, length: int, merge: Merge) -> State:
    """Merge every run of `length` neighbours.

    Args:
        leaf: arrays (..., T) that describe blocks of one value.
        length: values in a window, ≥ 1.
        merge: `(older, newer, older size, newer size) -> state` of the joined block.
    """
    steps = leaf[0].shape[-1]
    if length > steps:
        return tuple(np.full_like(part, np.nan) for part in leaf)
    if steps - length < FEW:
        return tuple(padded(part, steps) for part in _fold_few(leaf, length, merge))
    block, size = leaf, 1
    whole: State = ()
    covered = 0
    while True:
        if length & size:
            whole = _join(block, whole, size, covered, merge) if whole else block
            covered += size
        if size * 2 > length:
            break
        block = _join(block, block, size, size, merge)
        size *= 2
    return tuple(padded(part, steps) for part in whole)


def _fold_few(leaf: State, length: int, merge: Merge) -> State:
    """The same tree of merges, hence the same bits, over each window by itself: (..., T − length + 1)."""
    count = leaf[0].shape[-1] - length + 1
    block = tuple(_windows(part, length, count) for part in leaf)
    size, covered = 1, 0
    whole: State = ()
    while True:
        if length & size:
            last = tuple(part[..., -1] for part in block)
            block = tuple(part[..., :-1] for part in block)
            whole = merge(last, whole, size, covered) if whole else last
            covered += size
        if size * 2 > length:
            return whole
        older, newer = tuple(part[..., ::2] for part in block), tuple(part[..., 1::2] for part in block)
        block = merge(older, newer, size, size)
        size *= 2


def _windows(values: FloatArray, length: int, count: int) -> FloatArray:
    """The first `count` windows of `length` (..., count, length), one alone without a copy."""
    if count == 1:
        return values[..., None, :]
    return np.stack([values[..., n : n + length] for n in range(count)], axis=-2)


def _join(older: State, newer: State, older_size: int, newer_size: int, merge: Merge) -> State:
    """Joined blocks by their first value: the newer one starts `older_size` later."""
    later = tuple(part[..., older_size:] for part in newer)
    count = later[0].shape[-1]
    return merge(tuple(part[..., :count] for part in older), later, older_size, newer_size)


def padded(values: FloatArray, steps: int) -> FloatArray:
    """`values` (..., n) moved to the end of (..., steps), NaN before."""
    missing = steps - values.shape[-1]
    if not missing:
        return values
    out = np.empty((*values.shape[:-1], steps))
    out[..., :missing] = np.nan
    out[..., missing:] = values
    return out


def shifted(values: FloatArray, by: int) -> FloatArray:
    """The value `by` steps ago."""
    return padded(values[..., : max(values.shape[-1] - by, 0)], values.shape[-1])


def change(values: FloatArray, over: int = 1) -> FloatArray:
    """Value minus the value `over` steps ago."""
    return padded(values[..., over:] - values[..., :-over], values.shape[-1])


def rolling_sum(values: FloatArray, length: int) -> FloatArray:
    """Sum of the last `length` values."""
    return fold((values,), length, lambda old, new, _o, _n: (old[0] + new[0],))[0]


def rolling_mean(values: FloatArray, length: int) -> FloatArray:
    """Mean of the last `length` values (SMA)."""
    return rolling_sum(values, length) / length


def rolling_max(values: FloatArray, length: int) -> FloatArray:
    """Largest of the last `length` values."""
    return fold((values,), length, lambda old, new, _o, _n: (np.maximum(old[0], new[0]),))[0]


def rolling_min(values: FloatArray, length: int) -> FloatArray:
    """Smallest of the last `length` values."""
    return fold((values,), length, lambda old, new, _o, _n: (np.minimum(old[0], new[0]),))[0]


def rolling_rms(values: FloatArray, length: int) -> FloatArray:
    """Root mean square of the last `length` values."""
    return np.sqrt(rolling_mean(values * values, length))


def steps_since_max(values: FloatArray, length: int) -> FloatArray:
    """Steps since the largest of the last `length` values; the latest of equals counts."""
    steps = np.arange(values.shape[-1], dtype=np.float64)
    place = fold((values, np.broadcast_to(steps, values.shape)), length, _latest_largest)[1]
    return steps - place


def _latest_largest(old: State, new: State, _older: int, _newer: int) -> State:
    later = ~(old[0] > new[0])
    return np.where(later, new[0], old[0]), np.where(later, new[1], old[1])


def latest(values: FloatArray, length: int) -> FloatArray:
    """The newest of the last `length` values that is not 0; 0 where all are."""
    return fold((values,), length, _newest)[0]


def _newest(old: State, new: State, _older: int, _newer: int) -> State:
    return (np.where(new[0] != 0, new[0], old[0]),)


def latest_three(values: FloatArray, length: int) -> State:
    """The three newest of the last `length` values that are not 0, newest first; 0 where there are fewer."""
    zero = np.zeros_like(values)
    return fold((values, zero, zero), length, _newest_three)


def _newest_three(old: State, new: State, _older: int, _newer: int) -> State:
    one, two, three = (part != 0 for part in new)
    second = np.where(one, old[0], old[1])
    third = np.where(two, old[0], np.where(one, old[1], old[2]))
    return np.where(one, new[0], old[0]), np.where(two, new[1], second), np.where(three, new[2], third)


def decayed_mean(values: FloatArray, decay: float, taps: int) -> FloatArray:
    """Mean of the last `taps` values with weights decay^age that sum to 1."""

    def merge(old: State, new: State, _older: int, newer: int) -> State:
        return (old[0] * decay**newer + new[0],)

    return fold((values,), taps, merge)[0] * ((1 - decay) / (1 - decay**taps))


def taps_of(decay: float) -> int:
    """Values after which the weight left out is at most `TRUNCATION`, rounded up to `TAPS_STEP`."""
    return math.ceil(math.log(TRUNCATION) / math.log(decay) / TAPS_STEP) * TAPS_STEP


def ema_taps(span: int) -> int:
    """Finite look-back of `ema`."""
    return taps_of(1 - 2 / (span + 1))


def ema(values: FloatArray, span: int) -> FloatArray:
    """Exponential mean with alpha = 2 / (span + 1), cut after `ema_taps(span)` values."""
    return decayed_mean(values, 1 - 2 / (span + 1), ema_taps(span))


def wilder_taps(length: int) -> int:
    """Finite look-back of `wilder`."""
    return taps_of(1 - 1 / length)


def wilder(values: FloatArray, length: int) -> FloatArray:
    """Wilder's smoothing (1978): exponential mean with alpha = 1 / length, cut after `wilder_taps(length)` values."""
    return decayed_mean(values, 1 - 1 / length, wilder_taps(length))


def mean_and_std(values: FloatArray, length: int) -> tuple[FloatArray, FloatArray]:
    """Mean and population standard deviation of the last `length` values.

    Blocks are merged by Chan, Golub and LeVeque (1979): no cancellation, and exactly 0 where all values are equal.
    """
    mean, squares = fold((values, np.zeros_like(values)), length, _merge_squares)
    return mean, np.sqrt(squares / length)


def _merge_squares(old: State, new: State, older: int, newer: int) -> State:
    total = older + newer
    apart = new[0] - old[0]
    mean = old[0] + apart * (newer / total)
    return mean, old[1] + new[1] + apart * apart * (older * newer / total)


def skew_and_kurtosis(values: FloatArray, length: int) -> tuple[FloatArray, FloatArray]:
    """Skewness and excess kurtosis of the last `length` values, 0 where they do not vary.

    Central moments merged block by block (Pébay 2008, SAND2008-6212, equations 2.1 to 2.3).
    """
    zero = np.zeros_like(values)
    _, second, third, fourth = fold((values, zero, zero, zero), length, _merge_moments)
    skew = ratio(third * math.sqrt(length), second * np.sqrt(second))
    flat = second == 0
    return skew, np.where(flat, 0.0, ratio(fourth * length, second * second) - 3)


def _merge_moments(old: State, new: State, older: int, newer: int) -> State:
    total = older + newer
    apart = new[0] - old[0]
    square = apart * apart
    cross = older * newer / total
    mean = old[0] + apart * (newer / total)
    second = old[1] + new[1] + square * cross
    lean = (older * new[1] - newer * old[1]) / total
    third = old[2] + new[2] + square * apart * (cross * (older - newer) / total) + 3 * apart * lean
    spread = cross * (older * older - older * newer + newer * newer) / total**2
    fourth = old[3] + new[3] + square * square * spread
    fourth += 6 * square * ((older**2 * new[1] + newer**2 * old[1]) / total**2)
    fourth += 4 * apart * ((older * new[2] - newer * old[2]) / total)
    return mean, second, third, fourth


def correlation(first: FloatArray, second: FloatArray, length: int) -> FloatArray:
    """Pearson correlation over the last `length` values, 0 where one of them does not vary."""
    zero = np.zeros_like(first)
    _, _, one, two, both = fold((first, second, zero, zero, zero), length, _merge_products)
    spread = np.sqrt(one) * np.sqrt(two)
    return np.where(spread == 0, both * 0, np.clip(both / spread, -1, 1))


def _merge_products(old: State, new: State, older: int, newer: int) -> State:
    total = older + newer
    share, cross = newer / total, older * newer / total
    first, second = new[0] - old[0], new[1] - old[1]
    return (
        old[0] + first * share,
        old[1] + second * share,
        old[2] + new[2] + first * first * cross,
        old[3] + new[3] + second * second * cross,
        old[4] + new[4] + first * second * cross,
    )


def line_fit(values: FloatArray, length: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, slope per step and coefficient of determination of the least-squares line through `length` values."""

    def merge(old: State, new: State, older: int, newer: int) -> State:
        mean, squares = _merge_squares(old[:2], new[:2], older, newer)
        # The centres of the two blocks lie (older + newer) / 2 steps apart.
        product = old[2] + new[2] + (new[0] - old[0]) * (older * newer / 2)
        return mean, squares, product

    zero = np.zeros_like(values)
    mean, squares, product = fold((values, zero, zero), length, merge)
    time_squares = length * (length * length - 1) / 12
    fit = ratio(product * product, squares * time_squares)
    return mean, product / time_squares, np.minimum(fit, 1)


def linear_mean(values: FloatArray, length: int) -> FloatArray:
    """Mean with weights 1..length, the latest value heaviest (WMA)."""

    def merge(old: State, new: State, older: int, _newer: int) -> State:
        return old[0] + new[0], old[1] + new[1] + older * new[0]

    return fold((values, values), length, merge)[1] / (length * (length + 1) / 2)


def mean_deviation(values: FloatArray, length: int) -> FloatArray:
    """Mean absolute distance of the last `length` values from their own mean."""
    steps = values.shape[-1]
    mean = mean_and_std(values, length)[0][..., length - 1 :]
    total = np.zeros_like(mean)
    for start in range(length):
        total += np.abs(values[..., start : start + mean.shape[-1]] - mean)
    return padded(total / length, steps)


def rank(values: FloatArray, length: int) -> FloatArray:
    """Share of the `length` − 1 values before that lie below the latest, minus the share above: −1..1."""
    latest = values[..., length - 1 :]
    total = np.zeros_like(latest)
    for start in range(length - 1):
        total += np.sign(latest - values[..., start : start + latest.shape[-1]])
    return padded(total / (length - 1), values.shape[-1])


def ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Part / whole, 0 where both are 0 (nothing moved); not finite, hence unknown, where only `whole` is 0."""
    out = part / whole
    np.copyto(out, 0.0, where=(part == 0) & (whole == 0))
    return out


def gap(value: FloatArray, anchor: FloatArray) -> FloatArray:
    """Value − anchor, exactly 0 where they differ by rounding only."""
    out = value - anchor
    np.copyto(out, 0.0, where=np.abs(out) <= ROUNDING * np.abs(value))
    return out
