"""The ridge regression and the slope that turns an expected move into a chance."""

import json

import numpy as np
import pytest

from models_ml.voters.leaning import LEAST, USUAL, chance, slope_of
from models_ml.voters.linear import STRENGTH, Linear


def test_it_is_ridge_on_standardised_inputs() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(3, 2, (500, 4)).astype(np.float32)
    target = np.stack([rows[:, 0] + rng.normal(size=500), 2 * rows[:, 3] + 7], axis=1)
    line = Linear.learn(rows, target)
    x = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    y = target - target.mean(axis=0)
    expected = np.linalg.solve(x.T @ x + STRENGTH * 500 * np.eye(4), x.T @ y).T
    np.testing.assert_allclose(line.weights, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(line.answer(rows), x @ expected.T, atol=1e-2)


def test_unknown_and_constant_inputs_say_nothing() -> None:
    rows = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    rows[:, 1] = 5
    rows[::2, 2] = np.nan
    line = Linear.learn(rows, rows[:, :1].astype(np.float64))
    assert np.isfinite(line.weights).all()
    np.testing.assert_array_equal(line.answer(np.array([[line.centre[0], 5, np.nan]], dtype=np.float32)), [[0.0]])


def test_blocks_say_what_the_whole_says() -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(900, 3)).astype(np.float32)
    target = rows[:, :1] - rows[:, 1:2] + rng.normal(size=(900, 1))
    goal = target - target.mean(axis=0)
    blocks = ((rows[first : first + 250], goal[first : first + 250]) for first in range(0, 900, 250))
    line = Linear.scaled(rows).fitted(blocks, (2.0,))
    np.testing.assert_allclose(line.weights, Linear.learn(rows, target, (2.0,)).weights, rtol=1e-4)


def test_it_survives_json() -> None:
    rows = np.random.default_rng(2).normal(size=(100, 3)).astype(np.float32)
    line = Linear.learn(rows, rows[:, :2].astype(np.float64))
    again = Linear.of_plain(json.loads(json.dumps(line.plain())))
    np.testing.assert_allclose(again.answer(rows), line.answer(rows), rtol=1e-12)


def test_the_slope_is_found_and_shrunk_to_the_usual_one() -> None:
    rng = np.random.default_rng(3)
    lean = rng.normal(0, 0.2, 60_000)
    assert slope_of(lean, rng.random(60_000) < chance(lean, 1.5)) == pytest.approx(1.5, abs=0.15)
    assert slope_of(lean[:20], rng.random(20) < 0.5) == pytest.approx(USUAL, abs=0.5)
    assert slope_of(lean, lean < 0) == LEAST, "a voter that is always wrong is told to whisper, not to turn round"


def test_an_even_lean_is_an_even_chance() -> None:
    assert chance(np.zeros(2), 3.0).tolist() == [0.5, 0.5]
