"""The bar: planted HAR weights come back, and no day is forecast from its own outcomes."""

import numpy as np

from models_ml.agents.har import HOURS, LAGS, har_daily, har_inputs
from models_ml.agents.realised import Tape
from models_ml.agents.volatility_forecast import rows_of
from tests.models_ml.agents.markets import START, market


def planted(days: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, outcomes, times and the true conditional mean."""
    rng = np.random.default_rng(seed)
    times = START + 300 * np.arange(days * 288, dtype=np.int64) - 60
    hours = (times + 60) // 3600 % HOURS
    x = np.column_stack([rng.normal(size=(len(times), 1 + len(LAGS))), hours[:, None] == np.arange(HOURS)])
    weights = np.concatenate([[0.2, 0.3, 0.3, 0.1], np.linspace(-15, -14, HOURS)])
    truth = np.exp(x @ weights)
    return x, truth * rng.chisquare(15, len(times)) / 15, times, truth


def test_planted_weights_are_found_again() -> None:
    x, y, times, truth = planted(20)
    start = START + 15 * 86_400
    said = har_daily(x, y, times, 15, start)
    asked = times + 60 >= start
    assert np.isnan(said[~asked]).all()
    np.testing.assert_allclose(np.log(said[asked] / truth[asked]), 0, atol=0.12)


def test_no_day_reads_its_own_outcomes() -> None:
    x, y, times, _ = planted(8)
    start = START + 5 * 86_400
    said = har_daily(x, y, times, 15, start)
    changed = y.copy()
    changed[times + 60 + 15 * 60 > START + 6 * 86_400] *= 50
    again = har_daily(x, changed, times, 15, start)
    sixth = (times + 60 >= start) & (times + 60 < START + 6 * 86_400)
    seventh = (times + 60 >= START + 6 * 86_400) & (times + 60 < START + 7 * 86_400)
    np.testing.assert_array_equal(again[sixth], said[sixth])
    np.testing.assert_array_equal(again[seventh], said[seventh])
    assert not np.array_equal(again[times + 60 >= START + 7 * 86_400], said[times + 60 >= START + 7 * 86_400])


def test_an_unknown_input_is_no_forecast() -> None:
    x, y, times, _ = planted(8)
    x[2000] = np.nan
    said = har_daily(x, y, times, 15, START + 5 * 86_400)
    assert np.isnan(said[2000])
    assert np.isfinite(said[2001])


def test_inputs_are_logs_and_hours() -> None:
    history = market()
    x = har_inputs(Tape(history).at(rows_of(history.open_times)), 0, "UTC")
    assert x.shape[1] == 1 + len(LAGS) + HOURS
    assert (x[:, -HOURS:].sum(axis=1) == 1).all()
