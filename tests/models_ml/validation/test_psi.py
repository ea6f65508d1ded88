"""Features that moved away from training: by hand, and on days that did not."""

import numpy as np
import pytest

from models_ml.validation.psi import DAY_S, RULE_OF_THUMB, FeatureSlice

COLUMNS = ("a", "b", "c")


def rows(seed: int, days: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N, 3) of standard normals, a minute each, and their times."""
    rng = np.random.default_rng(seed)
    n = days * 1440
    return (rng.normal(size=(n, 3)) + shift).astype(np.float32), np.arange(n) * 60


@pytest.fixture
def learned() -> FeatureSlice:
    return FeatureSlice.learn(COLUMNS, *rows(0, 5))


def test_a_day_like_the_others_is_no_drift(learned: FeatureSlice) -> None:
    day, _ = rows(1, 1)
    assert learned.distance(day) < 0.05 < learned.limit == RULE_OF_THUMB


@pytest.mark.parametrize("shift", [1.0, -2.0])
def test_a_shifted_day_is(learned: FeatureSlice, shift: float) -> None:
    day, _ = rows(1, 1, shift)
    assert learned.distance(day) > learned.limit


def test_one_column_alone_is_none(learned: FeatureSlice) -> None:
    day, _ = rows(1, 1)
    day[:, 0] += 5
    assert learned.distance(day) < learned.limit


def test_columns_that_became_unknown_are_drift(learned: FeatureSlice) -> None:
    day, _ = rows(1, 1)
    day[:, :2] = np.nan
    assert learned.distance(day) > learned.limit


def test_a_market_whose_days_differ_asks_for_more() -> None:
    """Slow columns stay in one bin for a day: the usual limit would ring every day."""
    features, times = rows(0, 6)
    features += (times // DAY_S)[:, None].astype(np.float32)
    learned = FeatureSlice.learn(COLUMNS, features, times)
    assert learned.usual > RULE_OF_THUMB
    assert learned.distance(features[times // DAY_S == 5]) < learned.limit
    assert learned.distance(features[times // DAY_S == 5] + 4) > learned.limit


def test_psi_by_hand() -> None:
    """One column, ten bins: a day that lies in the upper half only."""
    values = np.arange(1000, dtype=np.float32)[:, None]
    learned = FeatureSlice.learn(("a",), values, np.arange(1000) * 60)
    upper = values[500:]
    expected = 5 * (0.2 - 0.1) * np.log(2) + 5 * (0.001 - 0.1) * np.log(0.001 / 0.1)
    assert learned.distance(upper) == pytest.approx(expected, rel=0.02)


def test_it_survives_json(learned: FeatureSlice) -> None:
    again = FeatureSlice.from_json(learned.as_json())
    day, _ = rows(1, 1)
    assert again.distance(day) == pytest.approx(learned.distance(day), abs=1e-3)
    assert (again.columns, again.usual) == (learned.columns, learned.usual)


def test_an_empty_column_does_not_break_it() -> None:
    features, times = rows(0, 2)
    features[:, 1] = np.nan
    learned = FeatureSlice.learn(COLUMNS, features, times)
    assert learned.distance(features) < 0.01
