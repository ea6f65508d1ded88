"""From the panel's lean to a probability that says what it rests on."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.validation.metrics import wilson
from signals import confidence
from signals.confidence import (
    MIN_N,
    Bin,
    Calibration,
    Chance,
    Probability,
    bin_of,
    lean_of,
    stated,
    stated_by_stack,
)

CURVE = Calibration(lean=(0.1, 0.3, 0.5), right=(0.50, 0.56, 0.61), validation={11: Bin(250, 140), 12: Bin(80, 50)})


def rows(*answers: tuple[float, float, float] | None) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Probabilities (seats, 3); None abstains."""
    return np.array([answer or (np.nan,) * 3 for answer in answers], np.float32)


# ---- the lean


def test_the_lean_is_the_mean_over_those_that_voted() -> None:
    assert lean_of(rows((0.2, 0.2, 0.6), (0.4, 0.2, 0.4), None)) == pytest.approx((0.5 + 0.0) / 2)
    assert lean_of(rows((0.6, 0.2, 0.2))) == pytest.approx(-0.5)


def test_the_tie_takes_no_side() -> None:
    assert lean_of(rows((0.1, 0.7, 0.2))) == pytest.approx(lean_of(rows((0.3, 0.1, 0.6))))
    assert lean_of(rows((0.0, 1.0, 0.0))) == 0.0


def test_nobody_has_no_lean() -> None:
    assert np.isnan(lean_of(rows(None, None)))


def test_the_lean_of_many_rows_is_that_of_each() -> None:
    both = np.stack([rows((0.2, 0.2, 0.6), None), rows(None, None)])
    assert lean_of(both)[0] == pytest.approx(0.5)
    assert np.isnan(lean_of(both)[1])


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3).filter(lambda p: sum(p) > 0.01), min_size=1, max_size=9))
def test_the_lean_is_bounded_and_odd(raw: list[tuple[float, float, float]]) -> None:
    table = np.array(raw)
    lean = float(lean_of(table))
    assert -1 <= lean <= 1
    assert float(lean_of(table[:, ::-1])) == pytest.approx(-lean, abs=1e-12)


# ---- the calibration


@pytest.mark.parametrize(
    ("lean", "probability"), [(0.3, 0.56), (0.2, 0.53), (0.4, 0.585), (0.0, 0.50), (-1.0, 0.50), (0.9, 0.61)]
)
def test_the_curve_is_linear_between_knots_and_constant_beyond(lean: float, probability: float) -> None:
    assert CURVE.at(lean) == pytest.approx(probability)


def test_knots_are_read_as_training_wrote_them() -> None:
    knots = {
        "x": [0.1, 0.2, 0.4],
        "y": [0.51, 0.54, 0.58],
        "n": [100, 120, 140],
        "won": [51, 65, 81],
        "method": "isotonic",
    }
    read = Calibration.from_knots(knots)
    assert read == Calibration((0.1, 0.2, 0.4), (0.51, 0.54, 0.58), {10: Bin(220, 116), 11: Bin(140, 81)})


@pytest.mark.parametrize("knots", [{}, {"x": [], "y": [], "n": [], "won": []}])
def test_nothing_learned_is_no_calibration(knots: dict[str, list[float]]) -> None:
    assert Calibration.from_knots(knots) is None


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_a_stronger_lean_never_states_less(leans: list[float]) -> None:
    said = [CURVE.at(lean) for lean in sorted(leans)]
    assert said == sorted(said)


# ---- bins and intervals


@pytest.mark.parametrize(
    ("probability", "number"),
    [(0.0, 0), (0.049, 0), (0.05, 1), (0.55, 11), (0.5999, 11), (0.6, 12), (0.99, 19), (1.0, 19)],
)
def test_bins_are_five_points_wide_and_include_their_lower_edge(probability: float, number: int) -> None:
    assert bin_of(probability) == number


@pytest.mark.parametrize("edge", range(20))
def test_every_edge_belongs_to_the_bin_above(edge: int) -> None:
    assert bin_of(edge * 0.05) == edge
    assert bin_of(edge / 20) == edge


# ---- what is stated


def test_a_probability_names_the_past_it_rests_on() -> None:
    said = stated(0.35, 1, CURVE)
    low, high = wilson(140, 250)
    assert said is not None
    assert said == Probability(said.value, low, high, 250, "validation")
    assert said.value == pytest.approx(0.5725)


def test_a_downward_lean_states_for_down() -> None:
    down, up = stated(-0.35, -1, CURVE), stated(0.35, 1, CURVE)
    assert down == up
    against = stated(0.35, -1, CURVE)
    assert against is not None
    assert against.value == 0.50, "the panel's votes and its lean disagree: the curve's lowest value"


@pytest.mark.parametrize(("lean", "direction", "calibration"), [(0.3, 0, CURVE), (np.nan, 1, CURVE), (0.3, 1, None)])
def test_without_direction_lean_or_calibration_nothing_is_stated(
    lean: float, direction: int, calibration: Calibration | None
) -> None:
    assert stated(lean, direction, calibration) is None


@pytest.mark.parametrize(("n", "source"), [(MIN_N - 1, "validation"), (MIN_N, "live"), (MIN_N + 1, "live")])
def test_live_outcomes_count_from_a_hundred_on(n: int, source: str) -> None:
    said = stated(0.35, 1, CURVE, {11: Bin(n, 60)})
    assert said is not None
    assert (said.source, said.n) == (source, n if source == "live" else 250)


def test_only_the_same_bin_counts() -> None:
    said = stated(0.35, 1, CURVE, {12: Bin(900, 500)})
    assert said is not None
    assert (said.source, said.n) == ("validation", 250)


def test_a_bin_without_past_says_so() -> None:
    said = stated(0.05, 1, CURVE, {})
    assert said == Probability(0.50, 0.0, 1.0, 0, "validation")


def test_the_figure_that_gates_every_printed_probability() -> None:
    assert confidence.MIN_N == 100


# ---- the stack


CHANCE = Chance(up=0.6, low=0.55, high=0.66, tie=0.1)


def test_a_tie_is_not_right_on_either_side() -> None:
    assert CHANCE.of(1) == pytest.approx((0.54, 0.495))
    assert CHANCE.of(-1) == pytest.approx((0.36, 0.9 * 0.34))


def test_the_stack_states_its_own_value_and_the_past_of_its_bin() -> None:
    said = stated_by_stack(CHANCE, 1, {10: Bin(200, 120)})
    assert said is not None
    assert (said.value, said.floor) == pytest.approx((0.54, 0.495))
    assert (said.n, said.source, (said.low, said.high)) == (200, "validation", wilson(120, 200))
    live = stated_by_stack(CHANCE, 1, {10: Bin(200, 120)}, {10: Bin(MIN_N, 60)})
    assert live is not None
    assert (live.n, live.source) == (MIN_N, "live")


def test_a_stack_without_a_past_carries_nothing() -> None:
    said = stated_by_stack(CHANCE, 1, {})
    assert said is not None
    assert (said.n, said.is_known, said.cautious) == (0, False, 0.0)


@pytest.mark.parametrize("blind", ["up", "low", "high", "tie"])
def test_a_stack_that_heard_nobody_says_nothing(blind: str) -> None:
    assert stated_by_stack(replace(CHANCE, **{blind: float("nan")}), 1, {}) is None
    assert stated_by_stack(CHANCE, 0, {}) is None
