"""Each pattern on candles drawn by hand, and its mirror image."""

import numpy as np
import pytest

from markets.values import FloatArray
from models_ml.features import COLUMNS, build
from tests.models_ml.features.walks import minutes

Candle = tuple[float, float, float, float]
LEVEL = 100.0

DRAWN: dict[str, list[Candle]] = {  # open, high, low, close, relative to where the fall before them ended
    "doji_turn": [(0.0, 0.6, -0.6, 0.01)],
    "hammer": [(-0.2, 0.05, -1.2, 0.0)],
    "star": [(-0.2, 0.9, -0.22, 0.0)],
    "marubozu": [(0.0, 2.0, 0.0, 2.0)],
    "engulfing": [(0.0, 0.1, -1.1, -1.0), (-1.2, 0.4, -1.3, 0.3)],
    "harami": [(0.0, 0.1, -2.1, -2.0), (-1.2, -0.7, -1.3, -0.8)],
    "piercing": [(0.0, 0.1, -2.1, -2.0), (-2.2, -0.5, -2.3, -0.6)],
    "star_of_three": [(0.0, 0.1, -2.1, -2.0), (-2.1, -1.9, -2.4, -2.2), (-2.0, -0.4, -2.1, -0.5)],
    "soldiers": [(0.0, 1.6, -0.1, 1.5), (1.0, 2.6, 0.9, 2.5), (2.0, 3.6, 1.9, 3.5)],
    "tweezer": [(0.0, 0.1, -1.0, -0.8), (-0.8, 0.2, -1.0, 0.1)],
    "outside": [(0.0, 0.3, -0.3, -0.1), (-0.1, 0.9, -0.5, 0.8)],
}

MIRRORED = {"hammer": "star", "star": "hammer"}
"""Upside down a hammer is a shooting star, an inverted hammer a hanging man."""


def drawn(candles: list[Candle]) -> FloatArray:
    """Fifteen falling candles with bodies of 1 and ranges of 1.2, then `candles`, (1, T, 5)."""
    fall = [(15.0 - n, 15.1 - n, 13.9 - n, 14.0 - n) for n in range(15)]
    prices = np.array(fall + candles) + LEVEL
    return np.concatenate([prices, np.ones((len(prices), 1))], axis=1)[None]


def mirrored(candles: FloatArray) -> FloatArray:
    """The same market upside down."""
    out = candles.copy()
    out[..., :4] = 2 * LEVEL - candles[..., [0, 2, 1, 3]]
    return out


def reading(candles: FloatArray, name: str) -> float:
    return float(build(minutes(candles.shape[1]), candles, 1)[0, 0, COLUMNS.index(f"pattern_{name}")])


@pytest.mark.parametrize("name", DRAWN)
def test_bullish_drawing_and_bearish_mirror(name: str) -> None:
    candles = drawn(DRAWN[name])
    assert reading(candles, name) == 1
    assert reading(mirrored(candles), MIRRORED.get(name, name)) == -1


@pytest.mark.parametrize("name", DRAWN)
def test_plain_fall_is_no_pattern(name: str) -> None:
    assert reading(drawn([]), name) == 0


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("doji_turn", (0.0, 0.6, -0.6, 0.3)),  # a body
        ("hammer", (-0.2, 0.5, -1.2, 0.0)),  # an upper shadow
        ("star", (-0.2, 0.9, -0.9, 0.0)),  # a lower shadow
        ("marubozu", (0.0, 2.4, 0.0, 2.0)),  # a shadow
        ("marubozu", (0.0, 0.9, 0.0, 0.9)),  # a usual body
        ("engulfing", (-1.2, 0.0, -1.3, -0.1)),  # the open before stays out
        ("harami", (-2.2, -1.7, -2.3, -1.8)),  # the close before is passed
        ("piercing", (-2.2, -1.0, -2.3, -1.1)),  # below the middle
        ("tweezer", (-0.8, 0.2, -1.3, 0.1)),  # another low
        ("outside", (-0.1, 0.9, -0.3, 0.8)),  # the same low
    ],
)
def test_near_misses(name: str, last: Candle) -> None:
    assert reading(drawn([*DRAWN[name][:-1], last]), name) == 0


def test_shares_of_a_candle_by_hand() -> None:
    candles = np.array([[[10.0, 14.0, 9.0, 12.0, 1.0]]])
    row = build(minutes(1), candles, 1)[0, 0]
    shares = [row[COLUMNS.index(name)] for name in ("body_share", "upper_share", "lower_share")]
    np.testing.assert_allclose(shares, [0.4, 0.4, 0.2])
