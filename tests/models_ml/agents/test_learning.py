"""Learning all agents at once: one forecast for the three, figures from later minutes, and silence with its reason."""

from functools import cache

import numpy as np
import pytest

from models_ml.agents import CANDLE_AGENTS
from models_ml.agents.base import History
from models_ml.agents.learning import KEYS, MOST_MINUTES, Learned, _newest, learn
from models_ml.agents.moves import ExpectedMove
from models_ml.agents.realised import DAY
from models_ml.agents.regime import Regime
from models_ml.agents.volatility_forecast import VolatilityForecast
from tests.models_ml.agents.markets import candles, market, times_of


@cache
def learned() -> Learned:
    return learn(market())


def test_every_agent_of_candles_is_learned() -> None:
    assert set(learned().agents) == set(KEYS) == set(CANDLE_AGENTS)
    assert learned().silent == {}


@pytest.mark.parametrize("kind", [VolatilityForecast, ExpectedMove, Regime])
def test_together_they_learn_what_each_learns_alone(kind: type[VolatilityForecast | ExpectedMove | Regime]) -> None:
    alone = kind()
    alone.fit(market())
    mine, theirs = alone.read(market(), 5), learned().agents[kind.key].read(market(), 5)
    assert mine.keys() == theirs.keys() == set(kind.says)
    for name, values in mine.items():
        np.testing.assert_allclose(values, theirs[name], err_msg=name)


def test_figures_are_those_of_later_minutes() -> None:
    figures = learned().figures
    for horizon in (15, 60):
        assert figures["volatility"][f"qlike_{horizon}"] < figures["volatility"][f"day_qlike_{horizon}"]
        assert 1_000 < figures["volatility"][f"n_{horizon}"] <= 2 * 3 * DAY / 5
    for horizon in (1, 15, 60):
        assert figures["moves"][f"coverage_{horizon}"] == pytest.approx(0.8, abs=0.1)
    assert figures["regime"]["shown"] == (figures["regime"]["low"] > 0)


def test_without_enough_minutes_all_are_silent_and_say_so() -> None:
    found = learn(market().until(2 * DAY))
    assert found.agents == {}
    assert set(found.silent) == set(KEYS)
    assert all("load more candles" in reason for reason in found.silent.values())


def test_each_is_silent_for_want_of_its_own() -> None:
    """Four days are enough for a forecast and for bands, not for regimes."""
    found = learn(market().until(4 * DAY))
    assert set(found.agents) == {"volatility", "moves"}
    assert list(found.silent) == ["regime"]
    assert "quarter hours are too few" in found.silent["regime"]


def test_a_forecast_that_is_no_better_than_yesterday_is_not_used() -> None:
    """Nothing can be forecast of constant volatility: whatever was learned is noise."""
    noise = 5e-4 * np.random.default_rng(4).normal(size=(2, 8 * DAY))
    found = learn(History(times_of(8 * DAY), candles(noise), np.arange(2)))
    assert found.agents == {}
    assert all("by the last day's variance" in reason for reason in found.silent.values())


def test_only_the_newest_minutes_of_a_long_history_are_read() -> None:
    count = 100
    rows = MOST_MINUTES // count
    times = times_of(rows + 7)
    part = _newest(History(times, np.broadcast_to(np.nan, (count, len(times), 5)), np.arange(count)))
    assert part.open_times.tolist() == times[7:].tolist()
    assert part.ohlcv.shape == (count, rows, 5)
