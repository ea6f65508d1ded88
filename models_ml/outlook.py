"""What the agents of candles say about a minute: read beside the votes, in a time of their own, without any vote.

An agent that is missing, corrupt, too old, slow or raises leaves its part of the outlook empty, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from django.conf import settings

from markets.values import FloatArray
from models_ml import fits
from models_ml.agents import CANDLE_AGENTS
from models_ml.agents.base import Agent, History, zone_of
from models_ml.agents.moves import HORIZONS, ExpectedMove
from models_ml.agents.realised import Tape
from models_ml.agents.regime import STATES, Regime
from models_ml.agents.volatility_forecast import HORIZONS as VARIANCES
from models_ml.agents.volatility_forecast import VolatilityForecast
from models_ml.models import AgentVersion
from models_ml.panel import PanelRunner
from models_ml.samples import Samples

SHARES = 3
"""Of the deadline, one for each agent: one that hangs leaves the others theirs."""
DIGITS = 6
"""Significant ones that are kept of a value."""

Outlook = dict[str, Any]
"""Plain JSON: `bands` minutes → [low, high] of the log return, `variance` minutes → a minute's, `usual` that of the
instrument's usual day, `regime` state → probability, `agents` name → version. What is not known is absent."""

_runner = PanelRunner(lanes=1, who="agent")


@dataclass(frozen=True, slots=True)
class LoadedAgent:
    """An agent ready to be read."""

    agent: Agent
    version_id: int


def in_force(venue_id: int, market_class: str, now: int) -> dict[str, LoadedAgent]:
    """Agent → its newest fit that had not seen the market instant `now` and is not too old for it.

    Left out are one whose files are not what was written (logged once), and a regime that does not help.
    """
    found = {}
    for version in fits.newest(venue_id, market_class, CANDLE_AGENTS, now):
        agent = fits.loaded(version)
        if isinstance(agent, Agent) and (not isinstance(agent, Regime) or agent.shown):
            found[version.agent] = LoadedAgent(agent, version.pk)
    return found


def warm(venue_id: int, now: int) -> None:
    """Read the agents of a venue now, so that no minute pays for it."""
    classes = AgentVersion.objects.filter(venue_id=venue_id).values_list("market_class", flat=True)
    for market_class in set(classes):
        in_force(venue_id, market_class, now)


def outlooks(venue_id: int, market_class: str, samples: Samples, now: int) -> list[Outlook]:
    """The outlook of the instrument of each row of `samples`, at the last minute, within `AGENT_DEADLINE_S`."""
    agents = in_force(venue_id, market_class, now)
    minute = _Minute(samples, zone_of(market_class))
    said = _read(agents, (ExpectedMove.key, Regime.key), minute)
    if ExpectedMove.key not in said:  # its reading holds the forecast's, which is else read by itself
        said |= _read(agents, (VolatilityForecast.key,), minute)
    versions = {key: agents[key].version_id for key in said}
    values = {name: column for reading in said.values() for name, column in reading.items()}
    return [_outlook(values, row, versions) for row in samples.index[:, 0]]


class _Minute:
    """What the agents of one minute share."""

    def __init__(self, samples: Samples, zone: str) -> None:
        self.samples = samples
        self.history = History(samples.open_times, samples.ohlcv, samples.market, zone)

    @cached_property
    def tape(self) -> Tape:
        """Computed by whoever asks first."""
        return Tape(self.history)


def _read(
    agents: Mapping[str, LoadedAgent], keys: tuple[str, ...], minute: _Minute
) -> dict[str, dict[str, FloatArray]]:
    """Agent → its values by name, each (I,); those that did not answer are absent."""
    calls = {key: partial(_values, agents[key].agent, minute) for key in keys if key in agents}
    share = settings.AGENT_DEADLINE_S / SHARES
    answers = _runner.ask(minute.samples, calls, dict.fromkeys(calls, share), share * len(calls))
    said = {}
    for key, (answer, _) in answers.items():
        if isinstance(answer, np.ndarray):
            said[key] = dict(zip(agents[key].agent.says, answer, strict=True))
        else:
            fits.SILENT.labels(key).inc()
    return said


def _values(agent: Agent, minute: _Minute, _: Samples) -> FloatArray:
    """Values (K, I) in the order of `says`."""
    read = agent.read(minute.history, tape=minute.tape)
    values = np.stack([read[name][:, -1] for name in agent.says])
    if values.shape[1] != len(minute.history.market):
        raise ValueError(f"{agent.key} answered for {values.shape[1]} of {len(minute.history.market)} instruments")
    return values


def _outlook(values: Mapping[str, FloatArray], row: int, versions: dict[str, int]) -> Outlook:
    known = {name: _plain(column[row]) for name, column in values.items() if np.isfinite(column[row])}
    parts: Outlook = {
        "bands": {
            str(horizon): [known[f"low_{horizon}"], known[f"high_{horizon}"]]
            for horizon in HORIZONS
            if {f"low_{horizon}", f"high_{horizon}"} <= known.keys()
        },
        "variance": {str(horizon): known[key] for horizon in VARIANCES if (key := f"variance_{horizon}") in known},
        "usual": known.get("usual"),
        "regime": {state: known[state] for state in STATES} if known.keys() >= set(STATES) else {},
    }
    found = {name: part for name, part in parts.items() if part}
    return {**found, "agents": versions} if found else {}


def _plain(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
