"""Names of windows: causal, of finite memory, and one descriptor for each."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.patterns.matching import confirmation, mined_matches, named_matches, window_of
from models_ml.patterns.named import known_directions
from models_ml.patterns.windows import LENGTHS, LOOKBACK, NAMES, NONE, codes, described
from tests.models_ml.features.walks import flat, minutes, walk

STEPS = 400


@given(length=st.sampled_from(LENGTHS), code=st.integers(0, NAMES - 1))
def test_code_and_descriptor_are_each_others_inverse(length: int, code: int) -> None:
    found = described(length, code)
    assert found.code == code
    assert window_of(json.loads(json.dumps(found.as_json()))) == found
    assert found.key.startswith(f"w{length}:")


def test_names_are_distinct() -> None:
    assert len({described(5, code).key for code in range(NAMES)}) == NAMES == 6561


def test_the_past_does_not_change_when_the_future_is_cut_off() -> None:
    times, ohlcv = minutes(STEPS), walk(2, STEPS, seed=6)
    ohlcv[1, 200] = np.nan
    whole = dict(codes(times, ohlcv))
    for cut in (1, 30, 61, 62, 201, 230, 399):
        for length, names in codes(times[:cut], ohlcv[:, :cut]):
            np.testing.assert_array_equal(names, whole[length][:, :cut], err_msg=f"{length} cut at {cut}")


def test_only_the_look_back_matters_and_a_hole_in_it_is_no_name() -> None:
    times, ohlcv = minutes(STEPS), walk(2, STEPS, seed=7)
    late = {length: names[:, LOOKBACK - 1 :] for length, names in codes(times[100:], ohlcv[:, 100:])}
    for length, names in codes(times, ohlcv):
        np.testing.assert_array_equal(names[:, 100 + LOOKBACK - 1 :], late[length])
        assert (names[:, : LOOKBACK - 1] == NONE).all()
        assert (names[:, LOOKBACK - 1 :] != NONE).all()
    holed = ohlcv.copy()
    holed[0, 150] = np.nan
    for _, names in codes(times, holed):
        assert (names[0, 150 : 150 + LOOKBACK] == NONE).all()
        assert (names[0, 150 + LOOKBACK :] != NONE).all()


def test_a_market_that_does_not_move_has_no_name() -> None:
    assert all((names == NONE).all() for _, names in codes(minutes(100), flat(1, 100)))


def test_a_drawn_rise_is_called_one() -> None:
    close = np.concatenate([100 + np.tile([0, 0.25], 40), 100 + np.arange(1, 11)])
    opened = np.concatenate([close[:1], close[:-1]])
    volume = np.concatenate([np.full(85, 1.0), np.full(5, 9.0)])
    ohlcv = np.stack([opened, np.maximum(opened, close), np.minimum(opened, close), close, volume], axis=1)[None]
    ((_, names),) = codes(minutes(90), ohlcv, (10,))
    assert described(10, int(names[0, -1])).key == "w10:+++++/high/growing/resistance"


def test_the_last_candles_match_what_the_whole_history_says() -> None:
    times, ohlcv = minutes(STEPS), walk(3, STEPS, seed=9)
    whole = dict(codes(times, ohlcv))
    wanted = [described(length, int(whole[length][1, -2])) for length in (5, 20, 50)]
    found = mined_matches(times, ohlcv, wanted, rows=4)
    for place, window in enumerate(wanted):
        np.testing.assert_array_equal(found[place], whole[window.length][:, -4:] == window.code)
    assert found[:, 1, -2].all()


def test_promoted_windows_confirm_their_side_and_disagreement_confirms_none() -> None:
    times, ohlcv = minutes(STEPS), walk(2, STEPS, seed=9)
    names = dict(codes(times, ohlcv))
    ours = [described(length, int(names[length][0, -1])) for length in (5, 10)]
    said = confirmation(times, ohlcv, [(ours[0], -1)])
    assert said[0] == -1
    assert confirmation(times, ohlcv, [(ours[0], -1), (ours[1], 1)])[0] == 0
    assert confirmation(times, ohlcv, []).tolist() == [0, 0]


def test_named_patterns_match_at_the_candle_that_makes_them_known() -> None:
    times, ohlcv = minutes(STEPS), walk(2, STEPS, seed=3)
    expected = [dict(known_directions(times, candles)) for candles in ohlcv]
    wanted = [("candle_engulfing", 1), ("cdl_belthold", -1), ("break_of_structure", 1), ("no_such_pattern", 1)]
    found = named_matches(times, ohlcv, wanted, rows=40)
    assert found[:3].any(axis=(1, 2)).all()
    for place, (key, direction) in enumerate(wanted[:3]):
        for instrument in range(2):
            np.testing.assert_array_equal(found[place, instrument], expected[instrument][key][-40:] == direction)
    assert not found[3].any()


@pytest.mark.parametrize("steps", [1, 5, 60])
def test_a_short_history_matches_nothing(steps: int) -> None:
    ohlcv = walk(1, steps)
    assert not mined_matches(minutes(steps), ohlcv, [described(5, 0)], rows=2).any()
    assert not named_matches(minutes(steps), ohlcv, [("fair_value_gap", 1)], rows=2)[..., :0].any()
