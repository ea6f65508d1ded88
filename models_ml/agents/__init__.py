"""Agents give context to a round; they have no vote.

Nothing heavy is imported here; `agent_class` imports the one module that a worker asks for.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from lib.errors import CandorError

if TYPE_CHECKING:
    from models_ml.agents.base import Agent


class UnknownAgent(CandorError):
    """A name outside `AGENTS`."""


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent: where its class lives, and whether it learns from candles alone (`models_ml.agents.base.Agent`)."""

    key: str
    title: str
    path: str
    of_candles: bool = True


AGENTS: dict[str, AgentSpec] = {
    spec.key: spec
    for spec in (
        AgentSpec("volatility", "Volatility", "models_ml.agents.volatility_forecast.VolatilityForecast"),
        AgentSpec("moves", "Expected move", "models_ml.agents.moves.ExpectedMove"),
        AgentSpec("regime", "Regime", "models_ml.agents.regime.Regime"),
        AgentSpec("sizing_rl", "Learned sizing", "models_ml.agents.sizing_rl.SizingPolicy", of_candles=False),
    )
}

CANDLE_AGENTS: tuple[str, ...] = tuple(key for key, spec in AGENTS.items() if spec.of_candles)


def agent_class(key: str) -> "type[Agent]":
    """Import the class of an agent of candles; raises `UnknownAgent` with the choices."""
    if key not in CANDLE_AGENTS:
        raise UnknownAgent(f"unknown agent of candles {key!r}: use one of {', '.join(CANDLE_AGENTS)}")
    module, name = AGENTS[key].path.rsplit(".", 1)
    found: type[Agent] = getattr(import_module(module), name)
    return found
