"""Fit every agent of candles to one history, what they have in common once. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from models_ml.agents.base import Agent, History, TooLittleHistory
from models_ml.agents.moves import ExpectedMove, held
from models_ml.agents.regime import Regime
from models_ml.agents.volatility_forecast import HORIZONS, Unseen, VolatilityForecast

MOST_MINUTES = 2_600_000
"""Minutes of all instruments together that are learned from, the newest: about 2 GB while it lasts, and half a year of
ten instruments."""
KEYS = (VolatilityForecast.key, ExpectedMove.key, Regime.key)

Figures = dict[str, Any]


class NothingLearned(TooLittleHistory):
    """A forecast that did no better on later minutes than saying the last day's variance again."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Agents by key, what each was found to do on later minutes than its judged copy learned from, and who is silent.

    `silent` tells why an agent has learned nothing.
    """

    agents: dict[str, Agent] = field(default_factory=dict)
    figures: dict[str, Figures] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)


def learn(history: History, *, seed: int = 0) -> Learned:
    """Volatility, moves and regime of a market class.

    All of them rest on the forecast: without enough history to judge it, or where it is no use, all are silent. The
    other two are also silent each for want of its own.
    """
    found = Learned()
    part = _newest(history)
    forecast = VolatilityForecast()
    try:
        unseen = Unseen.of(part)
        figures = _useful(unseen.figures())
        forecast.fit(part)
    except TooLittleHistory as error:
        found.silent.update(dict.fromkeys(KEYS, str(error)))
        return found
    found.agents[forecast.key], found.figures[forecast.key] = forecast, figures

    def moves() -> tuple[Agent, Figures]:
        agent = ExpectedMove(forecast)  # fitted above: the band rests on the same forecast
        agent.learn(unseen)
        return agent, held(unseen)

    def regime() -> tuple[Agent, Figures]:
        agent = Regime()
        agent.learn(unseen, seed=seed)
        gain, low, high = agent.gain
        return agent, {"gain": gain, "low": low, "high": high, "shown": agent.shown}

    _try(found, ExpectedMove.key, moves)
    _try(found, Regime.key, regime)
    return found


def _useful(figures: Figures) -> Figures:
    """The figures of a forecast that are better than the last day's variance at each horizon."""
    for horizon in HORIZONS:
        mine, day = figures[f"qlike_{horizon}"], figures[f"day_qlike_{horizon}"]
        if mine is None:
            raise TooLittleHistory(f"no later minutes tell how good {horizon} minutes are forecast: load more candles")
        if mine >= day:
            raise NothingLearned(f"{horizon} minutes ahead: QLIKE {mine:.4f}, {day:.4f} by the last day's variance")
    return figures


def _try(found: Learned, key: str, fit: Callable[[], tuple[Agent, Figures]]) -> None:
    try:
        found.agents[key], found.figures[key] = fit()
    except TooLittleHistory as error:
        found.silent[key] = str(error)


def _newest(history: History) -> History:
    rows = max(MOST_MINUTES // max(len(history.market), 1), 1)
    return History(history.open_times[-rows:], history.ohlcv[:, -rows:], history.market, history.zone)
