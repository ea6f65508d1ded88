"""Columns made of columns, by hand."""

import numpy as np
import pytest

from models_ml.features import COLUMNS, FEATURES, LOOKBACK, build
from models_ml.features.alignment import (
    FAR,
    agreement,
    likeness,
    resistance_strength,
    room,
    support_strength,
    weighted,
)
from tests.models_ml.features.walks import minutes, walk


def column(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Parts (n, 1, 1) of one row."""
    return np.array(values, dtype=np.float64)[:, None, None]


def test_agreement_is_the_mean_sign() -> None:
    assert agreement(column(0.3, 2, -1, 0))[0, 0] == 0.25


def test_longer_timeframes_weigh_more() -> None:
    root = np.sqrt([1, 5, 15, 30, 60, 240])
    assert weighted(column(0, 0, 0, 0, 0, 1))[0, 0] == pytest.approx(root[-1] / root.sum())
    assert weighted(column(1, 1, 1))[0, 0] == pytest.approx(1)


def test_likeness_is_a_cosine() -> None:
    assert likeness(column(1, 0, 1, 0))[0, 0] == 1
    assert likeness(column(1, 0, 0, 1))[0, 0] == 0
    assert likeness(column(1, 2, -2, -4))[0, 0] == pytest.approx(-1)
    with np.errstate(invalid="ignore"):  # 0 / 0 is answered
        assert likeness(column(0, 0, 1, 1))[0, 0] == 0


def test_confluence_counts_near_levels_on_each_side() -> None:
    gaps = column(0, 1, -1, -30)
    assert support_strength(gaps)[0, 0] == pytest.approx((1 + np.exp(-1)) / 4)
    assert resistance_strength(gaps)[0, 0] == pytest.approx((np.exp(-1) + np.exp(-30)) / 4)


def test_room_weighs_the_ways_to_the_nearest_levels() -> None:
    assert room(column(1, 5, -3, -9))[0, 0] == pytest.approx((3 - 1) / 4)
    assert room(column(1, 5))[0, 0] == pytest.approx((FAR - 1) / (FAR + 1))
    assert np.isnan(room(column(1, np.nan))).all()


def test_blended_columns_are_those_of_their_parts() -> None:
    built = build(minutes(LOOKBACK + 60), walk(2, LOOKBACK + 60, seed=3), 60)
    blended = [feature for feature in FEATURES if feature.parts]
    assert len(blended) >= 10
    for feature in blended:
        assert feature.blend is not None
        parts = np.moveaxis(built[..., [COLUMNS.index(part) for part in feature.parts]], -1, 0)
        np.testing.assert_allclose(built[..., COLUMNS.index(feature.name)], feature.blend(parts), rtol=1e-12)
