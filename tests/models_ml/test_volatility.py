"""How far prices move just now, against their own last day."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from markets.values import FloatArray
from models_ml.agents.volatility import DAY, HOUR, volatility
from models_ml.features import atr

MINUTES = DAY + 80


def market(*sigmas: float, minutes: int = MINUTES, seed: int = 1) -> FloatArray:
    """Candles (I, T, 5) of instruments whose minutes move by `sigmas`."""
    rng = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 1, (len(sigmas), minutes)) * np.array(sigmas)[:, None], axis=1))
    opens = np.concatenate([np.full((len(sigmas), 1), 100.0), closes[:, :-1]], axis=1)
    high, low = np.maximum(opens, closes) * 1.0002, np.minimum(opens, closes) * 0.9998
    return np.stack([opens, high, low, closes, np.ones_like(opens)], axis=-1)


def test_it_measures_the_last_hour() -> None:
    ohlcv = market(1e-3, 4e-3)
    found = volatility(ohlcv)
    returns = np.diff(np.log(ohlcv[:, -HOUR - 1 :, 3]), axis=1)
    np.testing.assert_allclose(found.sigma, returns.std(axis=1))
    assert found.sigma == pytest.approx([1e-3, 4e-3], rel=0.35)
    np.testing.assert_allclose(found.atr, atr(ohlcv)[:, -1])
    last = ohlcv[:, -1]
    np.testing.assert_allclose(found.range_atr, (last[:, 1] - last[:, 2]) / found.atr)


def test_a_storm_is_at_the_top_of_its_day_and_a_lull_at_the_bottom() -> None:
    ohlcv = market(1e-3)
    for factor, low, high in ((6.0, 0.99, 1.0), (0.05, 0.0, 0.02)):
        moves = np.diff(np.log(ohlcv[0, :, 3]), prepend=np.log(100.0))
        moves[-HOUR:] *= factor
        changed = ohlcv.copy()
        changed[0, :, 3] = 100 * np.exp(np.cumsum(moves))
        assert low <= volatility(changed).percentile[0] <= high


def test_a_market_without_moves_is_at_the_top_of_nothing() -> None:
    flat = np.full((1, MINUTES, 5), 100.0)
    found = volatility(flat)
    assert found.sigma[0] == 0.0
    assert found.percentile[0] == 1.0, "as calm as ever, and as wild as ever"
    assert np.isnan(found.range_atr[0]), "a range in units of nothing is unknown"


def test_a_short_window_says_nothing() -> None:
    found = volatility(market(1e-3, minutes=HOUR))
    assert np.isnan(found.sigma[0])
    assert np.isnan(found.percentile[0])
    assert np.isfinite(volatility(market(1e-3, minutes=HOUR + 1)).sigma[0])


def test_a_hole_in_the_last_hour_is_unknown_and_one_before_it_is_not() -> None:
    ohlcv = market(1e-3)
    now, before = ohlcv.copy(), ohlcv.copy()
    now[0, -30] = np.nan
    before[0, -200] = np.nan
    assert np.isnan(volatility(now).sigma[0])
    assert np.isnan(volatility(now).percentile[0])
    assert volatility(before).sigma[0] == volatility(ohlcv).sigma[0]
    assert np.isfinite(volatility(before).percentile[0])


def test_instruments_do_not_touch_each_other() -> None:
    both = volatility(market(1e-3, 4e-3))
    alone = volatility(market(1e-3, 4e-3)[1:])
    assert alone.percentile[0] == both.percentile[1]
    assert alone.sigma[0] == both.sigma[1]


def test_only_the_last_day_counts_and_the_input_stays() -> None:
    ohlcv = market(1e-3, minutes=DAY + 500)
    kept = ohlcv.copy()
    wild = ohlcv.copy()
    wild[:, : 500 - 1, 3] *= np.random.default_rng(2).uniform(0.5, 2, (1, 499))
    assert volatility(wild).percentile[0] == volatility(ohlcv).percentile[0]
    np.testing.assert_array_equal(ohlcv, kept)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 1e4), st.integers(0, 1000))
def test_a_change_of_unit_changes_nothing_but_the_atr(unit: float, seed: int) -> None:
    ohlcv = market(1e-3, seed=seed, minutes=400)
    scaled = ohlcv * np.array([unit] * 4 + [1.0])
    ours, theirs = volatility(ohlcv), volatility(scaled)
    np.testing.assert_allclose(theirs.sigma, ours.sigma, rtol=1e-6)
    np.testing.assert_allclose(theirs.percentile, ours.percentile, atol=0.02)
    np.testing.assert_allclose(theirs.range_atr, ours.range_atr, rtol=1e-6)
    np.testing.assert_allclose(theirs.atr, ours.atr * unit, rtol=1e-6)
    assert 0 <= ours.percentile[0] <= 1
