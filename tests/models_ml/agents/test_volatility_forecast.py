"""The pooled forecast: planted weights come back, and a market made for it is forecast well."""

import numpy as np
import pytest

from models_ml.agents.base import TooLittleHistory
from models_ml.agents.realised import Tape, target
from models_ml.agents.volatility_forecast import HORIZONS, VolatilityForecast, fit_linear, fit_rows, qlike, rows_of
from tests.models_ml.agents.markets import market


def test_planted_weights_are_recovered() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40_000, 4))
    planted = np.array([0.6, 0.3, 0.0, -0.2])
    noise = np.log(rng.chisquare(15, len(x)) / 15)
    model = fit_linear(x, x @ planted + 0.5 + noise, 1e-4)
    np.testing.assert_allclose(model.weights / model.scale, planted, atol=0.02)
    assert model(np.zeros(4)) == pytest.approx(0.5, abs=0.02)  # the level of the mean, not of its logarithm


def test_a_penalty_draws_weights_towards_nothing() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(5_000, 2))
    loose, tight = (fit_linear(x, x @ np.array([1.0, -1.0]), penalty) for penalty in (1e-6, 1.0))
    assert np.abs(tight.weights).sum() < 0.7 * np.abs(loose.weights).sum()


def test_a_fitted_forecast_beats_yesterday() -> None:
    history = market(2, 16)
    cut = 12 * 1440
    agent = VolatilityForecast()
    agent.fit(history.until(cut))
    read = agent.read(history, 4 * 1440)
    tape = Tape(history)
    for horizon in HORIZONS:
        came = target(tape, horizon)[:, cut:]
        known = np.isfinite(came)
        mine = qlike(came[known], read[f"variance_{horizon}"][known]).mean()
        assert mine < 0.8 * qlike(came[known], tape.day[:, cut:][known]).mean()


def test_too_little_history_is_said() -> None:
    with pytest.raises(TooLittleHistory, match="load more candles"):
        VolatilityForecast().fit(market(1, 12).until(1500))
    with pytest.raises(TooLittleHistory, match="train it first"):
        VolatilityForecast().read(market())
    with pytest.raises(TooLittleHistory, match="0 known windows"):
        fit_rows(np.zeros((1, 10, 3), np.float32), np.full((1, 10), np.nan))


def test_rows_stand_on_the_clock() -> None:
    times = market().open_times
    rows = rows_of(times)
    assert rows[0] >= 1440
    assert set((times[rows] + 60) % 300) == {0}
