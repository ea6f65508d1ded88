"""What agents did on data that their judged copies had not seen, as sentences with the baseline in each. Pure."""

from collections.abc import Callable
from typing import Any

from models_ml.agents.sizing_rl import SizingPolicy
from signals.sizing_words import difference_of
from signals.wording import MINUS, percent

Metrics = dict[str, Any]
VARIANCE_MINUTES = (15, 60)
BAND_MINUTES = (1, 15, 60)


def figures_of(agent: str, metrics: Metrics) -> list[str]:
    """Sentences, none where nothing was measured; figures that are absent or unknown are passed over."""
    return FIGURES[agent](metrics)


def _volatility(metrics: Metrics) -> list[str]:
    """QLIKE against taking the last day's variance again."""
    return [
        f"{minutes} minutes ahead: error (QLIKE) {metrics[f'qlike_{minutes}']:.3f}, of the last day's variance"
        f" {metrics[f'day_qlike_{minutes}']:.3f}, {_n(metrics[f'n_{minutes}'])}"
        for minutes in VARIANCE_MINUTES
        if metrics.get(f"qlike_{minutes}") is not None
    ]


def _moves(metrics: Metrics) -> list[str]:
    """Share inside the band against the share that it promises."""
    return [
        f"{minutes} min: {percent(metrics[f'coverage_{minutes}'], 1)} of {metrics[f'n_{minutes}']:,} moves inside a"
        " band made for 80\N{NO-BREAK SPACE}%"
        for minutes in BAND_MINUTES
        if metrics.get(f"coverage_{minutes}") is not None
    ]


def _regime(metrics: Metrics) -> list[str]:
    """QLIKE saved against the forecast without it."""
    if metrics.get("gain") is None:
        return []
    gain, *bounds = (_signed(metrics[name], 4) for name in ("gain", "low", "high") if metrics[name] is not None)
    interval = f" (95 %: {bounds[0]} to {bounds[1]})" if len(bounds) == len(("low", "high")) else ""
    return [f"Error (QLIKE) that the forecast saves by knowing the regime: {gain}{interval}, 0 without it"]


def _stack(metrics: Metrics) -> list[str]:
    """Brier skill against the base rate, hit rate against the commoner side."""
    later = metrics.get("later") or {}
    if not later.get("n") or later.get("accuracy") is None:
        return []
    said = f"{percent(later['accuracy'], 1)} of {later['n']:,} sides right"
    if later.get("up_share") is not None:
        said += f", the commoner side {percent(max(later['up_share'], 1 - later['up_share']), 1)}"
    skill = later.get("brier_skill")
    return [said] if skill is None else [said, f"Brier skill {_signed(skill, 4)}, 0 is the base rate"]


def _sizing(metrics: Metrics) -> list[str]:
    """Log growth against volatility-targeted Kelly."""
    if metrics.get("difference") is None:
        return []
    return [f"{difference_of(metrics)} against volatility-targeted Kelly, {_n(metrics['n'])}"]


def _sentiment(facts: Metrics) -> list[str]:
    if facts.get("accuracy") is None:
        return []
    return [
        f"{percent(facts['accuracy'], 1)} accuracy and {percent(facts['macro_f1'], 1)} macro-F1 on sentences it had not"
        " learned from; no baseline is stored"
    ]


def _n(count: int) -> str:
    return f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{count:,}"


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", MINUS)


FIGURES: dict[str, Callable[[Metrics], list[str]]] = {
    "volatility": _volatility,
    "moves": _moves,
    "regime": _regime,
    "meta": _stack,
    "sentiment": _sentiment,
    SizingPolicy.key: _sizing,
}
"""Agent → how its stored figures are told."""
