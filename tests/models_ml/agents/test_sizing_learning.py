"""Sizing from recorded decisions: purged of what was not known, judged on what its copy had not seen."""

from dataclasses import replace

import numpy as np
import pytest

from models_ml.agents.base import TooLittleHistory
from models_ml.agents.sizing_learning import LearnedSizing, Record, learn
from models_ml.agents.sizing_rl import Decisions, SizingPolicy, compare
from tests.models_ml.agents.test_sizing_rl import decisions

FEW = 512
"""Steps of PPO: enough to see that it is repeated, far from enough to be good."""


def record(count: int, *, edge: float = 0.05, late_s: int = 60) -> Record:
    """Decisions ten minutes apart, each known `late_s` after it was taken."""
    made = decisions(count, edge)
    return Record(made, made.times + late_s)


def same(one: SizingPolicy, other: SizingPolicy) -> bool:
    return all((one.weights[name] == other.weights[name]).all() for name in one.weights)


@pytest.fixture(scope="module")
def found() -> LearnedSizing:
    made = record(1_500)
    return learn(made, int(made.known[-1]), seed=3, steps=FEW)


def test_the_copy_that_is_judged_had_not_seen_the_newest_quarter(found: LearnedSizing) -> None:
    made = record(1_500).decisions
    copy = SizingPolicy.fit(made.part(slice(0, 1_125)), seed=3, steps=FEW)
    expected = compare(copy, made.part(slice(1_125, None)))
    assert found.figures == expected | {"learned": int(1_500 - (made.probability * 1.9 <= 1).sum())}
    assert found.figures["n"] == 375


def test_the_policy_in_force_learned_from_all(found: LearnedSizing) -> None:
    made = record(1_500)
    assert same(found.policy, SizingPolicy.fit(made.decisions, seed=3, steps=FEW))
    assert (found.first, found.last) == (made.decisions.times[0], made.known[-1])


def test_what_was_judged_later_than_the_training_is_not_learned_from(found: LearnedSizing) -> None:
    """The same decisions and further ones, right without exception, whose outcomes come after the training."""
    more = decisions(2_500, 0.05)
    won = np.where(np.arange(2_500) < 1_500, more.won, 1.0)
    known = more.times + 60
    until = int(known[1_499])
    later = learn(Record(replace(more, won=won), known), until, seed=3, steps=FEW)
    earlier = learn(Record(more, known).until(until), until, seed=3, steps=FEW)
    assert same(later.policy, earlier.policy)
    assert later.figures == earlier.figures
    assert later.last == until


def test_the_judged_copy_learns_from_no_outcome_of_the_quarter_that_judges_it() -> None:
    """Outcomes take a day: those that were open when the newest quarter began are left out of the older part."""
    made = record(1_600, late_s=86_400)
    until = int(made.known[-1])
    found = learn(made, until, seed=3, steps=FEW)
    begins = made.decisions.times[1_200]
    older = made.decisions.part(slice(0, int((made.known <= begins).sum())))
    assert len(older) == 1_200 - 86_400 // 600 + 1
    copy = SizingPolicy.fit(older, seed=3, steps=FEW)
    assert found.figures["difference"] == compare(copy, made.decisions.part(slice(1_200, None)))["difference"]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (record(0), "0 of the older 0 judged decisions had an edge"),
        (record(1_200), "of the older 900 judged decisions"),
        (record(3_000, edge=-0.2), "0 of the older 2,250 judged decisions had an edge: sizing waits for 1,000"),
    ],
)
def test_too_few_decisions_or_edges_are_told(made: Record, told: str) -> None:
    with pytest.raises(TooLittleHistory, match=told):
        learn(made, 2**40)


def test_what_was_given_is_left_alone() -> None:
    made = record(1_400)
    before = Decisions(**{name: getattr(made.decisions, name).copy() for name in Decisions.__slots__})
    learn(made, int(made.known[-1]), steps=FEW)
    for name in Decisions.__slots__:
        np.testing.assert_array_equal(getattr(made.decisions, name), getattr(before, name))
