"""The map from score to probability: rising, honest about noise, and hardly moved by a day."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from models_ml.agents.calibration import Calibrator, abstention_band, nonconformity, pooled
from models_ml.agents.logistic import fit_logistic, logit, sigmoid
from models_ml.validation.metrics import calibration_error, calibration_floor


def outcomes(n: int, seed: int = 0, slope: float = 1.0, size: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds as large as next-minute forecasts have, and what came of them if `slope` of them were true."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, size, n)
    return scores, rng.random(n) < sigmoid(slope * scores)


def test_the_regression_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2_000, 4))
    up = rng.random(2_000) < sigmoid(x @ [0.5, -0.3, 0.0, 0.1] + 0.2)
    weight = rng.uniform(0.5, 2, 2_000)
    columns = np.concatenate([x, np.ones((2_000, 1))], axis=1)
    ours = fit_logistic(columns, up, 0.01, weight=weight)
    theirs = LogisticRegression(C=1 / (0.01 * weight.sum()), fit_intercept=False, tol=1e-10).fit(columns, up, weight)
    np.testing.assert_allclose(ours, theirs.coef_[0], atol=1e-4)


def test_an_offset_is_what_is_known_already() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5_000, 2))
    up = rng.random(5_000) < sigmoid(x @ [0.5, -0.5])
    whole = fit_logistic(x, up, 1e-9)
    np.testing.assert_allclose(fit_logistic(x, up, 1e-9, offset=x @ whole), 0, atol=1e-3)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 100)), min_size=1, max_size=40))
def test_pooling_agrees_with_scikit_learn(bins: list[tuple[float, float]]) -> None:
    values, weights = (np.array(part) for part in zip(*bins, strict=True))
    rising, blocks = pooled(values, weights)
    reference = IsotonicRegression().fit_transform(np.arange(len(values)), values, sample_weight=weights)
    np.testing.assert_allclose(rising, reference, atol=1e-9)
    assert (np.diff(rising) >= 0).all()
    assert blocks.min() >= weights.min()


@pytest.mark.parametrize("slope", [0.3, 1.0, 2.0])
def test_later_rows_sit_near_the_floor(slope: float) -> None:
    """The binding limit is floor + 0.004; scores of any boldness must meet it."""
    scores, up = outcomes(20_000, seed=3, slope=slope)
    later, came = outcomes(50_000, seed=4, slope=slope)
    said, low, high = Calibrator.learn(scores, up)(later)
    error, floor = calibration_error(said, came), calibration_floor(said)
    assert error is not None
    assert floor is not None
    assert error < floor + 0.004
    truth = sigmoid(slope * later)
    assert ((low <= truth) & (truth <= high)).mean() > 0.85


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5_000), st.integers(0, 2**31), st.floats(-3, 3))
def test_the_map_rises_and_survives_json(n: int, seed: int, slope: float) -> None:
    scores, up = outcomes(n, seed, slope)
    found = Calibrator.learn(scores, up)
    grid = np.linspace(-1, 1, 101)
    said, low, high = found(grid)
    assert (np.diff(said) >= 0).all()
    assert ((low >= 0) & (low <= said) & (said <= high) & (high <= 1)).all()
    for ours, theirs in zip(
        found(grid), Calibrator.from_json(json.loads(json.dumps(found.as_json())))(grid), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_curve_that_is_no_line_is_followed() -> None:
    rng = np.random.default_rng(5)
    scores = rng.normal(0, 1, 200_000)
    truth = np.where(scores > 0.5, 0.6, np.where(scores < -0.5, 0.4, 0.5))
    said = Calibrator.learn(scores, rng.random(len(scores)) < truth)(scores)[0]
    line = Calibrator.learn(scores, rng.random(len(scores)) < truth)
    alone = Calibrator(line.intercept, line.slope)(scores)[0]
    assert np.abs(said - truth).mean() < 0.6 * np.abs(alone - truth).mean()


def test_nothing_revealed_changes_nothing() -> None:
    former = Calibrator.learn(*outcomes(5_000))
    assert Calibrator.learn(np.empty(0), np.empty(0, dtype=bool), former) is former
    said, low, high = Calibrator()(np.array([0.0, 0.4, np.nan]))
    np.testing.assert_allclose(said, [0.5, sigmoid(np.array([0.4]))[0], np.nan])
    np.testing.assert_array_equal(low, [0, 0, np.nan])
    np.testing.assert_array_equal(high, [1, 1, np.nan])


def test_the_drift_of_a_day_is_hardly_believed() -> None:
    """A day on which everything rises tells of that day."""
    scores, _ = outcomes(1_000)
    said = Calibrator.learn(scores, np.random.default_rng(0).random(1_000) < 0.6)(np.zeros(1))[0]
    assert 0.5 < said[0] < 0.52


def test_log_odds_and_back() -> None:
    p = np.array([0.01, 0.5, 0.99])
    np.testing.assert_allclose(sigmoid(logit(p)), p)
    np.testing.assert_array_equal(sigmoid(np.array([-1e9, 1e9])), [0, 1])
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


def test_the_band_is_read_from_quantiles() -> None:
    quantiles = nonconformity(np.full(1_000, 0.6), np.arange(1_000) < 600)
    assert abstention_band(quantiles, 0.5) == 0.0  # 1 − p = 0.4 covers six of ten: one label is enough
    assert abstention_band(quantiles, 0.7) == pytest.approx(0.1)
