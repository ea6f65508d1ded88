"""Regimes: a planted chain is recovered, probabilities are filtered, and what does not help is hidden."""

import numpy as np
import pytest

from models_ml.agents.base import History, TooLittleHistory
from models_ml.agents.realised import DAY
from models_ml.agents.regime import STATES, Chain, Regime, ordered
from tests.models_ml.agents.markets import candles, times_of

CALM, WILD = 2e-4, 12e-4


def planted(days: int = 16, seed: int = 0) -> tuple[History, np.ndarray]:
    """Stretches of four hours or so: one state in three trends, one ranges, one is wild; the true state a minute."""
    rng = np.random.default_rng(seed)
    minutes = days * DAY
    states = np.repeat(rng.integers(0, 3, minutes // 240 + 1), 240)[:minutes]
    noise = np.where(states == 2, WILD, CALM) * rng.normal(size=minutes)
    drift = np.where(states == 0, 1.2 * CALM * np.repeat(rng.choice([-1, 1], minutes // 240 + 1), 240)[:minutes], 0.0)
    return History(times_of(minutes), candles((noise + drift)[None]), np.array([1])), states


def test_a_planted_chain_is_recovered() -> None:
    history, states = planted()
    agent = Regime()
    agent.fit(history)
    read = agent.read(history, 4 * DAY)
    said = np.argmax(np.stack([read[name][0] for name in STATES]), axis=0)
    settled = np.arange(4 * DAY) % 240 >= 60  # an hour after a change its own window is clean
    assert (said == states[-4 * DAY :])[settled].mean() > 0.8
    np.testing.assert_allclose(sum(read[name] for name in STATES), 1)


def test_states_are_named_by_what_they_are_like() -> None:
    means = np.array([[-0.5, 0.1, 0.0], [1.5, 0.2, 0.0], [-0.3, 0.4, 0.0]])
    assert ordered(means) == [2, 0, 1]


def chain() -> Chain:
    moves = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])
    means = np.array([[0.0, 1.0], [0.0, -1.0], [3.0, 0.0]])
    return Chain(np.full(3, 1 / 3), moves, means, np.stack([np.eye(2)] * 3))


def test_the_filter_by_hand() -> None:
    seen = np.array([[[0.0, 1.0], [3.0, 0.0]]])
    found = chain().filtered(seen)[0]
    first = np.exp([0.0, -2.0, -5.0]) / np.exp([0.0, -2.0, -5.0]).sum()
    second = (first @ chain().moves) * np.exp([-5.0, -5.0, 0.0])
    np.testing.assert_allclose(found, second / second.sum())


def test_an_unknown_observation_only_lets_time_pass() -> None:
    seen = np.array([[[0.0, 1.0], [np.nan, np.nan]]])
    first = np.exp([0.0, -2.0, -5.0]) / np.exp([0.0, -2.0, -5.0]).sum()
    np.testing.assert_allclose(chain().filtered(seen)[0], first @ chain().moves)


def test_a_regime_that_does_not_help_is_hidden() -> None:
    """Constant volatility has no regimes to speak of; an agent without a judgement is hidden as well."""
    noise = CALM * np.random.default_rng(3).normal(size=(1, 12 * DAY))
    agent = Regime()
    agent.fit(History(times_of(12 * DAY), candles(noise), np.array([1])))
    assert not agent.shown
    assert not Regime().shown


@pytest.mark.parametrize(("gain", "shown"), [((0.02, 0.01, 0.03), True), ((0.02, -0.01, 0.03), False)])
def test_it_is_shown_by_the_lower_end_of_its_gain(gain: tuple[float, float, float], shown: bool) -> None:
    assert Regime(chain(), gain).shown is shown


def test_too_little_history_is_said() -> None:
    with pytest.raises(TooLittleHistory):
        Regime().fit(planted(3)[0])
    with pytest.raises(TooLittleHistory, match="train it first"):
        Regime().read(planted(3)[0])
