"""Agents: one minute's reading of 50 instruments, one thread: `python -m bench.agents`.

Weights are those of a short history, because speed does not depend on them. Times are of the processor: the machine may
be busy with other work. `round` is what a round pays for all of them: one pass over one window.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np

from bench.features import market
from bench.rig import report
from models_ml.agents import CANDLE_AGENTS, agent_class
from models_ml.agents.base import Agent, History
from models_ml.agents.realised import Tape
from models_ml.features import LOOKBACK

INSTRUMENTS, LEARNED = 50, 4
GATES = {"volatility": 50.0, "moves": 50.0, "regime": 100.0, "round": 100.0}
"""Milliseconds a minute."""
REPEATS = 15


def main() -> int:
    """Measure each agent and the round; 1 when one missed its gate."""
    times, candles = market(LEARNED, 10 * 1440)
    learned = History(times, candles, np.arange(LEARNED))
    times, candles = market(INSTRUMENTS, LOOKBACK)
    live = History(times, candles, np.arange(INSTRUMENTS) % LEARNED)
    agents: dict[str, Agent] = {}
    for key in CANDLE_AGENTS:
        agents[key] = agent_class(key)()
        agents[key].fit(learned)
        assert all(np.isfinite(values).all() for values in agents[key].read(live).values()), f"{key} says nothing"
    met = [_measure(key, partial(agent.read, live)) for key, agent in agents.items()]
    return 0 if all([*met, _measure("round", partial(_minute, agents, live))]) else 1


def _minute(agents: dict[str, Agent], live: History) -> None:
    """What `models_ml.outlook` reads in a minute: bands with their forecast, and the regime, on one window."""
    tape = Tape(live)
    for key in ("moves", "regime"):
        agents[key].read(live, tape=tape)


def _measure(key: str, read: Callable[[], object]) -> bool:
    spent = []
    for _ in range(REPEATS):
        started = time.process_time()
        read()
        spent.append((time.process_time() - started) * 1000)
    best = min(spent)
    report(
        "agents", agent=key, instruments=INSTRUMENTS, best_ms=round(best, 1), median_ms=round(median(spent), 1),
        gate_ms=GATES[key], passed=best <= GATES[key],
    )  # fmt: skip
    return best <= GATES[key]


if __name__ == "__main__":
    sys.exit(main())
