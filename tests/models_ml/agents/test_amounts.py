"""Amounts and which way they went."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.agents.amounts import amounts, changes, repaired


def values(text: str) -> list[tuple[float, str]]:
    return [(amount.value, amount.unit) for amount in amounts(repaired(text))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("EUR 13.1 mn", [(13.1e6, "EUR")]),
        ("EUR131m", [(131e6, "EUR")]),
        ("EUR13 .9 m", [(13.9e6, "EUR")]),
        ("EUR415 ,000", [(415_000, "EUR")]),
        ("$1,047.4 million", [(1047.4e6, "USD")]),
        ("11.7 mln euro", [(11.7e6, "EUR")]),
        ("5.35 %", [(5.35, "%")]),
        ("3.0 pct", [(3.0, "%")]),
        ("36 000 tonnes", [(36_000, "")]),
        ("EUR 37,7 mn", [(37.7e6, "EUR")]),
        ("EUR -0.7 mn", [(-0.7e6, "EUR")]),
        ("5.0 mln euro $ 6.9 mln", [(5.0e6, "EUR")]),
        ("EUR 63.5 million ( USD 81.1 m )", [(63.5e6, "EUR")]),
        ("euro3 million, or euro2 a share", [(3e6, "EUR")]),
        ("in 2009 and Q3", []),
        ("LEM1S and B2B", []),
    ],
)
def test_an_amount_is_read_with_its_unit(text: str, found: list[tuple[float, str]]) -> None:
    assert [unit for _, unit in values(text)] == [unit for _, unit in found]
    assert [value for value, _ in values(text)] == pytest.approx([value for value, _ in found])


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("profit rose to EUR 13.1 mn from EUR 8.7 mn", 1),
        ("sales went from EUR 13.1 mn to EUR 8.7 mn", -1),
        ("sales of EUR 5 mn in 2009, down from EUR 6 mn", -1),
        ("the margin was 13.6 %, compared to 14.3 %", -1),
        ("an operating loss of EUR 3 mn against a profit of EUR 1 mn", -1),
        ("an operating loss of EUR 3 mn, compared to a loss of EUR 9 mn", 1),
        ("a profit of EUR 1 mn versus a loss of EUR 9 mn", 1),
        ("revenue of EUR 1.3 mn, up from a EUR 0.3 mn loss", 1),
        ("a negative EUR 3 mn, compared to EUR 23 mn", -1),
        ("costs of EUR 9 mn, compared to EUR 7 mn", -1),
        ("profit before taxes of EUR 9 mn, compared to EUR 7 mn", 1),
        ("a EUR 1.5 million loss compared with a 1.7 million profit", -1),
        ("EUR 5 mn, compared to EUR 5 mn", 0),
    ],
)
def test_which_way_it_went(text: str, side: int) -> None:
    assert [change.side for change in changes(text)] == [side]


@pytest.mark.parametrize(
    "text",
    ["EUR 5 mn and EUR 6 mn", "EUR 5 mn, compared to 6 %", "from Helsinki to Turku", "10 offices from 9 to 5 o'clock"],
)
def test_amounts_that_nobody_compares_say_nothing(text: str) -> None:
    assert [change for change in changes(text) if change.side > 0] == []


def test_two_comparisons_are_told_apart() -> None:
    text = "sales rose to EUR 51 mn from EUR 37 mn, while the loss grew to EUR 4 mn from a loss of EUR 2 mn"
    sides = [change.side for change in changes(text)]
    assert (sides[0], sides[-1]) == (1, -1)


@given(st.text(alphabet="0123456789 .,-%€$EURmnfrotcpaed", max_size=120))
def test_any_figures_are_read_without_an_error(text: str) -> None:
    assert all(change.side in {-1, 0, 1} for change in changes(text))
