"""Five lenses and two language models: more than three of five, more than four of seven, and explicit ties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.lenses.second_panel import count

UP, DOWN, OUT = 1, -1, None
WAYS = st.sampled_from([1, 0, -1])


@pytest.mark.parametrize(
    ("lenses", "language", "strength", "direction"),
    [
        ((1, 1, 1, 1, 1), (OUT, OUT), "strong", UP),
        ((1, 1, 1, 1, 0), (OUT, OUT), "basic", UP),
        ((1, 1, 1, 0, 0), (OUT, OUT), "none", 0),
        ((1, 1, 1, 0, 0), (1, 1), "strong", UP),
        ((1, 1, 1, 0, 0), (1, 0), "none", 0),
        ((-1, -1, -1, -1, 1), (1, 1), "basic", DOWN),
        ((-1, -1, -1, -1, 1), (-1, 1), "strong", DOWN),
        ((1, 1, -1, -1, 0), (OUT, OUT), "tie", 0),
        ((1, 1, -1, -1, 0), (1, -1), "tie", 0),
        ((1, 1, 1, -1, -1), (-1, OUT), "tie", 0),
        ((0, 0, 0, 0, 0), (0, 0), "none", 0),
        ((0, 0, 0, 0, 0), (OUT, OUT), "none", 0),
    ],
)
def test_the_rule(lenses: tuple[int, ...], language: tuple[int | None, ...], strength: str, direction: int) -> None:
    panel = count(lenses, language)
    assert (panel.strength, panel.direction) == (strength, direction)


def test_flags_are_told_apart() -> None:
    panel = count((1, 1, 1, 0, 0), (1, 1))
    assert (panel.lens_consensus, panel.full_consensus) == (False, True), "strong without basic: the models made it"
    assert not panel.tie


def test_disagreement_is_the_smaller_sides_share() -> None:
    assert count((1, 1, 1, -1, 0), (OUT, 0)).disagreement == 0.25
    assert count((0,) * 5, (OUT, OUT)).disagreement == 0.0


@given(
    lenses=st.lists(WAYS, min_size=5, max_size=5), language=st.lists(st.one_of(st.none(), WAYS), min_size=2, max_size=2)
)
def test_all_seven_are_counted_and_a_mirror_turns_the_verdict(lenses: list[int], language: list[int | None]) -> None:
    panel = count(lenses, language)
    assert panel.up + panel.down + panel.neutral + panel.abstained == 7
    assert not (panel.tie and panel.direction)
    turned = count([-way for way in lenses], [None if way is None else -way for way in language])
    assert (turned.direction, turned.strength) == (-panel.direction, panel.strength)


@pytest.mark.parametrize(("lenses", "language"), [((1,) * 4, (1, 1)), ((1,) * 5, (1,)), ((1,) * 6, (1,))])
def test_any_other_number_is_refused(lenses: tuple[int, ...], language: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="five and two"):
        count(lenses, language)
