"""Numbers and words as pages print them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.votes import AbstainReason
from signals.wording import ABSTENTIONS, clock_text, decimals_of, duration_text, price_text, signed


@pytest.mark.parametrize(
    ("price", "tick", "text"),
    [
        (61_204.5, 0.1, "61,204.5"),
        (61_204.0, 1.0, "61,204"),
        (0.12345, 0.00001, "0.12345"),
        (0.5, 0.25, "0.50"),
        (1.23456789, None, "1.23457"),
        (0.000123, None, "0.000123"),
        (None, 0.1, ""),
    ],
)
def test_a_price_has_the_decimals_of_its_tick(price: float | None, tick: float | None, text: str) -> None:
    assert price_text(price, tick) == text


@given(st.floats(-1e12, 1e12), st.one_of(st.none(), st.floats(1e-8, 1e4)))
def test_decimals_stay_in_range(price: float, tick: float | None) -> None:
    assert 0 <= decimals_of(tick, price) <= 8


@given(st.floats(-1e9, 1e9))
def test_a_countdown_is_never_negative(seconds: float) -> None:
    assert not clock_text(seconds).startswith("-")


def test_signs_and_spans() -> None:
    assert (signed(-1.44, 1, "bp"), signed(0.0, 1, "bp")) == ("−1.4 bp", "+0.0 bp")
    assert [duration_text(s) for s in (0, 59, 60, 3_599, 3_600, 86_400)] == [
        "0 s",
        "59 s",
        "1 min",
        "59 min",
        "1 h",
        "1 d",
    ]


def test_every_abstention_has_its_words() -> None:
    assert set(ABSTENTIONS) == {reason.word for reason in AbstainReason}
