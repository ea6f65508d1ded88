"""The shape and memory of recent returns."""

import numpy as np

from markets.values import FloatArray
from models_ml.features.rolling import (
    change,
    gap,
    mean_and_std,
    padded,
    rank,
    ratio,
    rolling_mean,
    rolling_rms,
    rolling_sum,
    shifted,
    skew_and_kurtosis,
)
from models_ml.features.window import Feature, Formula, Window

LENGTH = 60
PARTIAL, FURTHEST = 5, 10
"""Lags of partial and of plain autocorrelation."""
HURST_SPANS, HURST_LENGTH = (1, 2, 4, 8, 16), 240


def score(length: int) -> Formula:
    """Log close, in standard deviations from its mean."""

    def of(w: Window) -> FloatArray:
        mean, std = mean_and_std(w.log_close, length)
        return ratio(gap(w.log_close, mean), std)

    return of


def close_rank(length: int) -> Formula:
    """Rank of the close among the closes before: −1 lowest, 1 highest."""
    return lambda w: rank(w.close, length)


def moments(w: Window) -> tuple[FloatArray, FloatArray]:
    """Skewness and excess kurtosis of 60 returns."""
    return w.shared("moments", lambda: skew_and_kurtosis(w.returns, LENGTH))


def skewness(w: Window) -> FloatArray:
    """Skewness of 60 returns."""
    return moments(w)[0]


def kurtosis(w: Window) -> FloatArray:
    """Excess kurtosis of 60 returns."""
    return moments(w)[1]


def sharpe(w: Window) -> FloatArray:
    """Mean / standard deviation of 60 returns, per candle."""
    mean, std = mean_and_std(w.returns, LENGTH)
    return ratio(mean, std)


def correlation_at(w: Window, lag: int) -> FloatArray:
    """Correlation of 60 returns with those `lag` earlier, around 0 and scaled by their common root mean square.

    At the wanted steps only.
    """
    root = w.root
    return root.shared(f"memory {lag}", lambda: _correlation_at(root, lag))


def _correlation_at(w: Window, lag: int) -> FloatArray:
    returns = w.tail(w.returns, LENGTH + lag)
    now = w.shared("squares", lambda: rolling_sum(w.tail(w.returns * w.returns, LENGTH + FURTHEST), LENGTH))
    both = rolling_sum(w.tail(returns * shifted(returns, lag), LENGTH), LENGTH)
    return ratio(2 * w.wanted(both), w.wanted(now + shifted(now, lag)))


def memory(lag: int) -> Formula:
    """Autocorrelation of returns at `lag`."""
    return lambda w: correlation_at(w, lag)


def partial_memories(w: Window) -> list[FloatArray]:
    """Partial autocorrelations at lags 1 to 5 by Durbin's recursion (1960), each in −1..1."""

    def make() -> list[FloatArray]:
        whole = {lag: correlation_at(w, lag) for lag in range(1, PARTIAL + 1)}
        found, weights, zero = [whole[1]], [whole[1]], np.zeros_like(whole[1])
        for lag in range(2, PARTIAL + 1):
            known = sum((part * whole[lag - n] for n, part in enumerate(weights, start=1)), zero)
            left = 1 - sum((part * whole[n] for n, part in enumerate(weights, start=1)), zero)
            last = np.clip(ratio(whole[lag] - known, left), -1, 1)
            weights = [*(part - last * other for part, other in zip(weights, weights[::-1], strict=True)), last]
            found.append(last)
        return found

    return w.root.shared("partial memories", make)


def partial_memory(lag: int) -> Formula:
    """Partial autocorrelation at `lag`."""
    return lambda w: partial_memories(w)[lag - 1]


def hurst(w: Window) -> FloatArray:
    """Hurst exponent of 240: slope of ln root mean square move on ln its span, spans of 1 to 16, capped to 0..1."""
    spans = np.log(HURST_SPANS)
    weights = (spans - spans.mean()) / ((spans - spans.mean()) ** 2).sum()
    sizes = [rolling_rms(w.tail(change(w.log_close, span), HURST_LENGTH), HURST_LENGTH) for span in HURST_SPANS]
    flat = sizes[0] == 0
    slope = sum((weight * np.log(size) for weight, size in zip(weights, sizes, strict=True)), np.zeros_like(sizes[0]))
    return np.where(flat, 0.5, np.clip(slope, 0, 1))


def variance_ratio(over: int) -> Formula:
    """Variance of returns over `over` candles / `over` times that of one (Lo, MacKinlay 1988) − 1: < 0 reverts."""

    def of(w: Window) -> FloatArray:
        long = change(w.log_close, over)
        joint = rolling_mean(long * long, LENGTH)
        return ratio(joint, over * rolling_mean(w.returns * w.returns, LENGTH)) - 1

    return of


def roll_spread(w: Window) -> FloatArray:
    """Roll's (1984) effective spread 2 √−cov(r, r before) / σ: 0 where the covariance is positive."""
    return 2 * np.sqrt(np.maximum(-correlation_at(w, 1), 0))


def ties(w: Window) -> FloatArray:
    """Share of 60 closes equal to the one before."""
    return rolling_mean(np.where(np.isnan(w.moves), np.nan, w.moves == 0), LENGTH)


def persistence(w: Window) -> FloatArray:
    """Mean product of the signs of neighbouring moves over 30: −1 always reverses, 1 always continues."""
    sign = np.sign(w.moves)
    return rolling_mean(padded(sign[..., 1:] * sign[..., :-1], sign.shape[-1]), 30)


FEATURES = (
    Feature("score_20", "σ", "z-score of ln close over 20", 20, score(20)),
    Feature("score_60", "σ", "z-score of ln close over 60", 60, score(60)),
    Feature("score_240", "σ", "z-score of ln close over 240", 240, score(240)),
    Feature("rank_20", "−1..1", "rank of the close among 20", 20, close_rank(20)),
    Feature("skewness_60", "1", "third standardised moment of returns", 61, skewness),
    Feature("kurtosis_60", "1", "fourth standardised moment of returns − 3", 61, kurtosis),
    Feature("sharpe_60", "1", "mean / std of returns", 61, sharpe),
    Feature("memory_1_60", "−1..1", "autocorrelation of returns at lag 1", 62, memory(1)),
    *(
        Feature(f"memory_{lag}_60", "−1..1", f"autocorrelation of returns at lag {lag}", 61 + lag, memory(lag))
        for lag in range(2, FURTHEST + 1)
    ),
    *(
        Feature(
            f"partial_memory_{lag}_60",
            "−1..1",
            f"Durbin: partial autocorrelation at lag {lag}",
            61 + lag,
            partial_memory(lag),
        )
        for lag in range(2, PARTIAL + 1)
    ),
    Feature("hurst_240", "0..1", "Hurst: slope of ln size of moves on ln span", HURST_LENGTH + 16, hurst),
    Feature("variance_ratio_5_60", "ratio − 1", "Lo, MacKinlay: over 5 candles", 65, variance_ratio(5)),
    Feature("variance_ratio_15_60", "ratio − 1", "Lo, MacKinlay: over 15 candles", 75, variance_ratio(15)),
    Feature("roll_spread_60", "σ", "Roll: 2 √−autocovariance / σ 60", 62, roll_spread),
    Feature("ties_60", "share", "closes equal to the one before", 61, ties),
    Feature("persistence_30", "−1..1", "mean product of neighbouring signs", 32, persistence),
)
