"""`decide()`: from nine answers to what is said, and in which of its states."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets.values import TaintFlag
from signals.confidence import Bin, Chance
from signals.consensus import NINE, SEVEN
from signals.levels import TierRules
from signals.pipeline import CONSERVATIVE_FROM, Ballot, Decision, Rules, Stacked, decide
from signals.risk import RiskRules
from tests.factories_market import CALIBRATION, ballot, context

RULES = Rules()


def decision(votes: Ballot | None = None, rules: Rules = RULES, **changes: Any) -> Decision:  # any field of the context
    return decide(votes or ballot(), context(**changes), CALIBRATION, rules)


def test_a_quorum_on_a_calm_minute_is_issued() -> None:
    said = decision()
    assert (said.state, said.direction, said.vetoes) == ("issued", 1, ())
    assert said.levels is not None
    assert said.tier in {1, 2, 3}
    assert said.panel == NINE


def test_vote_share_score_and_probability_are_three_numbers() -> None:
    said = decision(ballot(6, 0, 1, strength=0.6), pattern=1)
    assert said.consensus.share == 6 / 9
    assert said.score == pytest.approx(6 / 9 + 0.1)
    assert said.probability is not None
    lean = (6 * (0.6 - 0.3) / 0.9 + 0.0) / 7
    assert said.probability.value == pytest.approx(0.5 + 0.2 * lean, abs=1e-6)


def test_more_votes_raise_the_share_and_not_the_probability() -> None:
    six, nine = decision(ballot(6, 0, 0)), decision(ballot(9, 0, 0))
    assert six.probability is not None
    assert nine.probability is not None
    assert nine.consensus.share > six.consensus.share
    assert nine.probability.value == pytest.approx(six.probability.value)


@pytest.mark.parametrize(
    ("votes", "changes", "state"),
    [
        (ballot(6), {}, "issued"),
        (ballot(6), {"model_age": 2.0}, "vetoed"),
        (ballot(5), {}, "silent"),
        (ballot(5), {"model_age": 2.0}, "silent"),
        (ballot(6), {"taint": TaintFlag.GAP}, "tainted"),
        (ballot(5), {"taint": TaintFlag.GAP}, "tainted"),
        (ballot(6), {"taint": TaintFlag.GAP, "model_age": 2.0}, "tainted"),
        (ballot(6), {"taint": TaintFlag.REPAIRED}, "issued"),
        (ballot(0, 0, 0), {}, "silent"),
    ],
)
def test_tainted_goes_before_silent_before_vetoed(votes: Ballot, changes: dict[str, Any], state: str) -> None:
    said = decision(votes, **changes)
    assert said.state == state
    assert (said.levels is not None) == (said.tier is not None) == (state == "issued")


def test_a_silent_round_still_records_what_would_have_vetoed_it() -> None:
    said = decision(ballot(3), model_age=2.0, volatility_percentile=1.0)
    assert said.state == "silent"
    assert {"model_age", "extreme_volatility"} <= set(said.vetoes)


def test_a_vetoed_round_keeps_its_direction() -> None:
    said = decision(ballot(0, 7), model_age=2.0)
    assert (said.state, said.direction) == ("vetoed", -1)


def test_where_nobody_voted_no_probability_is_stated() -> None:
    said = decision(ballot(0, 0, 0))
    assert said.probability is None
    assert said.consensus.share == 0.0


def test_live_outcomes_reach_the_probability() -> None:
    said = decide(ballot(), context(), CALIBRATION, RULES, live={11: Bin(150, 100)})
    assert said.probability is not None
    assert (said.probability.source, said.probability.n) == ("live", 150)


def test_the_seven_seat_panel_reads_seven_seats() -> None:
    votes = ballot(5, 0, 4)
    loud = replace(votes, probabilities=votes.probabilities.copy())
    loud.probabilities[7:] = (0.0, 0.0, 1.0)
    seven, louder = (decision(each, Rules(panel=SEVEN)) for each in (votes, loud))
    assert seven.direction == louder.direction == 1
    assert seven.probability == louder.probability
    assert decision(votes).direction == 0


@pytest.mark.parametrize(
    ("percentile", "wanted", "conservative", "state"),
    [
        (CONSERVATIVE_FROM, True, True, "silent"),
        (CONSERVATIVE_FROM - 0.001, True, False, "issued"),
        (CONSERVATIVE_FROM, False, False, "issued"),
        (float("nan"), True, False, "vetoed"),
    ],
)
def test_conservative_mode_asks_for_one_more_in_the_top_band(
    percentile: float, wanted: bool, conservative: bool, state: str
) -> None:
    said = decision(ballot(6), Rules(conservative=wanted), volatility_percentile=percentile)
    assert (said.conservative, said.state) == (conservative, state)
    assert said.panel.quorum == 6 + conservative
    if conservative:
        assert decision(ballot(7), Rules(conservative=True), volatility_percentile=percentile).state == "issued"


def test_every_rule_of_the_operator_is_used() -> None:
    calm = decision(ballot(7))
    assert calm.levels is not None
    assert decision(ballot(7), Rules(risk=RiskRules(ceiling=0.01))).vetoes == ("risk_score",)
    costly = decision(ballot(7), Rules(tiers=TierRules(fee_bps=100)))
    assert costly.levels is not None
    assert costly.levels.expected_move_bps is not None
    assert calm.levels.expected_move_bps is not None
    assert costly.levels.expected_move_bps < calm.levels.expected_move_bps - 190
    assert decision(ballot(7), Rules(tiers=TierRules(payout=9.0))).tier == 1


def test_the_input_is_not_changed() -> None:
    votes = ballot(6, 1, 1)
    before = votes.probabilities.copy(), votes.directions.copy(), votes.abstained.copy()
    decision(votes)
    for kept, now in zip(before, (votes.probabilities, votes.directions, votes.abstained), strict=True):
        np.testing.assert_array_equal(kept, now)


@given(
    st.integers(0, 9),
    st.integers(0, 9),
    st.floats(0, 1),
    st.sampled_from([TaintFlag.NONE, TaintFlag.REPAIRED, TaintFlag.GAP]),
    st.floats(0, 2),
)
def test_a_signal_has_a_quorum_sound_data_and_no_veto(
    up: int, down: int, percentile: float, taint: TaintFlag, age: float
) -> None:
    votes = ballot(up, min(down, 9 - up), 0)
    said = decision(votes, volatility_percentile=percentile, taint=taint, model_age=age)
    sound = taint is not TaintFlag.GAP
    assert (said.state == "issued") == (max(up, min(down, 9 - up)) >= 6 and sound and not said.vetoes)


# ---- the stack


SURE = Stacked(Chance(up=0.7, low=0.65, high=0.75, tie=0.0), {14: Bin(400, 280)})


def test_the_stack_states_the_probability_and_the_quorum_still_decides() -> None:
    said = decide(ballot(7), context(), CALIBRATION, RULES, stack=SURE)
    assert said.probability is not None
    assert (said.probability.value, said.probability.floor) == (0.7, 0.65)
    assert (said.state, said.tier, said.actionable) == ("issued", 1, True)
    silent = decide(ballot(5), context(), CALIBRATION, RULES, stack=SURE)
    assert (silent.state, silent.probability, silent.actionable, silent.size) == ("silent", None, False, None)


def test_a_stack_that_disagrees_makes_a_signal_that_nobody_should_act_upon() -> None:
    said = decide(ballot(0, 7), context(), CALIBRATION, RULES, stack=replace(SURE, validation={5: Bin(400, 120)}))
    assert said.probability is not None
    assert said.probability.value == pytest.approx(0.3)
    assert (said.state, said.tier, said.actionable) == ("issued", 3, False)
    assert said.size is not None
    assert said.size.risk == 0.0


def test_without_a_word_of_the_stack_the_panels_own_calibration_speaks() -> None:
    deaf = replace(SURE, chance=replace(SURE.chance, up=float("nan")))
    assert decide(ballot(7), context(), CALIBRATION, RULES, stack=deaf) == decision(ballot(7))


def test_an_issued_signal_has_a_size_and_a_blocked_one_has_none() -> None:
    size = decide(ballot(7), context(), CALIBRATION, RULES, stack=SURE).size
    assert size is not None
    assert size.risk == pytest.approx(0.005), "the stop is half a percent away: the whole capital, no more"
    blocked = decide(ballot(7), context(model_age=2.0), CALIBRATION, RULES, stack=SURE)
    assert (blocked.size, blocked.actionable) == (None, False)
