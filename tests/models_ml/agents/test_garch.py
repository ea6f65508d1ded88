"""GARCH: planted parameters come back; the network stays within its reach."""

from pathlib import Path

import numpy as np
import pytest

from models_ml.agents.base import TooLittleHistory
from models_ml.agents.garch import LEAST_DEVIATION, PERCENT, REACH, WIDTHS, Garch, GarchNet


def garch_returns(steps: int, seed: int = 0) -> np.ndarray:
    """Log returns of GARCH(1,1) with omega 1e-5, alpha 0.08, beta 0.9 in percent squared, normal."""
    rng = np.random.default_rng(seed)
    out, variance = np.empty(steps), 5e-4
    for step in range(steps):
        out[step] = np.sqrt(variance) * rng.normal()
        variance = 1e-5 + 0.08 * out[step] ** 2 + 0.9 * variance
    return out / PERCENT


def test_planted_parameters_are_recovered() -> None:
    found = Garch.fit(garch_returns(12_000))
    assert found.alpha == pytest.approx(0.08, abs=0.02)
    assert found.beta == pytest.approx(0.9, abs=0.03)
    assert found.level == pytest.approx(5e-4, rel=0.25)


def test_the_recursion_by_hand() -> None:
    model = Garch(mean=0.0, omega=0.1, alpha=0.2, beta=0.5, freedom=8)
    said = model.next_variance(np.array([0.01, np.nan]))
    assert said[0] == pytest.approx(0.1 + 0.2 * 1 + 0.5 * model.level)
    assert said[1] == pytest.approx(0.1 + 0.7 * said[0])


def test_the_mean_over_the_horizon_is_that_of_the_path() -> None:
    model = Garch(mean=0.0, omega=0.1, alpha=0.2, beta=0.5, freedom=8)
    path, variance = [], 2.0
    for _ in range(15):
        path.append(variance)
        variance = model.omega + model.persistence * variance
    assert model.mean_variance(np.array([2.0]), 15)[0] * PERCENT**2 == pytest.approx(np.mean(path))


def test_too_few_returns_are_refused() -> None:
    with pytest.raises(TooLittleHistory, match="load more candles"):
        Garch.fit(np.zeros(1000))


def test_the_network_learns_a_planted_adjustment_and_is_repeatable(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(6000, WIDTHS[0])).astype(np.float32)
    scale = (1 + 0.3 * np.tanh(x[:, 0])) ** 2
    ratio = scale * rng.chisquare(15, len(x)) / 15
    net = GarchNet.fit(x, ratio, seed=5)
    said = net.adjust(np.ones(len(x)), x)
    assert np.corrcoef(np.log(said), np.log(scale))[0, 1] > 0.9
    deviation = np.sqrt(said)
    assert (deviation >= 1 - REACH).all()
    assert (deviation <= 1 + REACH).all()
    np.testing.assert_array_equal(GarchNet.fit(x, ratio, seed=5).adjust(np.ones(9), x[:9]), said[:9])
    net.save(tmp_path)
    np.testing.assert_array_equal(GarchNet.load(tmp_path).adjust(np.ones(9), x[:9]), said[:9])
    assert net.adjust(np.zeros(1), x[:1])[0] == pytest.approx((LEAST_DEVIATION / PERCENT) ** 2)
