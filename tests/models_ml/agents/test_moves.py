"""The band holds what it says on days it has not seen; the chance of a large move is calibrated."""

import numpy as np
import pytest

from models_ml.agents.base import TooLittleHistory
from models_ml.agents.moves import (
    BAND,
    HALF_LIFE_DAYS,
    HORIZONS,
    SIZES,
    ExpectedMove,
    Moves,
    coverage,
    deviation,
    moves_ahead,
)
from models_ml.agents.realised import DAY
from models_ml.validation.metrics import calibration_error, calibration_floor
from tests.models_ml.agents.markets import market

CUT = 16 * DAY


@pytest.fixture(scope="module")
def agent() -> ExpectedMove:
    fitted = ExpectedMove()
    fitted.fit(market(2, 20).until(CUT))
    return fitted


def test_a_move_enters_at_the_next_open() -> None:
    history = market()
    moved = moves_ahead(history, 15)
    assert moved[0, 100] == pytest.approx(np.log(history.ohlcv[0, 115, 3] / history.ohlcv[0, 101, 0]))
    assert np.isnan(moved[0, -15:]).all()


def test_the_band_covers_its_share_of_later_moves(agent: ExpectedMove) -> None:
    history = market(2, 20)
    read = agent.read(history, 4 * DAY)
    for horizon in HORIZONS:
        rows = np.arange(0, 4 * DAY, max(horizon, 5))
        share, n = coverage(read, moves_ahead(history, horizon)[:, CUT:], horizon, rows)
        assert share == pytest.approx(BAND, abs=4 * np.sqrt(BAND * (1 - BAND) / n))
        assert (read[f"low_{horizon}"] < 0).all()
        assert (read[f"high_{horizon}"] > 0).all()


def test_the_band_is_wider_in_wild_hours(agent: ExpectedMove) -> None:
    read = agent.read(market(2, 20), 4 * DAY)
    width = read["high_15"] - read["low_15"]
    assert np.corrcoef(width[0], np.sqrt(read["variance_15"][0]))[0, 1] == pytest.approx(1)


def test_the_chance_of_a_large_move_is_calibrated(agent: ExpectedMove) -> None:
    history = market(2, 20)
    read = agent.read(history, 4 * DAY)
    moved = moves_ahead(history, 15)[:, CUT:]
    chance = agent.chance(read, history.market, 15, 20.0)
    rows = np.arange(0, 4 * DAY, 15)
    q, came = chance[:, rows].ravel(), np.abs(moved[:, rows]).ravel()
    known = np.isfinite(came)
    error, floor = calibration_error(q[known], came[known] > 20e-4), calibration_floor(q[known])
    assert error is not None
    assert floor is not None
    assert error < floor + 0.05
    larger = agent.chance(read, history.market, 15, 40.0)
    assert (larger < chance).all()


def learned(sizes: dict[int, np.ndarray]) -> ExpectedMove:
    """An agent whose table of 15 minutes was learned on these moves (N,), in deviations, of each instrument."""
    agent, moved = ExpectedMove(), np.stack(list(sizes.values()))
    moves = Moves(np.arange(moved.shape[1]), moved, np.ones(moved.shape), np.zeros(moved.shape[1]))
    agent.sizes[15] = moves.sizes().quantiles(SIZES).tolist()
    tables = (own.sizes().quantiles(SIZES).tolist() for own in moves.each())
    agent.own[15] = {number: (moved.shape[1], table) for number, table in zip(sizes, tables, strict=True)}
    return agent


def test_a_normal_move_has_its_normal_chance() -> None:
    agent = learned({7: np.random.default_rng(0).normal(size=20_000)})
    read = {"variance_15": np.full((1, 1), (10e-4) ** 2 / 15)}
    for deviations, share in ((1, 0.317), (2, 0.0455), (3, 0.0027)):
        found = agent.chance(read, np.array([7]), 15, 10.0 * deviations)[0, 0]
        assert found == pytest.approx(share, abs=4 * np.sqrt(share / 20_000) + 1e-4)
    assert agent.chance(read, np.array([7]), 15, 0.0)[0, 0] == 1
    assert agent.chance(read, np.array([7]), 15, 1000.0)[0, 0] == 0
    unknown = {"variance_15": np.full((1, 1), np.nan)}
    assert np.isnan(agent.chance(unknown, np.array([7]), 15, 10.0)).all()


def test_an_instrument_has_its_own_sizes_as_far_as_it_has_moves() -> None:
    """Moves of one are a tenth of what its forecast says; one that was never met has the sizes of both."""
    rng = np.random.default_rng(1)
    agent = learned({7: rng.normal(size=4_000), 8: rng.normal(size=4_000) / 10})
    read = {"variance_15": np.full((3, 1), (10e-4) ** 2 / 15)}
    plain, small, new = agent.chance(read, np.array([7, 8, 9]), 15, 10.0)[:, 0]
    assert plain == pytest.approx(0.317, abs=0.03)
    assert small < 0.02
    assert new == pytest.approx(0.317 / 2, abs=0.02)


def test_nobody_covers_nothing() -> None:
    share, n = coverage(
        {"low_1": np.zeros((1, 2)), "high_1": np.ones((1, 2))}, np.full((1, 2), np.nan), 1, np.arange(2)
    )
    assert np.isnan(share)
    assert n == 0
    assert deviation({"variance_15": np.array([4e-8])}, 1)[0] == pytest.approx(2e-4)


def test_too_little_history_is_said() -> None:
    with pytest.raises(TooLittleHistory):
        ExpectedMove().fit(market().until(2500))


def standing(moved: np.ndarray, days: np.ndarray) -> Moves:
    """Moves of one instrument whose forecast deviation is 1."""
    return Moves(np.arange(len(moved)), moved[None], np.ones((1, len(moved))), days)


def test_of_equal_age_the_quantiles_are_the_plain_ones() -> None:
    moved = np.random.default_rng(0).normal(size=5_000)
    found = standing(moved, np.zeros(5_000)).quantiles((0.1, 0.5, 0.9))
    np.testing.assert_allclose(found, np.quantile(moved, (0.1, 0.5, 0.9)), atol=2e-3)


def test_a_move_of_the_half_life_weighs_half() -> None:
    """Three old moves at −1 against three new ones at 1: two thirds of the weight lie on the new."""
    moved, days = np.repeat([-1.0, 1.0], 300), np.repeat([HALF_LIFE_DAYS, 0.0], 300)
    moves = standing(moved, days)
    assert moves.quantiles((0.32,))[0] == -1
    assert moves.quantiles((0.35,))[0] == 1


def test_the_band_follows_moves_that_lately_grew() -> None:
    """Twice as large beside their forecast for the last ten days: the band is nearly as wide as they ask for."""
    rng = np.random.default_rng(1)
    days = np.arange(40, 0, -0.01)
    moved = rng.normal(size=len(days)) * np.where(days <= 10, 2.0, 1.0)
    (low, high), plain = standing(moved, days).quantiles((0.1, 0.9)), np.quantile(moved, 0.9)
    assert high > 1.15 * plain
    assert low < -1.15 * plain


def test_a_part_is_seen_from_its_own_last_row() -> None:
    moves = standing(np.arange(6.0), np.arange(5.0, -1, -1))
    assert moves.part(moves.rows < 3).days.tolist() == [2.0, 1.0, 0.0]
    assert not moves.part(moves.rows < 0).known.any()
