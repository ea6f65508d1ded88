"""Realised measures: by hand, masked where candles are missing, blind to what comes after."""

import math

import numpy as np
import pytest

from models_ml.agents.base import History
from models_ml.agents.realised import DAY, FLOOR, MOST, Tape, inputs, neutral, target
from tests.models_ml.agents.markets import candles, market, times_of


def flat(returns: list[float]) -> History:
    values = np.array([returns])
    return History(times_of(len(returns)), candles(values), np.array([1]))


def test_a_variance_is_the_mean_of_squared_returns() -> None:
    tape = Tape(flat([0.1, 0.01, -0.02, 0.03, 0.0]))
    np.testing.assert_allclose(tape.mean("square", 3)[0, 3:], [(1e-4 + 4e-4 + 9e-4) / 3, (4e-4 + 9e-4) / 3])
    assert np.isnan(tape.mean("square", 3)[0, 1])  # one known return of three


def test_garman_and_klass_by_hand() -> None:
    history = History(times_of(1), np.array([[[100.0, 102.0, 99.0, 101.0, 1.0]]]), np.array([1]))
    expected = math.log(102 / 99) ** 2 / 2 - (2 * math.log(2) - 1) * math.log(1.01) ** 2
    assert Tape(history).mean("range", 1)[0, 0] == pytest.approx(expected)


def test_upside_and_pairs() -> None:
    tape = Tape(flat([0.0, 0.02, -0.01]))
    assert tape.mean("up", 2)[0, 2] == pytest.approx(2e-4)
    assert tape.series["pair"][0, 2] == pytest.approx(2e-4 * math.pi / 2)


def test_a_gap_of_time_is_no_return() -> None:
    history = flat([0.0, 0.01, 0.02, 0.03])
    times = history.open_times + np.array([0, 0, 3600, 3600])
    tape = Tape(History(times, history.ohlcv, history.market))
    assert np.isnan(tape.series["return"][0]).tolist() == [True, False, True, False]


def test_a_missing_candle_spoils_only_what_it_is_too_much_of() -> None:
    history = market(1, 3)
    holed = history.ohlcv.copy()
    holed[0, 2000] = np.nan
    tape = Tape(History(history.open_times, holed, history.market))
    assert np.isfinite(tape.mean("square", 60)[0, 2030])
    assert np.isnan(tape.mean("square", 5)[0, 2002])
    assert np.isfinite(tape.mean("square", 5)[0, 2006])


def test_the_target_is_what_comes_next() -> None:
    history = market(1, 3)
    tape = Tape(history)
    came = target(tape, 15)
    row = 2000
    returns = np.diff(np.log(history.ohlcv[0, row : row + 16, 3]))
    assert came[0, row] == pytest.approx(np.mean(returns**2))
    assert np.isnan(came[0, -15:]).all()
    assert np.isfinite(came[0, -16])


def test_the_target_is_unknown_over_closed_hours() -> None:
    history = market(1, 3)
    times = history.open_times.copy()
    times[3000:] += 86_400
    came = target(Tape(History(times, history.ohlcv, history.market)), 15)
    assert np.isnan(came[0, 2985:3000]).all()
    assert np.isfinite(came[0, 2984])


def test_a_dead_market_is_floored_at_its_own_day() -> None:
    returns = np.zeros((1, 1700))
    returns[0, :1500:2] = 1e-3
    tape = Tape(History(times_of(1700), candles(returns), np.array([1])))
    assert target(tape, 15)[0, 1600] == pytest.approx(FLOOR * tape.day[0, 1600])


def test_a_few_rows_read_like_all_of_them() -> None:
    history = market()
    whole, some = Tape(history), Tape(history, 10)
    picked = whole.at(np.array([5000, 6000]))
    for (name, all_rows), (_, few), (_, chosen) in zip(
        inputs(whole, 15), inputs(some, 15), inputs(picked, 15), strict=True
    ):
        np.testing.assert_array_equal(few, all_rows[:, -10:], err_msg=name)
        np.testing.assert_array_equal(chosen, all_rows[:, [5000, 6000]], err_msg=name)
    np.testing.assert_array_equal(picked.times, history.open_times[[5000, 6000]])


@pytest.mark.parametrize("cut", [40, 1300, 1500, 2900, 9000])
def test_inputs_of_a_prefix_are_the_prefix_of_inputs(cut: int) -> None:
    history = market()
    for (name, short), (_, long) in zip(inputs(Tape(history.until(cut)), 60), inputs(Tape(history), 60), strict=True):
        np.testing.assert_array_equal(short, long[:, :cut], err_msg=name)


def test_a_market_without_volume_has_no_volume_inputs() -> None:
    history = market(1, 3)
    silent = history.ohlcv.copy()
    silent[..., 4] = 0
    found = dict(inputs(Tape(History(history.open_times, silent, history.market)), 15))
    assert np.isnan(found["volume_15"][0, -1])
    assert neutral(found["volume_15"])[0, -1] == 0
    assert neutral(np.array([np.inf, -np.inf])).tolist() == [MOST, -MOST]


def test_the_unit_is_the_last_day() -> None:
    tape = Tape(market())
    np.testing.assert_allclose(tape.over_day(tape.mean("square", DAY))[:, -1], 0)
