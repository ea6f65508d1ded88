"""Suggested sizes: worked by hand, never over 2 %, nothing without an edge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals.confidence import MIN_N, Probability
from signals.levels import Levels, TierRules
from signals.sizing import MOST, SizeRules, kelly, size_of

TIERS, RULES = TierRules(payout=0.85, fee_bps=1.0), SizeRules()
BINARY = Levels(100.0, None, None, None)
STOPPED = Levels(100.0, 99.5, 101.0, None)
"""Half a percent to the stop."""


def probability(floor: float, *, n: int = 500) -> Probability:
    return Probability(floor + 0.02, 0.4, 0.7, n, "validation", floor)


def test_kelly_by_hand() -> None:
    assert kelly(0.6, 1.0) == pytest.approx(0.2)
    assert kelly(0.55, 0.85) == pytest.approx((0.55 * 1.85 - 1) / 0.85)
    assert kelly(0.5, 1.0) == kelly(0.5, 0.85) == kelly(0.9, 0.0) == kelly(0.9, -0.5) == 0.0


def test_a_fixed_payout_stakes_a_quarter_of_kelly() -> None:
    size = size_of(BINARY, probability(0.55), TIERS, RULES)
    assert size.risk == size.position == pytest.approx(0.25 * (0.55 * 1.85 - 1) / 0.85)
    assert size.note == (
        "Stake at most 0.51% of your capital: even at 55.0% right, 45.0% of such stakes are lost whole."
    )


def test_a_stop_risks_its_distance_after_costs() -> None:
    """5 % to the stop, 2 bp of costs: 4.98 is won for 5.02 lost."""
    size = size_of(Levels(100.0, 95.0, 110.0, None), probability(0.52), TIERS, RULES)
    assert size.risk == pytest.approx(0.25 * kelly(0.52, 4.98 / 5.02))
    assert size.position == pytest.approx(size.risk / 0.05)
    assert size.note == "Risk at most 0.90% of your capital up to the stop: a position of 18% of it."


def test_a_near_stop_asks_for_no_leverage() -> None:
    size = size_of(STOPPED, probability(0.55), TIERS, RULES)
    assert (size.position, size.risk) == pytest.approx((1.0, 0.005))


@pytest.mark.parametrize("levels", [BINARY, STOPPED], ids=["payout", "stop"])
def test_without_an_edge_there_is_no_size(levels: Levels) -> None:
    size = size_of(levels, probability(0.5), TIERS, RULES)
    assert (size.risk, size.position) == (0.0, 0.0)
    assert size.note == "No size: at the cautious 50.0% this loses money in the long run."


@pytest.mark.parametrize("unknown", [None, probability(0.9, n=MIN_N - 1)], ids=["none", "too few cases"])
def test_without_a_probability_there_is_no_size(unknown: Probability | None) -> None:
    size = size_of(BINARY, unknown, TIERS, RULES)
    assert (size.risk, size.note) == (0.0, "No size: there is no probability yet that could carry one.")


def test_costs_that_eat_the_stop_leave_nothing() -> None:
    assert size_of(STOPPED, probability(0.9), TierRules(fee_bps=25.0), RULES).risk == 0.0


def test_a_stop_at_the_entry_is_a_payout() -> None:
    """A market that does not move has no distance to divide by."""
    flat = Levels(100.0, 100.0, 100.0, None)
    assert size_of(flat, probability(0.6), TIERS, RULES) == size_of(BINARY, probability(0.6), TIERS, RULES)


@given(
    st.floats(0, 1),
    st.one_of(st.none(), st.floats(0.1, 199.9)),
    st.floats(0.01, 10),
    st.floats(0, 100),
    st.floats(0, 1),
)
def test_never_more_than_two_percent_nor_less_than_nothing(
    floor: float, stop: float | None, payout: float, fee_bps: float, fraction: float
) -> None:
    tiers = TierRules(payout=payout, fee_bps=fee_bps)
    size = size_of(Levels(100.0, stop, None, None), probability(floor), tiers, SizeRules(fraction))
    assert 0.0 <= size.risk <= MOST
    assert 0.0 <= size.position <= 1.0
    assert len(size.note) <= 200
    assert size.note.endswith(".")


@given(st.floats(0.5, 0.98), st.floats(0.01, 0.02))
def test_more_edge_never_means_less_size(floor: float, more: float) -> None:
    smaller, larger = (size_of(BINARY, probability(at), TIERS, RULES).risk for at in (floor, min(floor + more, 1.0)))
    assert larger >= smaller
