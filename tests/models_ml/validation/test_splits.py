"""No split lets a label reach across its border."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models_ml.validation.splits import HORIZON_S, LAG_S, PURGE_S, BadSplit, combinatorial, time_ordered, walk_forward

TIMES = arrays.arrays(np.int64, st.integers(60, 400), elements=st.integers(0, 500).map(lambda minute: minute * 60))


def test_the_purge_covers_horizon_and_lag() -> None:
    assert PURGE_S >= HORIZON_S + LAG_S


@settings(deadline=None)
@given(TIMES)
def test_parts_follow_each_other_with_a_purge_between(times: np.ndarray) -> None:
    try:
        parts = time_ordered(times)
    except BadSplit:
        return
    joined = np.concatenate(parts)
    assert len(np.unique(joined)) == len(joined)
    for earlier, later in pairwise(parts):
        assert times[later].min() - times[earlier].max() > PURGE_S


def test_shares_are_of_the_distinct_minutes() -> None:
    times = np.repeat(np.arange(1000) * 60, 3)
    train, validation, calibration = time_ordered(times)
    assert (len(train), len(validation), len(calibration)) == (3 * 598, 3 * 198, 600)
    np.testing.assert_array_equal(train[:3], [0, 1, 2])


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.2, -0.2)])
def test_shares_must_fill_the_span(shares: tuple[float, ...]) -> None:
    with pytest.raises(BadSplit, match="sum to 1"):
        time_ordered(np.arange(100) * 60, shares)


@pytest.mark.parametrize("minutes", [0, 1, 5])
def test_too_few_minutes_are_named(minutes: int) -> None:
    with pytest.raises(BadSplit, match="load more candles"):
        time_ordered(np.arange(minutes) * 60)


def test_a_short_purge_is_refused() -> None:
    times = np.arange(100) * 60
    for split in (
        lambda: time_ordered(times, purge_s=PURGE_S - 1),
        lambda: list(walk_forward(times, 2, purge_s=PURGE_S - 1)),
        lambda: list(combinatorial(times, embargo_s=0, purge_s=PURGE_S - 1)),
    ):
        with pytest.raises(BadSplit, match="labels would leak"):
            split()


def test_walk_forward_expands_and_tests_each_late_minute_once() -> None:
    times = np.random.default_rng(0).permutation(np.repeat(np.arange(600) * 60, 2))
    folds = list(walk_forward(times, 5))
    assert len(folds) == 5
    tested = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(np.sort(times[tested]), np.repeat(np.arange(300, 600) * 60, 2))
    for train, test in folds:
        assert times[train].max() + PURGE_S < times[test].min()
    sizes = [len(train) for train, _ in folds]
    assert sizes == sorted(sizes)


def test_walk_forward_needs_minutes_for_its_folds() -> None:
    with pytest.raises(BadSplit, match="5 folds"):
        list(walk_forward(np.arange(8) * 60, 5))


def test_combinatorial_splits_keep_purge_and_embargo() -> None:
    times = np.arange(1000) * 60
    splits = list(combinatorial(times, groups=10, held=2, embargo_s=30 * 60))
    assert len(splits) == 45
    assert all(len(test) == 200 for _, test in splits)
    for train, test in splits:
        blocks = np.split(test, np.flatnonzero(np.diff(test) > 1) + 1)
        for block in blocks:
            start, stop = times[block[0]], times[block[-1]] + 60
            near = (times[train] >= start - PURGE_S) & (times[train] < stop + 30 * 60)
            assert not near.any()


def test_combinatorial_needs_as_many_minutes_as_groups() -> None:
    with pytest.raises(BadSplit, match="10 groups"):
        list(combinatorial(np.arange(5) * 60, embargo_s=0))
