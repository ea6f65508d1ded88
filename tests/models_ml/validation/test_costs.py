"""Money by hand."""

import numpy as np
import pytest

from models_ml.validation.costs import net_at_payout, net_bps, turnover


def test_a_tie_and_a_loss_cost_the_stake() -> None:
    side = np.array([1, 1, -1, -1, 0])
    move = np.array([1e-4, -1e-4, -2e-4, 0.0, 5e-4])
    assert net_at_payout(side, move, 0.8) == pytest.approx((0.8 - 1 + 0.8 - 1) / 4)
    assert net_at_payout(np.zeros(3, dtype=np.int64), np.zeros(3)) is None


def test_break_even_is_where_the_payout_says() -> None:
    side = np.ones(1850, dtype=np.int64)
    move = np.where(np.arange(1850) < 1000, 1.0, -1.0)
    assert net_at_payout(side, move, 0.85) == pytest.approx(0.0)


def test_costs_are_paid_on_both_sides() -> None:
    side, move = np.array([1, -1, 0]), np.array([3e-4, -1e-4, 9e-4])
    assert net_bps(side, move, 0) == pytest.approx(2.0)
    assert net_bps(side, move, 1) == pytest.approx(0.0)
    assert net_bps(np.zeros(2, dtype=np.int64), np.zeros(2), 1) is None


def test_turnover_counts_changes_of_each_instrument() -> None:
    times = np.arange(4) * 60
    turning, holding = np.array([1, -1, 1, -1]), np.ones(4, dtype=np.int64)
    assert turnover(turning, np.zeros(4, dtype=np.int64), times) == pytest.approx((1 + 2 + 2 + 2) / 4)
    assert turnover(holding, np.zeros(4, dtype=np.int64), times) == pytest.approx(1 / 4)
    both = turnover(np.r_[turning, holding], np.repeat([0, 1], 4), np.r_[times, times])
    assert both == pytest.approx((7 + 1) / 8)
    order = np.random.default_rng(0).permutation(8)
    mixed = turnover(np.r_[turning, holding][order], np.repeat([0, 1], 4)[order], np.r_[times, times][order])
    assert mixed == both
    assert turnover(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), times[:0]) is None
