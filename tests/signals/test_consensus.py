"""Six of nine, or nothing is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models_ml.panel import PanelVotes
from models_ml.voters import SEATS
from signals import consensus
from signals.confidence import lean_of
from signals.consensus import NINE, SEVEN, Consensus, PanelRule
from signals.scoring import panel_score

Answers = list[tuple[int, int]]
"""(direction, abstain reason) of each seat."""
RULES = st.sampled_from([NINE, SEVEN, NINE.stricter(), SEVEN.stricter()])
ANSWERS = st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from([0, 0, 0, 1, 5])), min_size=9, max_size=9)


def votes(up: int, down: int = 0, neutral: int = 0) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Directions and reasons of nine seats; those that are left abstain."""
    said = [1] * up + [-1] * down + [0] * neutral
    reasons = [0] * len(said) + [1] * (9 - len(said))
    return np.array(said + [0] * (9 - len(said)), np.int8), np.array(reasons, np.int8)


@pytest.mark.parametrize(
    ("cast", "rule", "direction"),
    [
        ((6, 0, 0), NINE, 1),
        ((0, 6, 0), NINE, -1),
        ((6, 3, 0), NINE, 1),
        ((3, 6, 0), NINE, -1),
        ((5, 0, 4), NINE, 0),
        ((0, 5, 4), NINE, 0),
        ((5, 4, 0), NINE, 0),
        ((0, 0, 9), NINE, 0),
        ((0, 0, 0), NINE, 0),
        ((5, 0, 0), SEVEN, 1),
        ((4, 3, 0), SEVEN, 0),
        ((2, 5, 0), SEVEN, -1),
        ((6, 0, 0), NINE.stricter(), 0),
        ((7, 0, 0), NINE.stricter(), 1),
        ((5, 0, 0), SEVEN.stricter(), 0),
        ((6, 1, 0), SEVEN.stricter(), 1),
    ],
)
def test_only_a_quorum_speaks(cast: tuple[int, int, int], rule: PanelRule, direction: int) -> None:
    assert consensus.count(*votes(*cast), rule).direction == direction


def test_counts_and_share_are_kept_apart() -> None:
    counted = consensus.count(*votes(4, 2, 1), NINE)
    assert counted == Consensus(direction=0, up=4, down=2, neutral=1, share=4 / 9)
    assert consensus.count(*votes(2, 4, 1), NINE).share == 4 / 9


def test_who_abstained_changes_neither_the_seats_nor_the_quorum() -> None:
    directions, abstained = votes(5)
    alone = consensus.count(directions, abstained, NINE)
    assert (alone.direction, alone.share) == (0, 5 / 9), "five of five that answered are still five of nine"


def test_an_abstention_is_no_vote_whatever_its_direction_says() -> None:
    directions, abstained = np.ones(9, np.int8), np.array([0] * 5 + [7] * 4, np.int8)
    assert consensus.count(directions, abstained, NINE) == Consensus(0, 5, 0, 0, 5 / 9)


def test_seats_outside_the_panel_are_not_counted() -> None:
    directions = np.array([0] * 7 + [1, 1], np.int8)
    assert consensus.count(directions, np.zeros(9, np.int8), SEVEN) == Consensus(0, 0, 0, 7, 0.0)


def test_the_panels_in_force() -> None:
    assert (NINE.seats, NINE.quorum, SEVEN.seats, SEVEN.quorum) == (9, 6, 7, 5)
    assert NINE.stricter() == PanelRule(9, 7)
    assert len(SEATS) == 9


@pytest.mark.parametrize(("seats", "quorum"), [(9, 4), (8, 4), (2, 1)])
def test_a_quorum_must_be_a_majority(seats: int, quorum: int) -> None:
    with pytest.raises(ValueError, match=f"^a quorum of {quorum} of {seats} is no majority: ask for more than half$"):
        PanelRule(seats, quorum)
    assert PanelRule(9, 5).quorum == 5


@given(ANSWERS, RULES)
def test_a_direction_needs_the_quorum_on_its_own_side(answers: Answers, rule: PanelRule) -> None:
    directions, reasons = (np.array(column, np.int8) for column in zip(*answers, strict=True))
    counted = consensus.count(directions, reasons, rule)
    sides = {1: counted.up, -1: counted.down}
    assert counted.direction == next((side for side, n in sides.items() if n >= rule.quorum), 0)
    assert counted.share == max(sides.values()) / rule.seats
    assert counted.up + counted.down + counted.neutral == sum(reason == 0 for _, reason in answers[: rule.seats])


@given(ANSWERS, RULES)
def test_up_and_down_are_treated_alike(answers: Answers, rule: PanelRule) -> None:
    directions, reasons = (np.array(column, np.int8) for column in zip(*answers, strict=True))
    there, back = consensus.count(directions, reasons, rule), consensus.count(-directions, reasons, rule)
    assert (there.direction, there.up, there.share) == (-back.direction, back.down, back.share)


# ---- the score


def test_a_pattern_adds_a_tenth_to_the_score_and_to_nothing_else() -> None:
    agreed = consensus.count(*votes(6), NINE)
    assert consensus.score(agreed, 0) == 6 / 9
    assert consensus.score(agreed, -1) == 6 / 9
    assert consensus.score(agreed, 1) == pytest.approx(6 / 9 + 0.1)
    assert agreed.share == 6 / 9
    assert consensus.score(consensus.count(*votes(0, 7), NINE), -1) == pytest.approx(7 / 9 + 0.1)


def test_without_consensus_nothing_is_confirmed() -> None:
    split = consensus.count(*votes(4, 4), NINE)
    assert consensus.score(split, 1) == consensus.score(split, 0) == 4 / 9


def test_the_score_is_capped_at_one() -> None:
    assert consensus.score(consensus.count(*votes(9), NINE), 1) == 1.0


# ---- the vectorised form


def _panel_votes(rows: list[Answers], seed: int) -> PanelVotes:
    table = np.array(rows, np.int8)
    directions, reasons = table[..., 0], table[..., 1]
    raw = np.random.default_rng(seed).dirichlet((2, 1, 2), size=directions.shape).astype(np.float32)
    raw[reasons > 0] = np.nan
    blank = np.zeros(directions.shape, np.float32)
    return PanelVotes(raw, np.where(reasons > 0, 0, directions).astype(np.int8), reasons, blank, np.zeros(9, np.int64))


@given(st.lists(ANSWERS, min_size=1, max_size=12), RULES, st.integers(0, 2**16))
def test_the_vectorised_form_equals_count_row_by_row(rows: list[Answers], rule: PanelRule, seed: int) -> None:
    panel = _panel_votes(rows, seed)
    direction, score = panel_score(panel, rule)
    for row in range(len(rows)):
        counted = consensus.count(panel.direction[row], panel.abstained[row], rule)
        lean = float(lean_of(panel.probabilities[row, : rule.seats]))
        assert direction[row] == counted.direction
        assert score[row] == pytest.approx(0.0 if counted.direction == 0 else lean * counted.direction)


def test_calibration_counts_the_seven_local_seats() -> None:
    rows = [[(1, 0)] * 5 + [(0, 0)] * 4, [(1, 0)] * 4 + [(0, 0)] * 3 + [(1, 0)] * 2]
    assert panel_score(_panel_votes(rows, 1))[0].tolist() == [1, 0]
