"""What the page draws: chart lines, ATR and pattern marks."""

import numpy as np

from models_ml.features import CHART_LOOKBACK, atr, indicators, patterns
from models_ml.features.charts import HIDDEN, LINES, PATTERN_LOOKBACK, atr_lookback
from tests.models_ml.features.walks import flat, walk


def test_lines_do_not_depend_on_the_start_from_the_look_back_on() -> None:
    candles = walk(1, CHART_LOOKBACK + 400, seed=3)[0]
    whole, later = indicators(candles), indicators(candles[200:])
    for name in LINES:
        error = 1e-6 * np.ptp(candles[:, 3]) * (100 if name == "rsi_14" else 1)
        np.testing.assert_allclose(
            later[name][CHART_LOOKBACK:], whole[name][200 + CHART_LOOKBACK :], rtol=0, atol=error, err_msg=name
        )


def test_lines_never_use_later_candles() -> None:
    candles = walk(1, 300, seed=4)[0]
    whole, early = indicators(candles), indicators(candles[:180])
    for name in LINES:
        np.testing.assert_array_equal(early[name], whole[name][:180], err_msg=name)


def test_short_chart_has_lines_once_they_lived_their_span() -> None:
    lines = indicators(walk(1, 60)[0])
    for name, first in HIDDEN.items():
        assert np.isnan(lines[name][:first]).all()
        assert np.isfinite(lines[name][first:]).all()
    assert np.isfinite(lines["bollinger_upper"][19:]).all()


def test_missing_candles_are_skipped_not_filled() -> None:
    candles = walk(1, 120)[0]
    holed = np.insert(candles, 50, np.nan, axis=0)
    whole, around = indicators(candles), indicators(holed)
    for name in LINES:
        assert np.isnan(around[name][50])
        np.testing.assert_array_equal(np.delete(around[name], 50), whole[name])


def test_flat_empty_and_single_charts() -> None:
    lines = indicators(flat(1, 80)[0])
    assert (lines["rsi_14"][14:] == 50).all()
    assert (lines["macd"][25:] == 0).all()
    np.testing.assert_allclose(lines["ema_20"][19:], 100.1)
    np.testing.assert_allclose(lines["bollinger_lower"][19:], 100.1)
    for steps in (0, 1):
        assert all(values.shape == (steps,) for values in indicators(walk(1, 1)[0, :steps]).values())
    assert all(np.isnan(values).all() for values in indicators(np.full((9, 5), np.nan)).values())


def test_falling_market_reads_zero_and_rising_a_hundred() -> None:
    rising = flat(1, 60)[0]
    rising[:, :4] += np.arange(60)[:, None]
    assert (indicators(rising)["rsi_14"][14:] == 100).all()
    assert (indicators(rising[::-1])["rsi_14"][14:] == 0).all()


def test_atr_by_hand_and_its_gaps() -> None:
    candles = flat(1, 200)
    candles[..., 1] += 1.5
    candles[..., 2] -= 0.5
    built = atr(candles)
    assert np.isnan(built[0, : atr_lookback() - 1]).all()
    np.testing.assert_allclose(built[0, atr_lookback() - 1 :], 2)
    candles[0, -5] = np.nan
    assert np.isnan(atr(candles)[0, -5:]).all()
    assert np.isnan(atr(candles[:, :3])).all()


def test_patterns_sum_up_the_candlesticks() -> None:
    candles = walk(2, 300, seed=6)
    marks = patterns(candles)
    assert marks.dtype == np.int8
    assert marks.shape == (2, 300)
    assert set(np.unique(marks)) == {-1, 0, 1}
    np.testing.assert_array_equal(patterns(candles[:, :120]), marks[:, :120])
    assert not patterns(flat(1, 60)).any()


def test_last_patterns_equal_the_tail_of_all() -> None:
    candles = walk(3, 200, seed=6)
    marks = patterns(candles)
    for rows in (0, 1, 7, 200, 900):
        np.testing.assert_array_equal(patterns(candles, rows), marks[:, 200 - min(rows, 200) :])


def test_gap_confirms_nothing() -> None:
    candles = walk(1, 400, seed=6)
    marks = patterns(candles)
    assert not marks[0, : PATTERN_LOOKBACK - 1].any()
    holed = candles.copy()
    holed[0, 200] = np.nan
    marks[0, 200 : 200 + PATTERN_LOOKBACK] = 0
    np.testing.assert_array_equal(patterns(holed), marks)


def test_candles_stay_as_they_were() -> None:
    candles = walk(1, 90)
    before = candles.copy()
    candles.flags.writeable = False
    indicators(candles[0])
    atr(candles)
    patterns(candles)
    np.testing.assert_array_equal(candles, before)
