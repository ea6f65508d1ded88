"""Days are resampled whole, the same for every model, and the shortcut for areas is the area."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.validation.bootstrap import DAY_S, DayDraws, interval
from models_ml.validation.metrics import auc, day_bootstrap


def rows(n: int, days: int, seed: int = 0, edge: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, outcomes that follow them by `edge`, and decision instants."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=n)
    return scores, rng.normal(size=n) < edge * scores, rng.integers(0, days * 1440, n) * 60


@settings(deadline=None, max_examples=25)
@given(st.integers(50, 400), st.integers(2, 6), st.integers(0, 2**31), st.integers(0, 3))
def test_areas_of_draws_are_areas_of_the_drawn_rows(n: int, days: int, seed: int, digits: int) -> None:
    scores, up, times = rows(n, days, seed)
    scores = np.round(scores, digits)
    draws = DayDraws.of(times, draws=5, seed=seed)
    found = draws.aucs(scores, up, np.ones(n, dtype=bool))
    for counts, value in zip(draws.counts.astype(int), found, strict=True):
        drawn = np.repeat(np.arange(n), counts[draws.place])
        expected = auc(scores[drawn], up[drawn])
        assert value == pytest.approx(expected) if expected is not None else np.isnan(value)


def test_coarse_ranks_hardly_move_the_area() -> None:
    scores, up, times = rows(60_000, 20, edge=0.1)
    one_each = DayDraws(DayDraws.of(times).place, np.ones((1, 20)))
    assert one_each.aucs(scores, up, np.ones(len(up), dtype=bool))[0] == pytest.approx(auc(scores, up), abs=1e-5)


def test_means_are_those_of_the_plain_bootstrap() -> None:
    scores, up, times = rows(5_000, 12)
    hits = ((scores > 0) == up).astype(np.float64)
    found = interval(DayDraws.of(times, seed=3).means(hits, np.ones(len(hits), dtype=bool)))
    assert found == pytest.approx(day_bootstrap(hits, times, seed=3))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    inside = 0
    for seed in range(100):
        scores, up, times = rows(4_000, 20, seed)
        found = interval(DayDraws.of(times, draws=300, seed=seed).aucs(scores, up, np.ones(4_000, dtype=bool)))
        assert found is not None
        inside += found[0] <= 0.5 <= found[1]
    assert 85 <= inside <= 100


def test_differences_are_paired() -> None:
    """Two models that share their luck differ by little, however wild the days."""
    rng = np.random.default_rng(0)
    times = np.repeat(np.arange(30), 200) * DAY_S
    luck = np.repeat(rng.normal(0, 0.5, 30), 200)
    up = rng.normal(size=6_000) < luck
    one = rng.normal(size=6_000)
    other = one + rng.normal(0, 0.05, 6_000)
    draws, use = DayDraws.of(times), np.ones(6_000, dtype=bool)
    both = draws.aucs(one, up, use) - draws.aucs(other, up, use)
    assert both.std() < draws.aucs(one, up, use).std() / 3


def test_nothing_to_draw_has_no_interval() -> None:
    times = np.array([0, 60], dtype=np.int64)
    draws = DayDraws.of(times + np.array([0, DAY_S]), draws=10)
    one_day = DayDraws.of(times, draws=10)
    assert interval(one_day.means(np.ones(2), np.ones(2, dtype=bool))) is None
    nobody = np.zeros(2, dtype=bool)
    assert interval(draws.aucs(np.zeros(2), np.array([True, False]), nobody)) is None
    assert interval(draws.means(np.zeros(2), nobody)) is None
    assert interval(np.empty(0)) is None
