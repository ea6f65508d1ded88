"""Entry, stop, target, expected move and tier."""

from math import pi, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.confidence import MIN_N, Probability
from signals.levels import TierRules, is_actionable, levels_of, tier_of
from tests.factories_market import context

RULES = TierRules()


def probability(low: float = 0.55, *, value: float = 0.6, n: int = 500) -> Probability:
    return Probability(value, low, 0.7, n, "validation")


def test_up_risks_one_atr_for_two() -> None:
    levels = levels_of(context(close=100.0, atr=0.5), 1, None, RULES)
    assert (levels.entry, levels.stop, levels.target) == (100.0, 99.5, 101.0)


def test_down_is_the_mirror_image() -> None:
    levels = levels_of(context(close=100.0, atr=0.5), -1, None, RULES)
    assert (levels.entry, levels.stop, levels.target) == (100.0, 100.5, 99.0)


@given(st.floats(1e-4, 1e6), st.floats(1e-6, 1e3), st.sampled_from([1, -1]))
def test_the_reward_is_at_least_twice_the_risk(close: float, atr: float, direction: int) -> None:
    levels = levels_of(context(close=close, atr=atr), direction, None, RULES)
    assert levels.stop is not None
    assert levels.target is not None
    reward, risk = (levels.target - close) * direction, (close - levels.stop) * direction
    assert reward == pytest.approx(2 * atr, rel=1e-3, abs=1e-9)
    assert risk == pytest.approx(atr, rel=1e-3, abs=1e-9)


def test_a_fixed_payout_has_neither_stop_nor_target() -> None:
    levels = levels_of(context(market_class="binary"), 1, probability(), RULES)
    assert (levels.entry, levels.stop, levels.target) == (100.0, None, None)
    assert levels.expected_move_bps is not None


def test_the_move_to_expect_is_after_costs_of_both_sides() -> None:
    """Edge 2p − 1 = 0.2 of the mean absolute move of 10 bp · √(2/π), less 1 bp on the way in and on the way out."""
    levels = levels_of(context(volatility=0.001), 1, probability(value=0.6), TierRules(fee_bps=1.0))
    assert levels.expected_move_bps == pytest.approx(0.2 * 10 * sqrt(2 / pi) - 2)


@pytest.mark.parametrize(("n", "told"), [(MIN_N - 1, False), (MIN_N, True)])
def test_without_a_hundred_cases_no_move_is_expected(n: int, told: bool) -> None:
    assert (levels_of(context(), 1, probability(n=n), RULES).expected_move_bps is not None) == told
    assert levels_of(context(), 1, None, RULES).expected_move_bps is None


def test_break_even_follows_from_the_payout() -> None:
    assert TierRules(payout=0.8).break_even == pytest.approx(0.5556, abs=1e-4)
    assert TierRules(payout=0.9).break_even == pytest.approx(0.5263, abs=1e-4)


@pytest.mark.parametrize(
    ("over", "tier"), [(0.05, 1), (0.03, 1), (0.0299, 2), (0.01, 2), (0.0099, 3), (0.0, 3), (-0.2, 3)]
)
def test_the_tier_is_the_margin_of_the_lower_bound_over_break_even(over: float, tier: int) -> None:
    assert tier_of(probability(RULES.break_even + over), RULES) == tier


def test_the_tier_never_comes_from_the_point_estimate() -> None:
    assert tier_of(probability(low=0.4, value=0.99), RULES) == 3


@pytest.mark.parametrize(("n", "tier"), [(MIN_N - 1, 3), (MIN_N, 1)])
def test_a_thin_past_earns_no_tier(n: int, tier: int) -> None:
    assert tier_of(probability(low=0.9, n=n), RULES) == tier
    assert tier_of(None, RULES) == 3


def test_an_operator_sets_the_margins() -> None:
    assert tier_of(probability(low=0.56), TierRules(payout=1.0, first=0.06, second=0.02)) == 1
    assert tier_of(probability(low=0.53), TierRules(payout=1.0, first=0.06, second=0.02)) == 2


@pytest.mark.parametrize(("over", "worth"), [(0.0099, False), (0.0101, True)])
def test_actionable_clears_break_even_by_a_point(over: float, worth: bool) -> None:
    assert is_actionable(probability(RULES.break_even + over), RULES) is worth
    assert not is_actionable(None, RULES)
    assert not is_actionable(probability(0.9, n=MIN_N - 1), RULES)


def test_the_stacks_own_bound_decides_where_there_is_one() -> None:
    by_stack = Probability(0.6, 0.4, 0.7, 500, "validation", floor=RULES.break_even + 0.05)
    assert (tier_of(by_stack, RULES), is_actionable(by_stack, RULES)) == (1, True)
    unsure = Probability(0.6, 0.58, 0.7, 500, "validation", floor=0.5)
    assert (tier_of(unsure, RULES), is_actionable(unsure, RULES)) == (3, False)
