"""Band and chance are judged as nights refit them: each day by what had come before it; chances by moves apart."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from markets.values import FloatArray
from models_ml.agents.base import History
from models_ml.agents.moves import HORIZONS, ExpectedMove
from models_ml.agents.realised import DAY
from models_ml.agents.volatility_forecast import STEP
from models_ml.evaluation.context import Asked, _daily, judge_moves
from tests.models_ml.agents.markets import market

CUT, DAYS = 8 * DAY, 4


@cache
def agent() -> ExpectedMove:
    fitted = ExpectedMove()
    fitted.fit(market().until(CUT))
    return fitted


def bands(history: History) -> dict[str, FloatArray]:
    return _daily(agent(), history, CUT)


def test_a_days_band_reads_nothing_of_that_day_or_later() -> None:
    whole = market()
    shaken = whole.ohlcv.copy()
    shaken[:, -DAY:, :4] *= np.exp(np.random.default_rng(2).normal(0, 0.02, (2, DAY, 1)))
    mine = bands(whole)
    theirs = bands(History(whole.open_times, shaken, whole.market))
    before = (DAYS - 1) * DAY
    for horizon in HORIZONS:
        for side in ("low", "high"):
            name = f"{side}_{horizon}"
            np.testing.assert_allclose(mine[name][:, :before], theirs[name][:, :before])
            assert not np.allclose(mine[name][:, before:], theirs[name][:, before:])
        np.testing.assert_allclose(mine[f"larger_{horizon}_5"][:, :before], theirs[f"larger_{horizon}_5"][:, :before])


def test_each_day_has_a_table_of_its_own() -> None:
    """Within a day the band is a fixed multiple of the deviation, and another one the day after."""
    read = bands(market())
    multiples = read["high_15"][0] / np.sqrt(15 * read["variance_15"][0])
    days = (market().open_times[CUT:] + 60) // 86_400
    found = [multiples[days == day] for day in np.unique(days)]
    assert all(np.allclose(part, part[0]) for part in found)
    assert len({round(float(part[0]), 6) for part in found}) > 2


@cache
def judged() -> dict[int, dict[str, Any]]:
    start = int(market().open_times[CUT])
    return {one["horizon_minutes"]: one for one in judge_moves(["A", "B"], market(), Asked([0], start))}


@pytest.mark.parametrize("horizon", HORIZONS)
def test_chances_are_judged_on_moves_apart(horizon: int) -> None:
    found = judged()[horizon]
    assert found["n"] == pytest.approx(DAYS * DAY / STEP, abs=15)
    assert found["chances"][0]["n"] == pytest.approx(DAYS * DAY / max(horizon, STEP), abs=2)
    assert found["coverage"] == pytest.approx(0.8, abs=0.06)
