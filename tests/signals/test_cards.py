"""The presenter: what a card says, and above all what it does not say."""

import json
from dataclasses import replace

import pytest

from signals.cards import card_of
from signals.facts import Judgement, RoundFacts, Track, VoteFacts
from signals.gallery import AT, example

NOW = AT + 18


def texts(values: object) -> str:
    """Every text of a card, in one string."""
    return json.dumps(values, ensure_ascii=False)


def test_a_card_is_plain_json() -> None:
    card = card_of(example(), NOW)
    assert json.loads(json.dumps(card)) == card


def test_an_issued_round_says_direction_in_a_word_and_a_shape() -> None:
    up, down = card_of(example(), NOW), card_of(replace(example(), direction=-1), NOW)
    assert (up["arrow"], up["headline"], up["attrs"]["direction"]) == ("▲", "UP", "up")
    assert (down["arrow"], down["headline"], down["attrs"]["direction"]) == ("▼", "DOWN", "down")


def test_a_probability_stands_beside_its_history() -> None:
    card = card_of(example(), NOW)
    assert card["probability"] == "0.58 up"
    assert card["probability_n"] == "said 0.55–0.60: 57 % of 1,240 (54–60) · validation"
    assert card["probability_note"] == ""


@pytest.mark.parametrize("n", [0, 1, 99])
def test_a_small_sample_gets_words_and_no_number(n: int) -> None:
    small = replace(example(), track=Track(n, 0.57, 0.4, 0.7, 0.55, 0.6, "validation"))
    card = card_of(small, NOW)
    assert (card["probability"], card["probability_n"]) == ("", "")
    assert card["probability_note"] == f"No probability: the sample is too small (n = {n}, 100 needed)"
    assert "0.58" not in texts({key: value for key, value in card.items() if key != "votes"})


def test_a_hundred_outcomes_are_enough() -> None:
    enough = replace(example(), track=Track(100, 0.57, 0.47, 0.66, 0.55, 0.6, "live"))
    assert card_of(enough, NOW)["probability_n"].endswith("of 100 (47–66) · live")


def test_without_calibration_no_number_is_made_up() -> None:
    card = card_of(replace(example(), probability=None, track=None), NOW)
    assert (card["probability"], card["probability_n"]) == ("", "")
    assert card["probability_note"].startswith("No probability yet")


@pytest.mark.parametrize("state", ["silent", "vetoed", "tainted", "late", "missed"])
def test_a_round_without_a_signal_shows_no_direction_and_no_probability(state: str) -> None:
    card = card_of(replace(example(), state=state), NOW)
    assert (card["headline"], card["attrs"]["direction"]) == ("No signal", "none")
    assert (card["probability"], card["probability_note"], card["remaining"]) == ("", "", "")


def test_raw_outputs_are_labelled_raw() -> None:
    votes = card_of(example(), NOW)["votes"]
    assert [vote["raw"].startswith("raw ") for vote in votes] == [True] * 7 + [False] * 2
    assert votes[0]["raw"] == "raw ▼ 0.48 ● 0.03 ▲ 0.49"


def test_an_abstention_says_why() -> None:
    vote = card_of(example(), NOW)["votes"][7]
    assert (vote["word"], vote["reason"], vote["attrs"]) == ("abstained", "no key is set for it", {"direction": "none"})


def test_an_unknown_reason_is_shown_as_it_is_stored() -> None:
    odd = replace(example(), votes=(VoteFacts("x", "X", abstained="solar_flare"),))
    assert card_of(odd, NOW)["votes"][0]["reason"] == "solar flare"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"state": "silent"}, "No consensus: 6 of 9 agree, 6 needed"),
        ({"state": "vetoed", "vetoes": ("extreme_volatility", "model_age")}, "Blocked: extreme volatility, model age"),
        ({"state": "vetoed", "vetoes": ("news_window",)}, "Blocked: close to an event of high impact"),
        ({"state": "tainted", "taints": ("gap", "stale")}, "Data not to be trusted: missing candles, stale feed"),
        ({"state": "late"}, "Late, so it never counts as a hit"),
        ({"state": "missed", "reason": "platform_down"}, "This minute was missed: platform down"),
    ],
)
def test_silence_is_explained(change: dict[str, object], sentence: str) -> None:
    assert card_of(replace(example(), **change), NOW)["why"] == sentence  # type: ignore[arg-type]  # fields of the facts


@pytest.mark.parametrize(
    ("after", "text"), [(0, "1:00"), (1, "0:59"), (30.2, "0:30"), (59.9, "0:01"), (60, "resolving"), (600, "resolving")]
)
def test_the_countdown_ends_at_zero(after: float, text: str) -> None:
    card = card_of(example(), AT + after)
    assert card["remaining"] == text
    assert card["open_until"] == AT + 60


def outcome(result: str, **facts: object) -> RoundFacts:
    return replace(example(), outcome=Judgement(result, AT + 60, 61_204.6, 61_231.0, **facts))  # type: ignore[arg-type]  # fields


@pytest.mark.parametrize(
    ("result", "mark", "word"), [("won", "✓", "Won"), ("lost", "✕", "Lost"), ("tie", "=", "Tie"), ("void", "∅", "Void")]
)
def test_an_outcome_has_a_mark_a_word_and_its_evidence(result: str, mark: str, word: str) -> None:
    card = card_of(outcome(result), AT + 90)
    assert (card["outcome_mark"], card["outcome"], card["attrs"]["outcome"]) == (mark, word, result)
    assert card["outcome_text"] == "the next candle opened at 61,204.6 and closed at 61,231.0"
    assert (card["remaining"], card["open_until"]) == ("", 0)


def test_a_correction_is_said() -> None:
    assert card_of(outcome("lost", superseded=True), NOW)["outcome_text"].endswith("corrected by a later candle")


def test_three_separate_numbers() -> None:
    card = card_of(example(), NOW)
    assert (card["vote_share"], card["score"], card["probability"]) == ("6/9", "0.76", "0.58 up")


def test_only_signals_are_announced() -> None:
    assert card_of(example(), NOW)["announce"] == "BTC/USDT up, 6 of 9 voters agree"
    assert card_of(replace(example(), state="silent"), NOW)["announce"] == ""


def test_a_missed_round_has_no_votes_and_says_no_share() -> None:
    card = card_of(replace(example(), state="missed", votes=()), NOW)
    assert (card["votes"], card["vote_share"], card["vote_counts"]) == ([], "", "")


def test_missing_voters_are_named_and_chosen_silence_is_not() -> None:
    broken = VoteFacts("lstm", "LSTM", abstained="untrained")
    chosen = VoteFacts("grok", "Grok", abstained="no_key")
    assert card_of(replace(example(), votes=(broken, chosen)), NOW)["degraded"] == (
        "Degraded: 1 of 2 voters missing (LSTM)"
    )
    assert card_of(replace(example(), votes=(chosen,)), NOW)["degraded"] == ""


def test_a_size_comes_with_its_sentence_and_says_whether_to_act() -> None:
    card = card_of(example(), NOW)
    assert card["size"] == "0.07 % of capital at risk"
    assert card["size_note"].startswith("Risk at most 0.07% of your capital")
    assert card["actionable"].startswith("yes")
    assert card_of(replace(example(), actionable=False), NOW)["actionable"].startswith("no")


def test_a_signal_of_before_sizes_has_none() -> None:
    card = card_of(replace(example(), suggested_risk=None, risk_note=""), NOW)
    assert (card["size"], card["size_note"], card["actionable"]) == ("", "", "")
