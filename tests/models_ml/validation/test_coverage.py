"""Thresholds that follow: the coverage is met though the market changes, and nothing later is looked at."""

import numpy as np
import pytest

from models_ml.validation.coverage import adaptive_thresholds, surest
from models_ml.validation.metrics import threshold_for

DAY = 86_400


def drifting(days: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences that double over the days and breathe within each."""
    rng = np.random.default_rng(seed)
    times = np.arange(days * 1440, dtype=np.int64) * 60
    level = (1 + times / times[-1]) * (1.5 + np.sin(2 * np.pi * times / DAY))
    return np.abs(rng.normal(0, 0.02, len(times))) * level, times


@pytest.mark.parametrize(("coverage", "within"), [(0.2, 0.03), (0.05, 0.015)])
def test_the_coverage_is_met_where_a_frozen_threshold_misses_it(coverage: float, within: float) -> None:
    confidence, times = drifting()
    first = times < 5 * DAY
    sure = surest(confidence[~first], times[~first], coverage, before=(confidence[first], times[first]))
    assert sure.mean() == pytest.approx(coverage, abs=within)
    frozen = confidence[~first] >= threshold_for(confidence[first], coverage)
    assert abs(frozen.mean() - coverage) > 2 * abs(sure.mean() - coverage)


def test_a_start_from_another_scale_is_made_up_for() -> None:
    """The model before was ten times as sure: its thresholds would leave nobody to speak for three days."""
    confidence, times = drifting()
    for factor in (0.1, 10.0):
        before = confidence[: 3 * 1440] * factor, times[: 3 * 1440]
        sure = surest(confidence[3 * 1440 :], times[3 * 1440 :], 0.2, before=before)
        assert sure.mean() == pytest.approx(0.2, abs=0.03)


def test_nothing_later_is_looked_at() -> None:
    confidence, times = drifting(6)
    at = 3 * 1440
    before = adaptive_thresholds(confidence, times, 0.2)[: at + 1]
    changed = confidence.copy()
    changed[at:] = 9.0
    np.testing.assert_array_equal(adaptive_thresholds(changed, times, 0.2)[: at + 1], before)


def test_rows_may_come_in_any_order_and_may_be_silent() -> None:
    confidence, times = drifting(4)
    confidence[::7] = np.nan
    order = np.random.default_rng(0).permutation(len(times))
    plain = adaptive_thresholds(confidence, times, 0.2)
    np.testing.assert_array_equal(adaptive_thresholds(confidence[order], times[order], 0.2), plain[order])
    sure = surest(confidence, times, 0.2)
    assert not sure[::7].any()
    assert not sure[times < 3600].any()  # nothing was said before: no threshold yet


def test_few_confidences_are_used_however_old() -> None:
    old = np.linspace(0, 1, 50), np.arange(50) * 60
    levels = adaptive_thresholds(np.array([0.5]), np.array([90 * DAY]), 0.2, before=old)
    assert levels[0] == pytest.approx(0.8)
    assert np.isnan(adaptive_thresholds(np.array([0.5]), np.array([90 * DAY]), 0.2)).all()
    assert adaptive_thresholds(np.empty(0), np.empty(0, dtype=np.int64), 0.2).shape == (0,)
