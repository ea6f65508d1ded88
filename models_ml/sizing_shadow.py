"""What the learned sizing would stake, said in a time of its own: nobody sizes by it.

A policy that is missing, corrupt, too old, slow or raises says nothing, and nothing else happens.
"""

from dataclasses import dataclass

import numpy as np
from django.conf import settings

from markets.values import FloatArray
from models_ml import fits
from models_ml.agents.sizing_rl import Account, Decisions, SizingPolicy, kelly
from models_ml.panel import PanelRunner

_runner = PanelRunner(lanes=1, who="agent")


@dataclass(frozen=True, slots=True)
class Staked:
    """What a version of the policy and volatility-targeted Kelly stake on N decisions, each (N,), 0 to `MOST_STAKE`."""

    version_id: int
    stakes: FloatArray
    kelly: FloatArray


def stake(venue_id: int, market_class: str, decisions: Decisions, account: Account, now: int) -> Staked | None:
    """The stakes on decisions of the market instant `now` (epoch s), within `AGENT_DEADLINE_S`; None where silent."""
    version = fits.newest(venue_id, market_class, (SizingPolicy.key,), now).first()
    policy = fits.loaded(version) if version else None
    if version is None or not isinstance(policy, SizingPolicy):
        return None

    def staked(given: Decisions) -> FloatArray:
        return policy.at_once(given, account)

    limit = settings.AGENT_DEADLINE_S
    answers = _runner.ask(decisions, {policy.key: staked}, {policy.key: limit}, limit)
    answer, _ = answers[policy.key]
    if not isinstance(answer, np.ndarray):
        fits.SILENT.labels(policy.key).inc()
        return None
    return Staked(version.pk, answer, kelly(decisions))
