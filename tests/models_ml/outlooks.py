"""Agents in the registry for tests: fitted once on a made-up market, stored as a training stores them."""

from datetime import datetime, timedelta
from functools import cache

import numpy as np

from markets.models import Venue
from models_ml.agents.base import Agent, History
from models_ml.agents.learning import learn
from models_ml.agents.moves import ExpectedMove
from models_ml.agents.regime import Regime
from models_ml.agents.volatility_forecast import VolatilityForecast
from models_ml.models import AgentVersion
from models_ml.storing import Origin, store_agent
from tests.models_ml.agents.markets import market

HELPS = (0.02, 0.01, 0.03)
HELPS_NOT = (0.02, -0.01, 0.03)


@cache
def fitted(numbers: tuple[int, ...]) -> dict[str, Agent]:
    """The three agents, learned from a market of two whose instruments carry `numbers`."""
    made = market()
    found = learn(History(made.open_times, made.ohlcv, np.array(numbers)))
    return found.agents


def agent(key: str, numbers: tuple[int, ...], *, shown: bool = True) -> Agent:
    """One of them; the regime with a gain that lets it be shown, or not."""
    found = fitted(numbers)[key]
    return Regime(found.chain, HELPS if shown else HELPS_NOT) if isinstance(found, Regime) else found


def origin_of(venue: Venue, until: datetime, market_class: str = "crypto") -> Origin:
    """A training that saw twelve days up to `until`."""
    return Origin(venue, market_class, "tiny", "full", 7, until - timedelta(days=12), until, {})


def store_agents(
    venue: Venue, until: datetime, numbers: tuple[int, ...], *, keys: tuple[str, ...] = (), shown: bool = True
) -> dict[str, AgentVersion]:
    """Put agents (all by default) into the registry; agent → its row."""
    wanted = keys or (VolatilityForecast.key, ExpectedMove.key, Regime.key)
    return {key: store_agent(agent(key, numbers, shown=shown), origin_of(venue, until), {}) for key in wanted}


class Raises(ExpectedMove):
    """Fails at every reading."""

    def read(self, history: History, rows: int = 1, *, tape: object = None) -> dict[str, np.ndarray]:
        """Fail."""
        raise ZeroDivisionError("broken agent")
