"""Sizing learned by trial: a small policy trained by PPO on recorded decisions. It sizes nothing but a shadow account.

A step is one decision: the policy sees the calibrated edge, the payout, the forecast deviation against its usual level,
the drawdown and the last results, and chooses a stake between 0 and 2 % of equity. The reward is the logarithm of the
growth of equity, less what a drawdown weighs. The measure is volatility-targeted Kelly on later decisions: until the
policy beats it there with an interval above zero, nobody may size by it.

Schulman et al. 2017 for PPO, by stable-baselines3; what is kept are the policy's weights as safetensors.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.base import TooLittleHistory
from models_ml.validation.metrics import day_bootstrap

MOST_STAKE = 0.02
KELLY_SHARE = 0.5
"""Half of what Kelly would stake: his formula knows the odds, ours are estimated."""
DRAWDOWN_WEIGHT = 0.1
RECENT = 0.95
"""Weight that the results before keep in the running mean of results."""
EPISODE = 512
LEAST_DECISIONS = 1000
STEPS = 40_000
WIDTH = 32
SEES = 6
FILE = "sizing.safetensors"


@dataclass(frozen=True, slots=True)
class Decisions:
    """Recorded decisions in order of time, each array (N,).

    `probability` of being right, calibrated before the decision; `payout` on one staked when right; `sigma` the
    forecast deviation of the move over its usual one; `won` +1 right, −1 wrong, 0 a tie that pays the stake back;
    `times` epoch seconds.
    """

    times: IntArray
    probability: FloatArray
    payout: FloatArray
    sigma: FloatArray
    won: FloatArray

    def __len__(self) -> int:
        return len(self.times)

    def part(self, rows: "slice | NDArray[np.bool_]") -> "Decisions":
        """Some of them."""
        return Decisions(self.times[rows], self.probability[rows], self.payout[rows], self.sigma[rows], self.won[rows])

    @property
    def returns(self) -> FloatArray:
        """What one staked brings."""
        return brought_by(self.won, self.payout)


def brought_by(won: FloatArray, payout: FloatArray) -> FloatArray:
    """What one staked brings (N,): the payout where right (+1), −1 where wrong (−1), nothing on a tie (0)."""
    return np.where(won > 0, payout, np.where(won < 0, -1.0, 0.0))


def kelly(decisions: Decisions) -> FloatArray:
    """Volatility-targeted Kelly (N,): half of (p (1 + payout) − 1) / payout, less in wild hours, 0 without an edge."""
    edge = (decisions.probability * (1 + decisions.payout) - 1) / decisions.payout
    stake = KELLY_SHARE * edge / np.maximum(decisions.sigma, 1.0)
    return np.asarray(np.clip(np.nan_to_num(stake), 0.0, MOST_STAKE))


def seen(decisions: Decisions, row: int, equity: float, peak: float, recent: float) -> FloatArray:
    """What the policy sees of one decision, (SEES,), each about −1 to 1."""
    probability, payout = decisions.probability[row], decisions.payout[row]
    facts = [
        10 * (probability * (1 + payout) - 1),
        payout - 1,
        np.log(max(decisions.sigma[row], 1e-3)),
        10 * (1 - equity / peak),
        recent,
        100 * kelly(decisions.part(slice(row, row + 1)))[0] - 1,
    ]
    return np.asarray(np.clip(np.nan_to_num(np.array(facts)), -3, 3))


class Account:
    """Equity that stakes a share of itself on each decision in turn."""

    def __init__(self) -> None:
        """Starts at 1."""
        self.equity, self.peak, self.recent = 1.0, 1.0, 0.0

    def take(self, stake: float, brought: float) -> float:
        """Stake, take what it brings, and return the reward."""
        growth = 1 + stake * brought
        self.equity *= growth
        self.peak = max(self.peak, self.equity)
        self.recent = RECENT * self.recent + (1 - RECENT) * float(np.sign(brought))
        return float(100 * np.log(growth) - DRAWDOWN_WEIGHT * (1 - self.equity / self.peak))


class SizingPolicy:
    """Two tanh layers from what is seen to a stake; kept as plain arrays, so that sizing needs no torch."""

    key: ClassVar[str] = "sizing_rl"
    form: ClassVar[int] = 1
    """Raised when what it sees changes its meaning: what was stored before is then not read."""

    def __init__(self, weights: dict[str, FloatArray]) -> None:
        """`weights`: `w0`, `b0`, `w1`, `b1`, `w2`, `b2`."""
        self.weights = weights

    @classmethod
    def fit(cls, decisions: Decisions, *, seed: int = 0, steps: int = STEPS) -> Self:
        """Learn on these decisions by PPO; raises `TooLittleHistory`."""
        if len(decisions) < LEAST_DECISIONS:
            raise TooLittleHistory(
                f"{len(decisions)} decisions are too few to learn sizing: wait for {LEAST_DECISIONS}"
            )
        from models_ml.agents.sizing_gym import learned  # torch and stable-baselines3: only training needs them

        return cls(learned(decisions, seed=seed, steps=steps))

    def stake(self, sees: FloatArray) -> float:
        """Share of equity, 0 to `MOST_STAKE`."""
        h = sees
        for layer in range(2):
            h = np.tanh(self.weights[f"w{layer}"] @ h + self.weights[f"b{layer}"])
        action = float((self.weights["w2"] @ h + self.weights["b2"])[0])
        return stake_of(action)

    def at_once(self, decisions: Decisions, account: Account) -> FloatArray:
        """The stakes (N,) on decisions of one moment, which the account meets as it stands; none without an edge.

        Raises:
            ValueError: weights that give no number.
        """
        state = account.equity, account.peak, account.recent
        sees = (seen(decisions, row, *state) for row in range(len(decisions)))
        allowed = kelly(decisions) > 0
        out = np.array([self.stake(each) if may else 0.0 for each, may in zip(sees, allowed, strict=True)])
        if not np.isfinite(out).all():
            raise ValueError(f"{self.key} stakes what is no number")
        return out

    def stakes(self, decisions: Decisions) -> FloatArray:
        """The stakes (N,) of one account that takes the decisions in turn; none without an edge."""
        account, brought, out = Account(), decisions.returns, np.zeros(len(decisions))
        allowed = kelly(decisions) > 0
        for row in range(len(decisions)):
            sees = seen(decisions, row, account.equity, account.peak, account.recent)
            out[row] = self.stake(sees) if allowed[row] else 0.0
            account.take(out[row], brought[row])
        return out

    def save(self, folder: Path) -> None:
        """One safetensors file."""
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(part) for name, part in self.weights.items()}, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it again."""
        from safetensors.numpy import load_file

        return cls(load_file(folder / FILE))


def stake_of(action: float) -> float:
    """The policy's output, −1 to 1, as a share of equity."""
    return MOST_STAKE * (min(max(action, -1.0), 1.0) + 1) / 2


def compare(policy: SizingPolicy, decisions: Decisions) -> dict[str, Any]:
    """The policy against volatility-targeted Kelly on later decisions: see `verdict`."""
    return verdict(policy.stakes(decisions), kelly(decisions), decisions.returns, decisions.times)


def verdict(stakes: FloatArray, bar: FloatArray, brought: FloatArray, times: IntArray) -> dict[str, Any]:
    """Log growth a decision of the policy's stakes and of volatility-targeted Kelly's, and of their difference.

    All (N,), N ≥ 1: both stakes, what one staked brought, epoch seconds. `beats` only where the 95 % interval of the
    difference, drawn over days, is above zero.
    """
    learned, kellys = np.log1p(stakes * brought), np.log1p(bar * brought)
    low, high = day_bootstrap(learned - kellys, times)
    return {
        "n": len(times),
        "policy": float(learned.mean()),
        "kelly": float(kellys.mean()),
        "difference": float((learned - kellys).mean()),
        "low": low,
        "high": high,
        "policy_drawdown": drawdown(learned),
        "kelly_drawdown": drawdown(kellys),
        "beats": low is not None and low > 0,
    }


def drawdown(growth: FloatArray) -> float:
    """Largest fall from a peak, 0 to 1, of equity with these logs of growth."""
    path = np.concatenate([[0.0], np.cumsum(growth)])
    return float(1 - np.exp(np.min(path - np.maximum.accumulate(path))))
