"""The picture shows what happened, and nothing where a candle is missing."""

import numpy as np

from markets.values import FloatArray
from models_ml.voters.cnn import CANDLES, PRICE_ROWS, SIDE, WICK, ChartVoter, draw
from tests.models_ml.worlds import COLUMNS, candle_walk, world


def flat(price: float = 10.0) -> FloatArray:
    candles = np.full((1, CANDLES, 5), price)
    candles[..., 4] = 1.0
    return candles


def test_a_rising_candle_stands_in_its_ink() -> None:
    candles = flat()
    candles[0, -1, :4] = [10.0, 14.0, 9.0, 12.0]
    picture = draw(candles)[0]
    assert picture.shape == (3, SIDE, SIDE)
    body, wick = picture[0, :, 3 * (CANDLES - 1)], picture[0, :, 3 * (CANDLES - 1) + 1]
    scale = (PRICE_ROWS - 1) / 5.0
    top, bottom = round((14 - 12) * scale), round((14 - 10) * scale)
    assert np.flatnonzero(body).tolist() == list(range(top, bottom + 1))
    assert (wick[:PRICE_ROWS] > 0).all()
    assert wick[0] == WICK
    assert (picture[1, :, -4:] == 0).all()


def test_a_falling_candle_has_the_other_ink() -> None:
    candles = flat()
    candles[0, 3, :4] = [12.0, 13.0, 9.0, 10.0]
    picture = draw(candles)[0]
    assert picture[1, :, 9:12].sum() > 0
    assert picture[0, :, 9:12].sum() == 0


def test_the_largest_volume_fills_its_part() -> None:
    candles = flat()
    candles[0, :, 4] = np.arange(CANDLES)
    heights = draw(candles)[0, 2].sum(axis=0)[: 3 * CANDLES : 3]
    assert heights[-1] == SIDE - PRICE_ROWS
    assert heights[0] == 0
    assert (np.diff(heights) >= 0).all()
    assert (draw(candles)[0, 2, :PRICE_ROWS] == 0).all()


def test_a_missing_candle_leaves_a_hole() -> None:
    candles = candle_walk(np.random.default_rng(0), 2, CANDLES)
    candles[0, 5] = np.nan
    picture = draw(candles)
    assert (picture[0, :, :, 15:18] == 0).all()
    assert (picture[0, :, :, 12:15] > 0).any()
    empty = draw(np.full((1, CANDLES, 5), np.nan))
    assert (empty == 0).all()


def test_prices_only_matter_by_their_place() -> None:
    candles = candle_walk(np.random.default_rng(0), 3, CANDLES)
    moved = candles.copy()
    moved[..., :4] = 7 + 3 * candles[..., :4]
    np.testing.assert_array_equal(draw(moved), draw(candles))


def test_the_mirror_is_the_picture_of_the_mirrored_market() -> None:
    samples = world(instruments=1, minutes=60)
    voter = ChartVoter(COLUMNS)
    view = voter.view(samples)
    rows = np.array([40, 50])
    inputs, _ = view.read(rows)
    candles = view.candles.cut(rows)
    turned = candles.copy()
    turned[..., :4] = 200 - candles[..., [0, 2, 1, 3]]
    agree = draw(turned) == view.mirror(inputs)[0]
    assert agree.mean() > 0.99  # rows are rounded, so a price halfway between two may fall either way
    np.testing.assert_array_equal(view.mirror(view.mirror(inputs))[0], inputs[0])
