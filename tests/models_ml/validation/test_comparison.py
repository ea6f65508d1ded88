"""Two models on the same minutes: figures worked by hand, and poisons that never win."""

import numpy as np
import pytest

from markets.values import FloatArray
from models_ml.validation.comparison import BLOCK_S, LEAST_BLOCKS, Comparison, compare, gains, lower_bound

MINUTES = 1440


def drawn(rng: np.random.Generator, lean: FloatArray) -> np.ndarray:
    """Labels that go up with probability ½ + lean."""
    return np.where(rng.random(len(lean)) < 0.5 + lean, 2, 0).astype(np.int8)


def forecasts(lean: FloatArray) -> FloatArray:
    """(N, 3) with P(up) = ½ + lean and no ties."""
    return np.stack([0.5 - lean, np.zeros(len(lean)), 0.5 + lean], axis=1)


@pytest.fixture
def day() -> tuple[np.random.Generator, FloatArray, np.ndarray, np.ndarray]:
    """A day of five instruments whose direction leans a little, and is known to lean by a good model."""
    rng = np.random.default_rng(0)
    lean = rng.normal(0, 0.06, MINUTES * 5).clip(-0.4, 0.4)
    return rng, lean, drawn(rng, lean), np.repeat(np.arange(MINUTES) * 60, 5)


def test_losses_by_hand() -> None:
    labels, times = np.array([2, 0], np.int8), np.array([0, 60])
    ours = np.array([[0.1, 0.1, 0.8], [0.6, 0.2, 0.2]])
    theirs = np.full((2, 3), 1 / 3)
    found = compare("brier", ours, theirs, labels, times)
    assert found.candidate == pytest.approx((0.06 + 0.24) / 2)
    assert found.champion == pytest.approx(2 / 3)
    assert found.gain == pytest.approx(2 / 3 - 0.15)
    assert found.skill == pytest.approx(0.5 - 0.15), "half up, half down is the best constant in hindsight"
    assert compare("log_loss", ours, theirs, labels, times).candidate == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)


def test_unknown_outcomes_are_not_counted_and_nothing_is_nothing() -> None:
    labels, times = np.array([2, -1], np.int8), np.array([0, 60])
    rows = np.full((2, 3), 1 / 3)
    assert compare("brier", rows, rows, labels, times).n == 1
    assert compare("brier", rows, rows, labels[1:], times[1:]) == Comparison(0, None, None, None, None, None)


def test_silence_is_scored_as_the_base_rate() -> None:
    labels, times = np.array([2, 0], np.int8), np.array([0, 60])
    silent = np.full((2, 3), np.nan)
    found = compare("brier", silent, None, labels, times)
    assert (found.gain, found.skill) == (0.0, 0.0)


def test_the_interval_needs_blocks_and_holds_its_level() -> None:
    few = np.arange(LEAST_BLOCKS - 1) * BLOCK_S
    assert lower_bound(np.ones(len(few)), few) is None
    rng = np.random.default_rng(1)
    times = np.arange(MINUTES) * 60
    common = [np.repeat(rng.normal(size=MINUTES // 10), 10) for _ in range(400)]  # ten minutes share their luck
    above = sum((lower_bound(values, times) or 0.0) > 0 for values in common)
    assert above / 400 < 0.05


def test_a_better_model_wins_over_a_worse_one(day: tuple) -> None:  # type: ignore[type-arg]  # see the fixture
    rng, lean, labels, times = day
    worse = forecasts((lean + rng.normal(0, 0.1, len(lean))).clip(-0.49, 0.49))
    found = compare("brier", forecasts(lean), worse, labels, times)
    assert found.wins(1000, 0.0)
    assert not compare("brier", worse, forecasts(lean), labels, times).wins(1000, 0.0)
    assert not found.wins(len(labels) + 1, 0.0), "too few rows win nothing"
    assert not found.wins(1000, 0.5), "nor does less than the margin"


@pytest.mark.parametrize("margin", [0.0, -0.0005], ids=["young champion", "ageing champion"])
@pytest.mark.parametrize("poison", ["constant", "shifted", "leaked", "silent"])
@pytest.mark.parametrize("skilled", [True, False], ids=["able champion", "bad champion"])
def test_poisoned_candidates_win_nothing(poison: str, margin: float, skilled: bool) -> None:
    """Fault 49, on 40 drawn days each: also a champion that is worse than nothing is not replaced by nothing."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        lean = rng.normal(0, 0.06, MINUTES * 5).clip(-0.4, 0.4)
        labels, times = drawn(rng, lean), np.repeat(np.arange(MINUTES) * 60, 5)
        noise = forecasts(rng.normal(0, 0.06, len(lean)).clip(-0.49, 0.49))
        candidate = {
            "constant": forecasts(np.full(len(lean), labels.mean() / 2 - 0.5)),
            "shifted": noise,
            "leaked": forecasts(np.where(rng.random(len(lean)) < 0.5, 0.45, -0.45)),  # sure, and without its leak wrong
            "silent": np.full((len(lean), 3), np.nan),
        }[poison]
        champion = forecasts(lean) if skilled else forecasts(np.where(rng.random(len(lean)) < 0.5, 0.4, -0.4))
        assert not compare("brier", candidate, champion, labels, times).wins(1000, margin), seed


def test_a_gain_counts_above_its_own_noise_only() -> None:
    noise = np.random.default_rng(3).normal(0, 1, 4800)
    noise -= noise.mean()
    error = float(np.std([part.mean() for part in np.array_split(noise, 48)], ddof=1) / np.sqrt(48))
    assert gains(noise + 1.1 * error)
    assert not gains(noise + 0.9 * error)
    assert gains(noise + 2.1 * error, 2.0)
    assert not gains(noise + 1.9 * error, 2.0)
    assert not gains(np.zeros(0))
    assert not gains(np.ones(1)), "one row has no noise to be told apart from"
