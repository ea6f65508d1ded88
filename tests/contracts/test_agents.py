"""What every agent of candles promises, tried on each of the registry."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from models_ml import artifacts
from models_ml.agents import AGENTS, CANDLE_AGENTS, UnknownAgent, agent_class
from models_ml.agents.base import Agent, History
from signals.rounds import BARS
from tests.models_ml.agents.markets import market

every_agent = pytest.mark.parametrize("key", CANDLE_AGENTS)


@cache
def fitted(key: str, seed: int = 0) -> Agent:
    agent = agent_class(key)()
    agent.fit(market(), seed=seed)
    return agent


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    assert left.keys() == right.keys()
    for name, values in left.items():
        np.testing.assert_allclose(values, right[name], rtol=1e-9, err_msg=name)


def test_an_unknown_agent_is_named_with_the_choices() -> None:
    with pytest.raises(UnknownAgent, match=r"'mood'.*volatility"):
        agent_class("mood")


def test_every_line_of_the_registry_leads_to_its_class() -> None:
    for key, spec in AGENTS.items():
        assert spec.key == key
        assert spec.title
    for key in CANDLE_AGENTS:
        assert agent_class(key).key == key
        assert 0 < agent_class(key).lookback <= BARS


def test_the_registry_and_a_reading_load_nothing_heavy() -> None:
    code = (
        "import sys, models_ml.agents.volatility_forecast, models_ml.agents.moves, models_ml.agents.regime,"
        "models_ml.agents.sizing_rl, models_ml.agents.garch;"
        "heavy = 'torch', 'arch', 'hmmlearn', 'sklearn', 'pandas', 'gymnasium', 'stable_baselines3', 'xgboost';"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@every_agent
def test_a_reading_has_a_value_for_each_instrument_and_row(key: str) -> None:
    for values in fitted(key).read(market(), 3).values():
        assert values.shape == (2, 3)
        assert np.isfinite(values).all()


@every_agent
def test_a_loaded_agent_is_the_saved_one(key: str, tmp_path: Path) -> None:
    fitted(key).save(tmp_path)
    same(agent_class(key).load(tmp_path).read(market(), 5), fitted(key).read(market(), 5))
    assert {path.suffix for path in tmp_path.iterdir()} <= artifacts.SUFFIXES


@every_agent
def test_a_fit_is_repeated_by_its_seed(key: str) -> None:
    again = agent_class(key)()
    again.fit(market(), seed=0)
    same(again.read(market(), 5), fitted(key).read(market(), 5))


@every_agent
def test_inputs_are_left_alone(key: str) -> None:
    found = market()
    before = found.ohlcv.copy()
    fitted(key).read(found, 7)
    np.testing.assert_array_equal(found.ohlcv, before)


@every_agent
@pytest.mark.parametrize("cut", [1441, 2000, 2900, 8000])
def test_nothing_after_a_row_is_read(key: str, cut: int) -> None:
    """The prefix test: the last rows of a prefix read as they do in the whole."""
    whole = fitted(key).read(market(), len(market().open_times))
    same(
        fitted(key).read(market().until(cut), 4),
        {name: values[:, cut - 4 : cut] for name, values in whole.items()},
    )


@every_agent
def test_the_stated_look_back_is_enough(key: str) -> None:
    found = market()
    lookback = fitted(key).lookback
    short = History(found.open_times[-lookback:], found.ohlcv[:, -lookback:], found.market)
    same(fitted(key).read(short), fitted(key).read(found))


@every_agent
def test_an_unknown_hour_is_silence_for_that_instrument_alone(key: str) -> None:
    found = market()
    blind = found.ohlcv.copy()
    blind[0, -60:] = np.nan
    read = fitted(key).read(History(found.open_times, blind, found.market))
    for name, values in read.items():
        assert np.isnan(values[0]).all(), name
        assert np.isfinite(values[1]).all(), name


@every_agent
def test_a_window_shorter_than_a_day_is_silence(key: str) -> None:
    for name, values in fitted(key).read(market().until(900)).items():
        assert np.isnan(values).all(), name
