"""Learned sizings for tests: weights by hand, stored as a training stores them, and decisions to size."""

import math
from datetime import datetime, timedelta

import numpy as np

from markets.models import Venue
from markets.values import FloatArray
from models_ml.agents.sizing_rl import MOST_STAKE, SEES, Decisions, SizingPolicy
from models_ml.models import AgentVersion
from models_ml.storing import Origin, store_agent


def constant(stake: float) -> SizingPolicy:
    """A policy that stakes the same on whatever has an edge."""
    action = 2 * stake / MOST_STAKE - 1
    return SizingPolicy(
        {
            "w0": np.zeros((2, SEES)), "b0": np.zeros(2), "w1": np.zeros((2, 2)), "b1": np.zeros(2),
            "w2": np.zeros((1, 2)), "b2": np.array([action]),
        }
    )  # fmt: skip


def timid() -> SizingPolicy:
    """A policy that stakes the less the deeper its account is under its peak."""
    policy = constant(MOST_STAKE)
    policy.weights["w0"][0, 3] = 1.0  # the drawdown is the fourth of what it sees
    policy.weights["w1"][0, 0] = 1.0
    policy.weights["w2"][0, 0] = -4.0
    return policy


class Unwell(SizingPolicy):
    """Fails at every decision."""

    def stake(self, sees: FloatArray) -> float:
        """Fail."""
        raise ZeroDivisionError("broken policy")


class Boundless(SizingPolicy):
    """Stakes what is no number."""

    def stake(self, sees: FloatArray) -> float:
        """No number."""
        return math.nan


def store_sizing(venue: Venue, policy: SizingPolicy, until: datetime, market_class: str = "crypto") -> AgentVersion:
    """Put a policy into the registry that knew the outcomes of the thirty days up to `until`."""
    origin = Origin(venue, market_class, "tiny", "full", 7, until - timedelta(days=30), until, {})
    return store_agent(policy, origin, {"n": 400, "difference": 1e-5, "low": -1e-5, "high": 3e-5, "beats": False})


def edged(probabilities: list[float], at: int) -> Decisions:
    """Decisions of one moment at a payout of 85 % in usual weather; what came of them is not known."""
    count = len(probabilities)
    return Decisions(
        np.full(count, at), np.array(probabilities), np.full(count, 0.85), np.ones(count), np.full(count, np.nan)
    )
