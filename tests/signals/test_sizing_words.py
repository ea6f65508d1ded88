"""The verdict in words."""

from typing import Any

import pytest

from signals.sizing_words import difference_of, missing_of, sentence_of


def figures(**changes: Any) -> dict[str, Any]:  # any figure
    enough = {"rows": 0, "days": 0}
    return {
        "n": 1_480, "days": 31, "difference": -9.46e-5, "low": -1.625e-4, "high": -3.08e-5, "beats": False,
        "missing": enough,
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {},
            "learned sizing does not beat volatility-targeted Kelly on 1,480 judged rows of 31 days: −94.6 millionths "
            "of log growth a decision (95 %: −162.5 to −30.8)",
        ),
        (
            {"difference": 2e-5, "low": 1e-6, "high": 3e-5, "beats": True},
            "learned sizing beats volatility-targeted Kelly on 1,480 judged rows of 31 days: +20.0 millionths "
            "of log growth a decision (95 %: +1.0 to +30.0)",
        ),
        (
            {"n": 12, "days": 1, "low": None, "high": None, "missing": {"rows": 988, "days": 19}},
            "learned sizing has 12 judged rows of 1 day beside volatility-targeted Kelly; missing for a verdict: "
            "988 rows and 19 days",
        ),
    ],
)
def test_who_is_better_on_how_much(changes: dict[str, Any], told: str) -> None:
    assert sentence_of(figures(**changes)) == told


def test_what_is_missing() -> None:
    assert missing_of(figures()) == ""
    assert missing_of(figures(missing={"rows": 0, "days": 1})) == "1 day"


def test_one_day_has_no_interval() -> None:
    assert difference_of(figures(low=None, high=None)) == "−94.6 millionths of log growth a decision"
