"""What may veto a signal, and the risk score with its parts."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from markets.values import TaintFlag

EXTREME_PERCENTILE = 0.99
"""Volatility above this share of its own past day is extreme: sign forecasts were never validated there."""

HARMLESS = TaintFlag.REPAIRED
"""A repaired candle is the venue's own and whole; the flag is stored on the round and shown, and vetoes nothing."""

WEIGHTS = {"volatility": 0.4, "range": 0.2, "quality": 0.2, "age": 0.2}
"""Parts of the risk score; they sum to 1, volatility counts most because size of loss follows it."""

LOW_BELOW, HIGH_FROM = 0.35, 0.6
RANGE_FULL = 4.0
"""A last candle this many ATRs high counts as full risk."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the round knows beside the votes.

    Attributes:
        close: last close, quote currency. atr: average true range (14), price units.
        volatility: standard deviation of 1-minute log returns over the last hour.
        volatility_percentile: where that stands among its last day, 0..1.
        range_atr: high − low of the last candle in ATRs.
        pattern: direction that a candlestick pattern confirms, 0 for none.
        taint: TaintFlag bits of the window.
        quality_hour, quality_day: share of due candles on time and untainted; None where nothing was due.
        model_age: age of the oldest voting model over its limit, 0..1 and above.
        to_event, since_event: minutes to the next and since the last event of high impact that concerns the
            instrument; NaN where no calendar says.
    """

    close: float
    atr: float
    volatility: float
    volatility_percentile: float
    range_atr: float
    pattern: int
    taint: TaintFlag
    quality_hour: float | None
    quality_day: float | None
    model_age: float
    market_class: str = "crypto"
    to_event: float = math.nan
    since_event: float = math.nan

    @property
    def tainted(self) -> bool:
        """True when the window holds anything but sound, timely candles."""
        return bool(self.taint & ~HARMLESS)


@dataclass(frozen=True, slots=True)
class RiskRules:
    """Limits an operator may set."""

    ceiling: float = 0.7
    quality_hour_floor: float = 0.95
    quality_day_floor: float = 0.99
    news_before: float = 15.0  # minutes; 0 is no window
    news_after: float = 15.0


def parts_of(context: Context) -> dict[str, float]:
    """The four parts of the risk score, each 0 (calm) to 1 (worst); an unknown is the worst."""
    quality = 1.0 if context.quality_hour is None else context.quality_hour
    raw = {
        "volatility": context.volatility_percentile,
        "range": context.range_atr / RANGE_FULL,
        "quality": 1.0 if context.tainted else (1.0 - quality) * 10,  # 90 % of due candles is already the worst
        "age": context.model_age,
    }
    return {name: float(np.clip(value, 0, 1)) if np.isfinite(value) else 1.0 for name, value in raw.items()}


def score_of(parts: dict[str, float]) -> float:
    """Weighted mean of the parts, 0..1."""
    return sum(WEIGHTS[name] * part for name, part in parts.items())


def label_of(score: float) -> str:
    """LOW, MEDIUM or HIGH."""
    if score < LOW_BELOW:
        return "LOW"
    return "MEDIUM" if score < HIGH_FROM else "HIGH"


Check = Callable[[Context, float, RiskRules], bool]


def _too_risky(context: Context, score: float, rules: RiskRules) -> bool:
    return score > rules.ceiling


def _extreme(context: Context, score: float, rules: RiskRules) -> bool:
    return not context.volatility_percentile < EXTREME_PERCENTILE  # an unknown (NaN) is extreme too


def _tainted(context: Context, score: float, rules: RiskRules) -> bool:
    return context.tainted


def _old_models(context: Context, score: float, rules: RiskRules) -> bool:
    return context.model_age >= 1.0


def _poor_quality(context: Context, score: float, rules: RiskRules) -> bool:
    hour, day = context.quality_hour, context.quality_day
    return (hour is not None and hour < rules.quality_hour_floor) or (day is not None and day < rules.quality_day_floor)


def _news(context: Context, score: float, rules: RiskRules) -> bool:
    """Within the window of an event; a calendar that nobody keeps vetoes nothing."""
    return 0 <= context.to_event < rules.news_before or 0 <= context.since_event < rules.news_after


RISK_CHECKS: dict[str, Check] = {
    "risk_score": _too_risky,
    "extreme_volatility": _extreme,
    "tainted_data": _tainted,
    "model_age": _old_models,
    "data_quality": _poor_quality,
    "news_window": _news,
}
"""Name of the veto → when it applies. All that apply are recorded, not only the first."""


def vetoes_of(context: Context, score: float, rules: RiskRules) -> tuple[str, ...]:
    """The names of all vetoes that apply."""
    return tuple(name for name, applies in RISK_CHECKS.items() if applies(context, score, rules))
