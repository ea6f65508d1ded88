"""Figures against their definitions and against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from models_ml.validation.metrics import (
    accuracy_above,
    area_under_risk_coverage,
    auc,
    balanced_accuracy,
    brier_skill,
    calibration_error,
    calibration_floor,
    climatology,
    cross_entropy,
    day_bootstrap,
    error_correlation,
    evaluate,
    matthews,
    reliability_line,
    rise_given_move,
    threshold_for,
    wilson,
)

DAY = 86_400


def calibrated(n: int, seed: int = 0, days: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A forecast that is exactly what it says: q (n,), up (n,), times (n,)."""
    rng = np.random.default_rng(seed)
    q = rng.uniform(0.3, 0.7, n)
    return q, rng.random(n) < q, np.sort(rng.integers(0, days * 1440, n)) * 60


def votes(q: np.ndarray, tie: float = 0.02) -> np.ndarray:
    return np.stack([(1 - tie) * (1 - q), np.full(len(q), tie), (1 - tie) * q], axis=1)


@settings(deadline=None)
@given(st.integers(20, 300), st.integers(0, 2**31), st.integers(1, 3))
def test_ranks_and_tables_agree_with_scikit_learn(n: int, seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    scores, up = np.round(rng.random(n), digits), rng.random(n) < 0.5
    up[:2] = [True, False]
    assert auc(scores, up) == pytest.approx(reference.roc_auc_score(up, scores))
    assert balanced_accuracy(scores > 0.5, up) == pytest.approx(reference.balanced_accuracy_score(up, scores > 0.5))
    assert matthews(scores > 0.5, up) == pytest.approx(reference.matthews_corrcoef(up, scores > 0.5))


def test_log_loss_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    p, labels = rng.dirichlet([2, 1, 2], 500), rng.integers(0, 3, 500).astype(np.int8)
    assert cross_entropy(p, labels) == pytest.approx(reference.log_loss(labels, p, labels=[0, 1, 2]))


def test_one_sided_outcomes_have_no_balanced_figures() -> None:
    said, up = np.array([True, False]), np.array([True, True])
    assert balanced_accuracy(said, up) is None
    assert matthews(said, up) is None
    assert auc(np.array([0.2, 0.7]), up) is None
    assert matthews(up, said) == 0.0


def test_no_number_at_nothing() -> None:
    figures = evaluate(np.zeros((0, 3)), np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.int64))
    assert figures["n"] == 0
    assert {name for name, value in figures.items() if value is not None} == {"n", "ties"}


def test_ties_are_their_own_outcome() -> None:
    p = votes(np.array([0.7, 0.7, 0.7, 0.2]))
    figures = evaluate(p, np.array([2, 1, 0, -1], dtype=np.int8), np.arange(4) * 60)
    assert (figures["n"], figures["ties"]) == (3, 1)
    assert figures["accuracy"] == 0.5
    assert figures["accuracy_ties_lost"] == pytest.approx(1 / 3)
    assert figures["answered"] == 0.75


def test_a_calibrated_forecast_sits_on_its_floor() -> None:
    q, up, times = calibrated(50_000)
    figures = evaluate(votes(q), np.where(up, 2, 0).astype(np.int8), times)
    assert figures["ece"] == pytest.approx(figures["ece_floor"], rel=0.6)
    assert figures["reliability_slope"] == pytest.approx(1.0, abs=0.1)
    assert figures["reliability_intercept"] == pytest.approx(0.0, abs=0.05)
    low, accuracy, high = figures["accuracy_low"], figures["accuracy"], figures["accuracy_high"]
    assert low is not None
    assert accuracy is not None
    assert high is not None
    assert low < accuracy < high
    assert accuracy == pytest.approx(0.6, abs=0.01)  # E max(q, 1 − q) for q uniform on 0.3..0.7


@pytest.mark.parametrize(("n", "floor"), [(1_000, 0.050), (10_000, 0.015), (50_000, 0.007)])
def test_the_floor_of_the_calibration_error(n: int, floor: float) -> None:
    assert calibration_floor(np.full(n, 0.5)) == pytest.approx(floor, abs=0.002)


def test_a_miscalibrated_forecast_is_seen() -> None:
    q, up, _ = calibrated(20_000)
    bold = np.clip(0.5 + 2 * (q - 0.5), 0, 1)
    error, floor = calibration_error(bold, up), calibration_floor(bold)
    assert error is not None
    assert floor is not None
    assert error > 3 * floor
    slope, _ = reliability_line(bold, up)
    assert slope == pytest.approx(0.5, abs=0.05)


def test_few_rows_have_no_bins() -> None:
    q, up, _ = calibrated(10)
    assert calibration_error(q, up) is None
    assert calibration_floor(q) is None
    assert reliability_line(q, up) == (None, None)
    assert reliability_line(np.full(100, 0.5), np.zeros(100, dtype=bool)) == (None, None)


def test_climatology_knows_only_outcomes_that_have_come() -> None:
    times = np.arange(6) * 60
    up = np.array([True, True, False, True, True, True])
    before = climatology(up, times)
    np.testing.assert_allclose(before, [1 / 2, 2 / 3, 3 / 4, 3 / 5, 4 / 6, 5 / 7])
    changed = up.copy()
    changed[3:] = False
    np.testing.assert_allclose(climatology(changed, times)[:4], before[:4])
    np.testing.assert_allclose(climatology(up, times, label_delay_s=600), 0.5)


def test_climatology_has_no_skill_over_itself() -> None:
    _, up, times = calibrated(2_000)
    assert brier_skill(climatology(up, times), up, times) == pytest.approx(0.0)
    assert brier_skill(up.astype(float), up, times) == pytest.approx(1.0)
    assert brier_skill(np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64)) is None


def test_a_frozen_threshold_reports_the_coverage_it_got() -> None:
    q, up, _ = calibrated(20_000)
    confidence, hits = np.abs(q - 0.5), (q > 0.5) == up
    threshold = threshold_for(confidence[:10_000], 0.2)
    accuracy, coverage = accuracy_above(confidence[10_000:], hits[10_000:], threshold)
    assert coverage == pytest.approx(0.2, abs=0.02)
    assert accuracy == pytest.approx(0.68, abs=0.02)
    assert accuracy_above(confidence, hits, threshold_for(confidence[:0], 0.2)) == (None, 0.0)


def test_confidence_that_orders_errors_lowers_the_curve() -> None:
    hits = np.array([True] * 60 + [False] * 40)
    good, bad = np.linspace(1, 0, 100), np.linspace(0, 1, 100)
    ordered, reversed_ = area_under_risk_coverage(good, hits), area_under_risk_coverage(bad, hits)
    assert ordered is not None
    assert reversed_ is not None
    assert ordered < 0.4 < reversed_
    assert area_under_risk_coverage(good[:0], hits[:0]) is None


def test_days_are_resampled_whole() -> None:
    """Values equal inside a day carry the information of the days, not of the rows."""
    rng = np.random.default_rng(0)
    daily = rng.random(30)
    values, times = np.repeat(daily, 1000), np.repeat(np.arange(30), 1000) * DAY
    low, high = day_bootstrap(values, times)
    assert low is not None
    assert high is not None
    spread = daily.std(ddof=1) / np.sqrt(30)
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.15)
    assert low < values.mean() < high
    assert day_bootstrap(values, times) == (low, high)
    assert day_bootstrap(values[:1000], times[:1000]) == (None, None)


@pytest.mark.parametrize(
    ("won", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 20, 0.0, 0.1611), (500, 1000, 0.4691, 0.5309), (0, 0, 0, 1)],
)
def test_wilson(won: int, n: int, low: float, high: float) -> None:
    assert wilson(won, n) == pytest.approx((low, high), abs=1e-4)


def test_wilson_has_the_published_figures() -> None:
    """Wilson's interval of 81 in 263: 0.2553 to 0.3662 (Newcombe, Statistics in Medicine 1998, table I, method 3)."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@given(st.integers(1, 5000), st.data())
def test_wilson_holds_the_share(n: int, data: st.DataObject) -> None:
    share = data.draw(st.integers(0, n)) / n
    low, high = wilson(share * n, n)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


def test_rise_given_move_leaves_the_tie_out() -> None:
    np.testing.assert_allclose(rise_given_move(np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])), [0.6, 0.5])


def test_errors_correlate_over_shared_rows_only() -> None:
    wrong = np.array([[1.0, 0, 1, 0, np.nan], [1, 0, 1, 0, 1], [0, 1, 0, 1, 0], [np.nan] * 5])
    table = error_correlation(wrong)
    np.testing.assert_allclose(table[:3, :3], [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    assert np.isnan(table[3]).all()
