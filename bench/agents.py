"""Agents: one minute's reading of 50 instruments, one thread: `python -m bench.agents`.

Weights are those of a short history, because speed does not depend on them.
"""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from functools import partial

import numpy as np

from bench.features import market
from bench.inference import timed
from bench.rig import report
from models_ml.agents import CANDLE_AGENTS, agent_class
from models_ml.agents.base import History
from models_ml.features import LOOKBACK

INSTRUMENTS = 50
GATES = {"volatility": 50.0, "moves": 50.0, "regime": 100.0}
"""Milliseconds a minute."""


def main() -> int:
    """Measure each agent; 1 when one missed its gate."""
    times, candles = market(4, 10 * 1440)
    learned = History(times, candles, np.arange(4))
    times, candles = market(INSTRUMENTS, LOOKBACK)
    live, met = History(times, candles, np.arange(INSTRUMENTS)), True
    for key in CANDLE_AGENTS:
        agent = agent_class(key)()
        agent.fit(learned)
        assert all(np.isfinite(values).all() for values in agent.read(live).values()), f"{key} says nothing"
        best, median = timed(partial(agent.read, live))
        passed = best <= GATES[key]
        met &= passed
        report(
            "agents", agent=key, instruments=INSTRUMENTS, best_ms=round(best, 1), median_ms=round(median, 1),
            gate_ms=GATES[key], passed=passed,
        )  # fmt: skip
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
