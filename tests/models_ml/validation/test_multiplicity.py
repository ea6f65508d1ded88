"""The best of many without skill is seen for what it is, and skill is not lost."""

from statistics import NormalDist

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from models_ml.validation.multiplicity import (
    benjamini_hochberg,
    better_ones,
    deflated_sharpe,
    lucky_sharpe,
    overfitting,
    superior,
)


def losses(models: int, days: int = 60, skill: float = 0.0, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A benchmark of mean loss ½ and models like it, the first of them better by `skill`."""
    rng = np.random.default_rng(seed)
    table = 0.5 + rng.normal(0, 0.01, (models + 1, days))
    table[1] -= skill
    return table[0], {f"model{number}": row for number, row in enumerate(table[1:])}


def test_skill_survives_the_test_of_many() -> None:
    benchmark, models = losses(30, skill=0.01)
    assert superior(benchmark, models) < 0.05
    assert better_ones(benchmark, models) == ["model0"]


def test_luck_does_not() -> None:
    rejected = sum(superior(*losses(30, seed=seed), draws=300) < 0.05 for seed in range(20))
    assert rejected <= 4
    benchmark, models = losses(30, seed=3)
    assert better_ones(benchmark, models) == []


def test_equal_seeds_equal_p() -> None:
    assert superior(*losses(5), seed=2) == superior(*losses(5), seed=2)


def test_the_lucky_sharpe_ratio_is_the_expected_largest() -> None:
    """False Strategy theorem: the expected maximum of N standard normals, here by simulation."""
    rng = np.random.default_rng(0)
    for trials in (10, 100):
        ratios = np.tile([-1.0, 1.0], trials // 2)
        ratios /= ratios.std(ddof=1)
        simulated = rng.normal(size=(4_000, trials)).max(axis=1).mean()
        assert lucky_sharpe(ratios) == pytest.approx(simulated, abs=0.06)
    assert lucky_sharpe(np.array([0.3])) == 0.0


def test_a_deflated_sharpe_ratio_by_hand() -> None:
    """With one trial and normal returns it is the probabilistic Sharpe ratio Φ(SR √(T − 1) / √(1 + SR²/2))."""
    normal = NormalDist()
    returns = np.array([normal.inv_cdf((k + 0.5) / 2_000) for k in range(2_000)])
    returns = 0.05 + returns / returns.std(ddof=1)
    expected = normal.cdf(0.05 * np.sqrt(1_999) / np.sqrt(1 + 0.05**2 / 2))
    assert deflated_sharpe(returns, np.array([0.05])) == pytest.approx(expected, abs=1e-3)
    many = np.random.default_rng(0).normal(0, 0.03, 200)
    assert deflated_sharpe(returns, many) < 0.2  # type: ignore[operator]  # there is spread
    assert deflated_sharpe(np.zeros(50), many) is None


def test_picking_noise_overfits_half_the_time_and_skill_does_not() -> None:
    rng = np.random.default_rng(1)
    noise = [overfitting(rng.normal(size=(64, 10)), blocks=8) for _ in range(40)]
    assert np.mean([value for value in noise if value is not None]) == pytest.approx(0.5, abs=0.15)
    skilled = rng.normal(size=(64, 10))
    skilled[:, 3] += 2.0
    assert overfitting(skilled) == 0.0
    turning = np.zeros((64, 2))  # what is best in some blocks is worst in the others
    turning[::2] = [1, 0]
    turning[1::2] = [0, 1]
    assert overfitting(np.repeat(turning[:16], 4, axis=0)) == 1.0
    assert overfitting(skilled[:, :1]) is None
    assert overfitting(skilled[:10]) is None


def test_discoveries_agree_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 5, 100):
        p = np.where(rng.random(size) < 0.3, rng.random(size) / 1000, rng.random(size))
        np.testing.assert_array_equal(benjamini_hochberg(p), multipletests(p, 0.05, "fdr_bh")[0])
    np.testing.assert_array_equal(benjamini_hochberg(np.array([np.nan, 0.001])), [False, True])
    assert benjamini_hochberg(np.empty(0)).shape == (0,)
