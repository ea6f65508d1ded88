"""Prompt injection through headlines (S39): it can change one vote inside its schema, and nothing else."""

import json
from dataclasses import replace

import pytest
from django.conf import settings as live
from pytest_django import Settings

from models_ml.voters import LANGUAGE_SEATS, VOTERS
from models_ml.voters.llm.answers import BadAnswer, InventedNumber, read_answer
from models_ml.voters.llm.prompts import Prompt, prompt_of
from tests.llm_server import vote
from tests.models_ml.llm.hostile import HEADLINES
from tests.models_ml.llm.minutes import minute

CALM = minute()


def prompt(seat: str, *headlines: str) -> Prompt:
    return prompt_of(replace(CALM, headlines=headlines), VOTERS[seat].prompt, VOTERS[seat].lookback)


def test_there_are_a_hundred() -> None:
    assert len(HEADLINES) == len(set(HEADLINES)) == 100


@pytest.mark.parametrize("seat", LANGUAGE_SEATS)
def test_a_headline_changes_its_own_string_and_nothing_around_it(seat: str) -> None:
    calm = prompt(seat)
    for line in HEADLINES:
        told = prompt(seat, line)
        assert told.system == calm.system
        assert told.user.count("<facts>") == told.user.count("</facts>") == 1
        assert told.user.startswith("<facts>\n{")
        assert told.user.endswith("}\n</facts>")
        assert set(told.user) - {"\n"} <= set(map(chr, range(32, 127)))
        facts = json.loads(told.facts)
        assert facts | {"headlines": []} == json.loads(calm.facts)
        assert len(facts["headlines"]) == 1


@pytest.mark.parametrize("seat", LANGUAGE_SEATS)
def test_all_of_them_at_once_stay_within_what_is_told(seat: str) -> None:
    assert prompt(seat, *HEADLINES).size < prompt(seat).size + 20 * 12 * 200


def texts_of_settings() -> list[str]:
    """The values of all settings that are text and long enough to be found again."""
    found = []
    for name in dir(live):
        value = getattr(live, name) if name.isupper() else None
        found += [value] if isinstance(value, str) else []
        found += [str(part) for part in value.values()] if name == "DATABASES" and isinstance(value, dict) else []
    return [value for value in found if len(value) >= 10]


@pytest.mark.parametrize("seat", LANGUAGE_SEATS)
def test_no_setting_stands_in_a_prompt(settings: Settings, seat: str) -> None:
    settings.GEMINI_API_KEY, settings.XAI_API_KEY = "AIza-key-of-the-operator", "xai-key-of-the-operator"
    told = prompt(seat, *HEADLINES)
    values = texts_of_settings()
    assert {"AIza-key-of-the-operator", "xai-key-of-the-operator", settings.SECRET_KEY} <= set(values)
    assert [value for value in values if value in told.system + told.user] == []


def test_an_obedient_model_can_only_vote_or_be_refused() -> None:
    """A model that does whatever the headline says: its words as the reason, or as the whole answer."""
    facts = prompt("gemini").facts
    for line in HEADLINES:
        for text in (line, vote(reason=line[:400] or "-"), vote(direction=line), json.dumps({"order": line})):
            try:
                answer = read_answer(text, facts)
            except (BadAnswer, InventedNumber):
                continue
            assert answer.direction in {"UP", "DOWN", "NEUTRAL"}
            assert 0 <= answer.confidence <= 100
            assert answer.reason.isprintable()
