"""The whole vector: an instrument's own columns beside those that need the others."""

import numpy as np

from models_ml.features import COLUMNS, LOOKBACK, VECTOR, build, build_rows, build_vector, dollar_sides
from models_ml.features.cross_asset import CROSS_COLUMNS, build_cross
from models_ml.features.matrix import BLOCK, CHUNK
from tests.models_ml.features.walks import minutes, walk

SIDES = dollar_sides(["USD/JPY", "EUR/USD", "GBP/USD"])


def test_both_parts_stand_in_the_stated_order() -> None:
    times, candles = minutes(500), walk(3, 500)
    vector = build_vector(times, candles, 20, dollar=SIDES)
    assert vector.dtype == np.float32
    assert (*COLUMNS, *CROSS_COLUMNS) == VECTOR
    np.testing.assert_array_equal(vector[..., : len(COLUMNS)], build(times, candles, 20).astype(np.float32))
    np.testing.assert_array_equal(
        vector[..., len(COLUMNS) :], build_cross(candles, 20, dollar=SIDES).astype(np.float32)
    )


def test_alone_an_instrument_has_no_market() -> None:
    vector = build_vector(minutes(500), walk(1, 500), 1)
    assert np.isnan(vector[..., len(COLUMNS) :]).all()


def test_chosen_rows_across_blocks_are_those_of_the_whole() -> None:
    steps = CHUNK + 50
    times, candles = minutes(steps), walk(3, steps, seed=8)
    index = np.array([[2, CHUNK + 3], [0, CHUNK - 1], [1, CHUNK], [0, 5000], [2, CHUNK + 49], [1, 40]])
    chosen = build_rows(times, candles, index, dollar=SIDES)
    for row, (instrument, minute) in zip(chosen, index.tolist(), strict=True):
        seen = slice(max(minute + 1 - LOOKBACK, 0), minute + 1)
        np.testing.assert_array_equal(row, build_vector(times[seen], candles[:, seen], 1, dollar=SIDES)[instrument, 0])
    assert build_rows(times, candles, index[:0]).shape == (0, len(VECTOR))


def test_chosen_rows_of_many_instruments_know_the_others_across_blocks() -> None:
    length = BLOCK // 64
    times, candles = minutes(length + 500), walk(64, length + 500, seed=9)
    candles[7, length - 200 : length - 150] = np.nan
    index = np.array([[7, length - 100], [40, length - 1], [2, length], [7, length + 1], [63, length + 499]])
    chosen = build_rows(times, candles, index)[:, len(COLUMNS) :]
    whole = build_cross(candles).astype(np.float32)
    np.testing.assert_array_equal(chosen, whole[index[:, 0], index[:, 1]])
    assert np.isfinite(chosen).any(axis=1).all()
