"""The day's profile: recovered, shrunk, on the clock of the place."""

from datetime import UTC, datetime

import numpy as np
import pytest

from models_ml.agents.base import History, zone_of
from models_ml.agents.profile import SLOTS, DayProfile, local_minutes
from models_ml.agents.realised import Tape
from tests.models_ml.agents.markets import day_shape, market


def test_a_planted_profile_is_recovered() -> None:
    history = market(2, 40)
    profile = DayProfile.fit(Tape(history), history.market, "UTC")
    truth = day_shape(np.arange(SLOTS) * 300)
    assert np.abs(np.log(profile.pooled / truth)).max() < 0.35
    assert np.corrcoef(profile.pooled, truth)[0, 1] > 0.97
    assert profile.pooled.mean() == pytest.approx(1, abs=0.05)


def test_ahead_and_past_meet_at_the_decision() -> None:
    history = market(1, 12)
    profile = DayProfile.fit(Tape(history), history.market, "UTC")
    times = history.open_times[[3000, 3015]]
    ahead = profile.ahead(history.market, times, 15)
    past = profile.past(history.market, times, 15)
    assert past[0, 1] == pytest.approx(ahead[0, 0])


def test_new_york_keeps_its_hours_in_summer_and_winter() -> None:
    winter = int(datetime(2025, 1, 15, 14, 30, tzinfo=UTC).timestamp())
    summer = int(datetime(2025, 7, 15, 13, 30, tzinfo=UTC).timestamp())
    assert local_minutes(np.array([winter, summer]), "America/New_York").tolist() == [570, 570]
    assert local_minutes(np.array([summer]), "UTC").tolist() == [810]
    assert (zone_of("forex"), zone_of("crypto")) == ("America/New_York", "UTC")


def test_an_unknown_instrument_gets_the_pooled_profile_and_no_level() -> None:
    history = market(2, 12)
    profile = DayProfile.fit(Tape(history), history.market, "UTC")
    times = history.open_times[-1:]
    stranger = profile.ahead(np.array([999]), times, 60)
    minutes = np.repeat(profile.pooled, 5)
    assert stranger[0, 0] == pytest.approx(np.log(minutes[:60].mean()))
    assert np.isnan(profile.above_level(np.array([999]), np.array([[1e-6]]))).all()
    assert np.isfinite(profile.above_level(history.market[:1], np.array([[1e-6]]))).all()


def test_a_profile_survives_json() -> None:
    history = market(2, 12)
    holed = history.ohlcv.copy()
    holed[1] = np.nan
    profile = DayProfile.fit(Tape(History(history.open_times, holed, history.market)), history.market, "UTC")
    again = DayProfile.from_json(profile.as_json())
    np.testing.assert_array_equal(again.own, profile.own)
    np.testing.assert_array_equal(again.level, profile.level)
    assert np.isnan(again.level[1])
    assert again.zone == "UTC"
