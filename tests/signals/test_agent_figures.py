"""Stored figures in words, the baseline in each."""

import pytest

from signals.agent_figures import figures_of
from signals.agent_lines import ANSWERS, TITLES
from tests.signals.panels import AGENT_FIGURES


def told(agent: str) -> list[str]:
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in figures_of(agent, AGENT_FIGURES[agent])]


def test_each_says_against_what_it_was_held() -> None:
    assert told("volatility") == [
        "15 minutes ahead: error (QLIKE) 0.312, of the last day's variance 0.401, n = 12,345",
        "60 minutes ahead: error (QLIKE) 0.344, of the last day's variance 0.390, n = 12,300",
    ]
    assert told("moves") == [
        "1 min: 80.3 % of 5,000 moves inside a band made for 80 %",
        "15 min: 79.4 % of 4,900 moves inside a band made for 80 %",
    ]
    assert told("regime") == [
        "Error (QLIKE) that the forecast saves by knowing the regime: +0.0042 (95 %: −0.0003 to +0.0087), 0 without it"
    ]
    assert told("sizing_rl") == [
        "−94.6 millionths of log growth a decision (95 %: −162.5 to −30.8) against volatility-targeted Kelly, n = 2,310"
    ]


def test_the_stack_is_held_against_the_commoner_side_and_the_base_rate() -> None:
    later = {"n": 5_400, "accuracy": 0.531, "up_share": 0.49, "brier_skill": -0.0012}
    assert figures_of("meta", {"later": later}) == [
        "53.1 % of 5,400 sides right, the commoner side 51.0 %",
        "Brier skill −0.0012, 0 is the base rate",
    ]
    assert figures_of("meta", {"later": {"n": 5_400, "accuracy": 0.531}}) == ["53.1 % of 5,400 sides right"]


def test_a_trained_reader_says_how_it_was_checked() -> None:
    assert figures_of("sentiment", {"accuracy": 0.921, "macro_f1": 0.883}) == [
        "92.1 % accuracy and 88.3 % macro-F1 on sentences it had not learned from; no baseline is stored"
    ]


def test_a_gain_without_an_interval_has_none() -> None:
    assert figures_of("regime", {"gain": 0.001, "low": None, "high": None}) == [
        "Error (QLIKE) that the forecast saves by knowing the regime: +0.0010, 0 without it"
    ]


@pytest.mark.parametrize("agent", ANSWERS)
def test_what_was_not_measured_is_passed_over(agent: str) -> None:
    assert TITLES[agent]
    assert figures_of(agent, {}) == []
    assert figures_of(agent, dict.fromkeys(AGENT_FIGURES.get(agent, {"later": None}))) == []
