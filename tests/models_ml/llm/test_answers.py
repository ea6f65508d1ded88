"""Answers: one shape, and every other text is a declared error (fault 28)."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.panel import directions, sound
from models_ml.voters.llm.answers import (
    ANSWER_LENGTH,
    THRESHOLD,
    Answer,
    BadAnswer,
    InventedNumber,
    printable,
    probabilities,
    read_answer,
)
from tests.llm_server import vote

FACTS = '{"close":61204.5,"rsi_14":71.3}'
GOOD = {"direction": "UP", "confidence": 62, "risk": "LOW", "reason": "RSI 71.3 at 61204.5"}


def test_a_sound_answer_is_read() -> None:
    answer = read_answer(json.dumps(GOOD), FACTS)
    assert (answer.side, answer.confidence, answer.risk) == (1, 62.0, "LOW")
    assert answer.reason == "RSI 71.3 at 61204.5"


def test_one_fence_around_it_is_taken_off() -> None:
    assert read_answer(f"```json\n{json.dumps(GOOD)}\n```", FACTS).side == 1


BAD: list[str] = [
    "", " ", "null", "true", "[]", "{}", "UP", "42", '"UP"', "{", "}", "{]", "\x00", "\ufeff{}", "NaN", "<html></html>",
    "I cannot give financial advice.", "Sure! " + json.dumps(GOOD), json.dumps(GOOD) + " Good luck!",
    json.dumps(GOOD) + json.dumps(GOOD), json.dumps([GOOD]), json.dumps({"answer": GOOD}), json.dumps(json.dumps(GOOD)),
    "{" * 3000, "[" * 3000, '{"direction":' * 200, "x" * 200_000, json.dumps(GOOD | {"reason": "x" * 200_000}),
    *(json.dumps(GOOD | {"direction": value}) for value in (
        "up", "Up", "BUY", "LONG", "", "UP ", " UP", "U\u0000P", "STRONG UP", "UP|DOWN", None,
        1, True, ["UP"], {"UP": 1}, "ＵＰ",
    )),
    *(json.dumps(GOOD | {"confidence": value}) for value in (
        "very high", "62", "62%", None, True, -1, 100.001, 101, 1e9, -0.001, [62],
        {"value": 62}, float("nan"), float("inf"), "high",
    )),
    *(json.dumps(GOOD | {"risk": value}) for value in ("low", "EXTREME", "", None, 3, ["LOW"])),
    *(json.dumps(GOOD | {"reason": value}) for value in (
        "", None, 5, ["a"], {"a": 1}, "\u200b\u202e", "\n\t", "x" * 401,
    )),
    *(json.dumps(GOOD | {name: "x"}) for name in ("tool_call", "size", "order", "system", "__class__", "api_key")),
    *(json.dumps({key: value for key, value in GOOD.items() if key != name}) for name in GOOD),
    '{"direction": "UP", "confidence": 62, "risk": "LOW", "reason": "a",}',
    "{'direction': 'UP', 'confidence': 62, 'risk': 'LOW', 'reason': 'a'}",
    '{"direction": "UP", "confidence": 6_2, "risk": "LOW", "reason": "a"}',
    '{"direction": "UP", "confidence": 0x3e, "risk": "LOW", "reason": "a"}',
    '{"direction": "UP", "confidence": 62, "risk": "LOW", "reason": "\\ud800"}',
    '{"direction": "UP", "confidence": 62, "risk": "LOW", "reason": "a" /* */}',
]  # fmt: skip


def damaged(count: int) -> list[str]:
    """Sound answers with one byte cut, doubled or changed, that are no answers any more."""
    rng, text, found = random.Random(7), json.dumps(GOOD), list[str]()
    while len(found) < count:
        at, how = rng.randrange(len(text)), rng.randrange(3)
        piece = ("", text[at] * 2, rng.choice('{}[]",:\\\x07eE'))[how]
        changed = text[:at] + piece + text[at + 1 :]
        try:
            Answer.model_validate_json(changed)
        except ValueError:
            found.append(changed)
    return found


CORPUS = [*BAD, *damaged(200 - len(BAD))]


def test_two_hundred_bad_answers_are_refused_by_name_and_without_a_quotation() -> None:
    assert len(CORPUS) == 200
    for text in CORPUS:
        with pytest.raises(BadAnswer) as refused:
            read_answer(text, FACTS)
        assert len(str(refused.value)) <= 200
        assert not any(word in str(refused.value) for word in ("very high", "api_key", "tool_call", "BUY"))


WORDS = st.sampled_from(
    [*(json.dumps(part) for part in GOOD.values()), *'{}[]:,"', "direction", "-", "1e999", "\\u", "null"]
)
TEXTS = st.text() | st.lists(WORDS, max_size=30).map("".join) | st.binary().map(lambda raw: raw.decode("latin-1"))


@settings(max_examples=400)
@given(TEXTS)
def test_any_text_is_a_vote_or_a_declared_error(text: str) -> None:
    try:
        answer = read_answer(text, FACTS)
    except (BadAnswer, InventedNumber):
        return
    assert 0 <= answer.confidence <= 100


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=3)


@given(st.fixed_dictionaries({name: JSON | st.just(value) for name, value in GOOD.items()}))
def test_any_object_of_these_fields_is_a_vote_or_a_declared_error(found: dict[str, object]) -> None:
    try:
        answer = read_answer(json.dumps(found), FACTS)
    except (BadAnswer, InventedNumber):
        return
    assert answer.direction in {"UP", "DOWN", "NEUTRAL"}


def test_an_invented_number_is_its_own_error() -> None:
    with pytest.raises(InventedNumber):
        read_answer(vote(reason="Support at 59800"), FACTS)


def test_a_reason_keeps_no_sign_that_cannot_be_seen() -> None:
    answer = read_answer(vote(reason="Rising\u202e \x07\u200bvolume\n\nnow"), FACTS)
    assert answer.reason == "Rising volume now"


@given(st.text())
def test_printable_text_is_one_line_that_a_database_takes(text: str) -> None:
    clean = printable(text)
    assert "\x00" not in clean
    assert clean.split() == clean.split(" ") or not clean
    clean.encode()


def test_a_long_answer_is_not_parsed() -> None:
    with pytest.raises(BadAnswer, match=str(ANSWER_LENGTH)):
        read_answer(" " * ANSWER_LENGTH + json.dumps(GOOD), FACTS)


@given(st.sampled_from([-1, 0, 1]), st.floats(0, 100))
def test_a_confidence_becomes_raw_votes_in_a_straight_line(side: int, confidence: float) -> None:
    row = np.array([probabilities(side, confidence)])
    assert sound(row)[0]
    assert row[0, side + 1] == row[0].max()
    lean = abs(row[0, 2] - row[0, 0])
    assert lean == pytest.approx(confidence / 100 if side else 0.0, abs=1e-9)
    if confidence >= 1:
        assert directions(row.astype(np.float32), THRESHOLD)[0] == side


def test_no_confidence_at_all_is_no_direction() -> None:
    row = np.array([probabilities(1, 0.0)], np.float32)
    assert directions(row, THRESHOLD)[0] == 0
