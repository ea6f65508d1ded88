"""Several instruments together: by plain loops, and never from the future."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets.values import FloatArray
from models_ml.features.cross_asset import (
    CROSS_COLUMNS,
    CROSS_LOOKBACK,
    EVEN,
    build_cross,
    dollar_side,
    known_mean,
    known_means,
    places,
)
from tests.models_ml.features.walks import walk

STEPS = CROSS_LOOKBACK + 120
SIDES = np.array([1.0, -1.0, -1.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def candles() -> FloatArray:
    """Five instruments that share half of their moves."""
    one = walk(5, STEPS, seed=4, tick=1e-7)
    shared = np.exp(np.cumsum(np.random.default_rng(1).normal(0, 5e-4, STEPS)))
    out: FloatArray = one * np.concatenate([np.repeat(shared[:, None], 4, axis=1), np.ones((STEPS, 1))], axis=1)
    return out


def plain(candles: FloatArray, row: int, who: int) -> dict[str, float]:
    """The columns of one instrument at one row."""
    close = candles[:, : row + 1, 3]
    r = np.diff(np.log(close), axis=1)
    size = np.array(
        [
            [np.sqrt(np.mean(r[i, n - 59 : n + 1] ** 2)) if n >= 59 else np.nan for n in range(r.shape[1])]
            for i in range(5)
        ]
    )
    own = (r / size)[:, -330:]
    rest = [i for i in range(5) if i != who]
    turn = np.where(SIDES > 0, -1.0, 1.0)
    factor = (own[rest] * turn[rest, None]).mean(axis=0) * turn[who]
    paired = [i for i in rest if SIDES[i]]
    basket = (own[paired] * SIDES[paired, None]).mean(axis=0)

    def residual(explains: FloatArray) -> FloatArray:
        left = np.full(330, np.nan)
        for n in range(239, 330):
            x, y = explains[n - 239 : n + 1], own[who, n - 239 : n + 1]
            left[n] = own[who, n] - (x * y).sum() / (x * x).sum() * explains[n]
        return left

    def over(values: FloatArray, n: int) -> float:
        return float(values[-n:].sum() / np.sqrt(np.mean(values[-60:] ** 2)) / np.sqrt(n))

    hour = own[:, -60:].sum(axis=1)
    left = residual(factor)
    y = own[who, -60:]
    return {
        "market_return_1": over(factor, 1),
        "market_before_2": float(factor[-3] / np.sqrt(np.mean(factor[-62:-2] ** 2))),
        "residual_before_3": float(left[-4] / np.sqrt(np.mean(left[-63:-3] ** 2))),
        "market_slope_240": float((own[who, -240:] * factor[-240:]).sum() / (factor[-240:] ** 2).sum()),
        "market_return_15": over(factor, 15),
        "own_residual_5": over(left, 5),
        "own_residual_60": over(left, 60),
        "market_correlation_60": float(np.corrcoef(y, factor[-60:])[0, 1]),
        "market_correlation_240": float(np.corrcoef(own[who, -240:], factor[-240:])[0, 1]),
        "market_lead_60": float(np.mean(y * factor[-61:-1]) / np.sqrt(np.mean(y**2) * np.mean(factor[-61:-1] ** 2))),
        "market_breadth_15": float(np.sign(own[:, -15:].sum(axis=1)).mean()),
        "market_standing_60": float((np.sum(hour < hour[who]) - np.sum(hour > hour[who])) / 4),
        "market_dispersion_60": float(np.sqrt(np.mean(left[-60:] ** 2) / np.mean(y**2))),
        "dollar_return_15": over(basket, 15),
        "dollar_residual_15": over(residual(basket), 15) if SIDES[who] else np.nan,
    }


@pytest.mark.parametrize("who", range(5))
def test_columns_equal_a_plain_loop(candles: FloatArray, who: int) -> None:
    built = build_cross(candles, dollar=SIDES)
    for row in (STEPS - 1, STEPS - 20):
        for name, expected in plain(candles, row, who).items():
            found = built[who, row, CROSS_COLUMNS.index(name)]
            assert found == pytest.approx(expected, rel=1e-6, nan_ok=True), name


def test_known_from_the_look_back_on(candles: FloatArray) -> None:
    built = build_cross(candles, dollar=SIDES)[:4]
    assert np.isfinite(built[:, CROSS_LOOKBACK - 1 :]).all()
    assert np.isnan(built[:, : CROSS_LOOKBACK - 1]).all()


def test_any_start_far_enough_back_gives_the_same_rows(candles: FloatArray) -> None:
    holed = candles.copy()
    holed[2, 40:50] = np.nan
    full = build_cross(holed, dollar=SIDES)
    for start in (1, 13, 60):
        later = build_cross(holed[:, start:], dollar=SIDES)[:, CROSS_LOOKBACK - 1 :]
        np.testing.assert_array_equal(later, full[:, start + CROSS_LOOKBACK - 1 :])


def test_the_future_changes_nothing(candles: FloatArray) -> None:
    full = build_cross(candles, dollar=SIDES)
    for cut in (30, 100, 290, CROSS_LOOKBACK, STEPS - 1):
        np.testing.assert_array_equal(build_cross(candles[:, :cut], dollar=SIDES), full[:, :cut])


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_last_rows_are_the_tail_of_all(candles: FloatArray, rows: int) -> None:
    full = build_cross(candles, dollar=SIDES)
    np.testing.assert_array_equal(build_cross(candles, rows, dollar=SIDES), full[:, STEPS - rows :])


def test_too_few_others_leave_all_unknown_but_the_dollar_needs_pairs(candles: FloatArray) -> None:
    assert np.isnan(build_cross(candles[:2], 1)).all()
    built = build_cross(candles, 1)
    assert np.isnan(built[..., [n for n, name in enumerate(CROSS_COLUMNS) if name.startswith("dollar")]]).all()


def test_a_turned_world_turns_every_column_but_the_even_ones(candles: FloatArray) -> None:
    turned = candles[..., [0, 2, 1, 3, 4]].copy()
    turned[..., :4] = 1 / turned[..., :4]
    built, over = build_cross(candles, 1, dollar=SIDES), build_cross(turned, 1, dollar=SIDES)
    signs = np.array([1.0 if name in EVEN else -1.0 for name in CROSS_COLUMNS])
    np.testing.assert_allclose(over, signs * built, rtol=1e-6, atol=1e-9)


def test_a_pair_that_pauses_keeps_its_market(candles: FloatArray) -> None:
    holed = candles.copy()
    holed[1, -100] = np.nan
    assert np.isfinite(build_cross(holed, 1, dollar=SIDES)[1, 0]).all()
    holed[1, -100:-60] = np.nan
    assert np.isfinite(build_cross(holed, 1, dollar=SIDES)[0, 0]).all()
    holed[1, -60:-40] = np.nan
    unknown = np.isnan(build_cross(holed, 1, dollar=SIDES)[1, 0])
    assert unknown[CROSS_COLUMNS.index("own_residual_1")]


def test_a_gap_of_another_leaves_the_mean_of_the_rest(candles: FloatArray) -> None:
    holed = candles.copy()
    holed[4, -200] = np.nan
    built = build_cross(holed, 1)
    place = CROSS_COLUMNS.index("market_return_1")
    assert np.isfinite(built[:4, 0, place]).all()


def test_sides_of_the_dollar() -> None:
    assert [dollar_side(pair) for pair in ("USD/JPY", "EUR/USD", "EUR/GBP", "BTC/USDT")] == [1, -1, 0, 0]


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**32))
def test_places_are_counted_with_equals_and_unknown_ones(instruments: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(-2, 3, (instruments, rows)) / 2 * rng.choice([1.0, -1.0])
    values[rng.random(values.shape) < 0.2] = np.inf
    below, upto = places(values)
    np.testing.assert_array_equal(below, [(values < one).sum(axis=0) for one in values])
    np.testing.assert_array_equal(upto, [(values <= one).sum(axis=0) for one in values])


def test_means_that_share_what_is_known_are_those_of_each() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 4, 200))
    x[rng.random(x.shape) < 0.1], y[rng.random(y.shape) < 0.1] = np.nan, np.inf
    known = np.isfinite(x * y)
    for one, mean in zip((x, y), known_means((x, y), known, 60), strict=True):
        np.testing.assert_array_equal(mean, known_mean(np.where(known, one, np.nan), 60))
        row = np.where(known, one, np.nan)[2, 140:200]
        assert mean[2, 199] == pytest.approx(np.nanmean(row))
