"""The gymnasium in which sizing is learned: recorded decisions, one a step, in stretches drawn by the seed."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

from markets.values import FloatArray
from models_ml.agents.sizing_rl import EPISODE, SEES, WIDTH, Account, Decisions, kelly, seen, stake_of


class SizingGym(gymnasium.Env[FloatArray, FloatArray]):
    """Observation (SEES,), action (1,) in −1..1, reward as `Account.take` gives it."""

    def __init__(self, decisions: Decisions) -> None:
        """Only decisions with an edge are offered: nobody is asked to stake on the others."""
        self.decisions = decisions.part(slice(None))
        self._rows = np.flatnonzero(kelly(decisions) > 0)
        if not len(self._rows):
            self._rows = np.arange(len(decisions))
        self._brought = decisions.returns
        self.observation_space = spaces.Box(-3, 3, (SEES,), np.float64)
        self.action_space = spaces.Box(-1, 1, (1,), np.float64)
        self._at, self._end, self._account = 0, 0, Account()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """A fresh account at a row drawn at random."""
        super().reset(seed=seed)
        first = int(self.np_random.integers(0, max(len(self._rows) - EPISODE, 1)))
        self._at, self._end = first, min(first + EPISODE, len(self._rows))
        self._account = Account()
        return self._seen(), {}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Stake on the decision at hand and go on to the next."""
        reward = self._account.take(stake_of(float(action[0])), float(self._brought[self._rows[self._at]]))
        self._at += 1
        ended = self._at >= self._end
        self._at = min(self._at, len(self._rows) - 1)
        return self._seen(), reward, False, ended, {}

    def _seen(self) -> FloatArray:
        account = self._account
        return seen(self.decisions, int(self._rows[self._at]), account.equity, account.peak, account.recent)


def learned(decisions: Decisions, *, seed: int, steps: int) -> dict[str, FloatArray]:
    """The policy's weights as arrays, after `steps` decisions of PPO."""
    model = PPO(
        "MlpPolicy",
        SizingGym(decisions),
        n_steps=EPISODE,
        batch_size=128,
        gamma=0.99,
        seed=seed,
        device="cpu",
        policy_kwargs={"net_arch": [WIDTH, WIDTH], "activation_fn": torch.nn.Tanh},
    )
    model.learn(steps)
    kept = model.policy.state_dict()
    names = {"0": "mlp_extractor.policy_net.0", "1": "mlp_extractor.policy_net.2", "2": "action_net"}
    out: dict[str, FloatArray] = {}
    for number, name in names.items():
        out[f"w{number}"] = kept[f"{name}.weight"].numpy().astype(np.float64)
        out[f"b{number}"] = kept[f"{name}.bias"].numpy().astype(np.float64)
    return out
