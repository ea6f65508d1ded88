"""Learned sizing: small, repeatable, and judged against Kelly on later decisions only."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from models_ml.agents.base import TooLittleHistory
from models_ml.agents.sizing_rl import MOST_STAKE, Account, Decisions, SizingPolicy, compare, drawdown, kelly, stake_of
from tests.models_ml.agents.markets import START


def decisions(count: int, edge: float, seed: int = 0) -> Decisions:
    """Decisions at a payout of 90 % whose stated probability is true."""
    rng = np.random.default_rng(seed)
    probability = rng.normal(0.53 + edge, 0.02, count)
    won = np.where(rng.uniform(size=count) < probability, 1.0, -1.0)
    times = START + 600 * np.arange(count, dtype=np.int64)
    return Decisions(times, probability, np.full(count, 0.9), rng.lognormal(0, 0.3, count), won)


@cache
def learned() -> SizingPolicy:
    return SizingPolicy.fit(decisions(3000, 0.03), seed=1, steps=1024)


def test_kelly_by_hand() -> None:
    one = Decisions(
        np.array([0, 0, 0]), np.array([0.55, 0.55, 0.5]), np.full(3, 0.9), np.array([1.0, 4.0, 1.0]), np.ones(3)
    )
    edge = (0.55 * 1.9 - 1) / 0.9
    np.testing.assert_allclose(kelly(one), [min(edge / 2, MOST_STAKE), min(edge / 8, MOST_STAKE), 0.0])


def test_a_policy_is_repeatable_and_survives_its_file(tmp_path: Path) -> None:
    later = decisions(400, 0.03, seed=2)
    stakes = learned().stakes(later)
    np.testing.assert_array_equal(SizingPolicy.fit(decisions(3000, 0.03), seed=1, steps=1024).stakes(later), stakes)
    learned().save(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    np.testing.assert_array_equal(SizingPolicy.load(tmp_path).stakes(later), stakes)


def test_stakes_are_small_and_none_without_an_edge() -> None:
    later = decisions(400, 0.0, seed=3)
    stakes = learned().stakes(later)
    assert (stakes[kelly(later) == 0] == 0).all()
    assert ((stakes >= 0) & (stakes <= MOST_STAKE)).all()
    assert [stake_of(action) for action in (-2.0, 0.0, 3.0)] == [0.0, MOST_STAKE / 2, MOST_STAKE]


def test_a_stake_is_decided_before_its_outcome() -> None:
    later = decisions(400, 0.03, seed=4)
    other = Decisions(later.times, later.probability, later.payout, later.sigma, later.won.copy())
    other.won[200:] *= -1
    np.testing.assert_array_equal(learned().stakes(other)[:201], learned().stakes(later)[:201])


def test_a_policy_beats_kelly_only_with_an_interval_above_zero() -> None:
    found = compare(learned(), decisions(2000, 0.03, seed=5))
    assert found["n"] == 2000
    assert found["beats"] is (found["low"] > 0)
    assert 0 <= found["kelly_drawdown"] < 1


def test_an_account_counts_by_hand() -> None:
    account = Account()
    reward = account.take(0.02, -1.0)
    assert account.equity == pytest.approx(0.98)
    assert reward == pytest.approx(100 * np.log(0.98) - 0.1 * 0.02)
    assert drawdown(np.log([1.1, 0.5, 1.2])) == pytest.approx(0.5)
    assert drawdown(np.log([1.1, 1.1])) == 0


def test_too_few_decisions_are_refused() -> None:
    with pytest.raises(TooLittleHistory, match="too few to learn sizing"):
        SizingPolicy.fit(decisions(100, 0.03))
