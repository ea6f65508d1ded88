"""Which numbers of a reason count as told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.voters.llm.numbers import invented, quoted, told

FACTS = (
    '{"close":61204.5,"rsi_14":71.3,"return_1":-0.0123,"low":60999.25,"volume":1250.0,"spread_bps":0.85,"t":"09:30"}'
)


@pytest.mark.parametrize(
    "reason",
    [
        "No number at all.",
        "Close at 61204.5 with RSI 71.3",
        "Close at 61,204.5 with RSI (14) at 71.3",
        "Close near 61,200 and RSI near 71",
        "a fall of 0.0123, that is 1.23 % or 1.23%",
        "a fall of -0.0123; spread 0.85 bps",
        "At 09:30 the volume was 1250",
        "61.2k is the level, volume 1.25k",
        "three white soldiers, two tops",
        "RSI14 is at 71.3",
    ],
)
def test_what_was_told_may_be_said(reason: str) -> None:
    assert invented(reason, told(FACTS)) == []


@pytest.mark.parametrize(
    ("reason", "wrong"),
    [
        ("Resistance at 61500", ["61500"]),
        ("Resistance at 61,500.25", ["61,500.25"]),
        ("RSI 17.3", ["17.3"]),
        ("Breaks 60000", ["60000"]),
        ("Target 1e6", ["1e6"]),
        ("87 % likely", ["87%"]),
        ("Close at 61204.4", ["61204.4"]),
        ("EMA8 crosses", ["8"]),
        ("６１５００ is near", ["61500"]),
        ("٦١٥٠٠ is near", ["٦١٥٠٠"]),
        ("above sixty thousand", ["thousand"]),
        ("2²  more", ["22"]),
    ],
)
def test_what_was_not_told_is_invented(reason: str, wrong: list[str]) -> None:
    assert invented(reason, told(FACTS)) == wrong


@given(st.floats(1e-3, 1e7, allow_nan=False), st.integers(0, 4))
def test_a_fact_as_far_as_it_is_written_out_is_told(value: float, digits: int) -> None:
    assert invented(f"at {value:.{digits}f} now", [float(f"{value:.6g}"), value]) == []


@given(st.integers(1000, 10**9), st.integers(2, 60))
def test_a_number_that_is_off_by_its_last_digit_is_invented(value: int, step: int) -> None:
    stated = value * 10 + 1 + step % 9
    assert invented(f"at {stated}.5", [float(value * 10)]) == [f"{stated}.5"]


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert all(number.value >= 0 for number in quoted(text))
    assert isinstance(invented(text, told(text)), list)


@pytest.mark.parametrize("text", ["9" * 5000, "1e" + "9" * 300, "1e-99999", "0." + "0" * 4000 + "1", "1," * 3000])
def test_monstrous_numbers_are_numbers(text: str) -> None:
    assert invented(text, [1.5]) or text.startswith(("1,", "0.", "1e-"))
