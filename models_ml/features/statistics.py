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
    rolling_sum,
    shifted,
    skew_and_kurtosis,
)
from models_ml.features.window import Feature, Formula, Window

LENGTH = 60


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
    """Correlation of 60 returns with those `lag` earlier, around 0 and scaled by their common root mean square."""
    return w.shared(f"memory {lag}", lambda: _correlation_at(w, lag))


def _correlation_at(w: Window, lag: int) -> FloatArray:
    earlier = shifted(w.returns, lag)
    squares = rolling_sum(w.returns * w.returns, LENGTH) + rolling_sum(earlier * earlier, LENGTH)
    return ratio(2 * rolling_sum(w.returns * earlier, LENGTH), squares)


def memory(lag: int) -> Formula:
    """Autocorrelation of returns at `lag`."""
    return lambda w: correlation_at(w, lag)


def partial_memory(w: Window) -> FloatArray:
    """Partial autocorrelation at lag 2, from those at 1 and 2 (Durbin 1960)."""
    first, second = correlation_at(w, 1), correlation_at(w, 2)
    square = first * first
    return np.clip(ratio(second - square, 1 - square), -1, 1)


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
    Feature("memory_5_60", "−1..1", "autocorrelation of returns at lag 5", 66, memory(5)),
    Feature("partial_memory_2_60", "−1..1", "Durbin: partial autocorrelation at lag 2", 63, partial_memory),
    Feature("variance_ratio_5_60", "ratio − 1", "Lo, MacKinlay: over 5 candles", 65, variance_ratio(5)),
    Feature("variance_ratio_15_60", "ratio − 1", "Lo, MacKinlay: over 15 candles", 75, variance_ratio(15)),
    Feature("roll_spread_60", "σ", "Roll: 2 √−autocovariance / σ 60", 62, roll_spread),
    Feature("ties_60", "share", "closes equal to the one before", 61, ties),
    Feature("persistence_30", "−1..1", "mean product of neighbouring signs", 32, persistence),
)
