"""What a language model is told, and that nothing in it can leave its place."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.features import COLUMNS
from models_ml.voters import LANGUAGE_SEATS, VOTERS
from models_ml.voters.llm.facts import HEADLINE_LENGTH, HEADLINES, INDICATORS, TRENDS, as_text, facts_of
from models_ml.voters.llm.prompts import prompt_of
from tests.models_ml.llm.minutes import blind, minute

MINUTE = minute()


def test_the_snapshot_holds_what_the_template_names() -> None:
    facts = facts_of(MINUTE, 50)
    assert (facts["instrument"], facts["market"], facts["timeframe"]) == ("BTC/USDT", "crypto", "1m")
    assert facts["decided_at"] == "2023-11-15T05:00:00Z"
    assert len(facts["candles"]["rows"]) == facts["candles"]["count"] == 50
    assert facts["candles"]["rows"][-1] == pytest.approx(MINUTE.ohlcv[-1].tolist(), rel=1e-7)
    assert set(facts["trend"].values()) <= {"up", "down", "flat", None}
    assert facts["order_flow"]["book"]["spread_bps"] == pytest.approx(2.0, abs=0.01)
    assert facts["order_flow"]["trades_60s"] == {"bought": 12.5, "sold": 7.25, "trades": 41.0, "largest": 3.5}
    assert facts["headlines"] == []


def test_the_told_columns_are_columns_of_the_registry() -> None:
    assert set(INDICATORS) | set(TRENDS.values()) <= set(COLUMNS)
    assert list(facts_of(MINUTE, 5)["indicators"]) == list(INDICATORS)


def test_confirmed_patterns_are_named_with_their_side() -> None:
    features = MINUTE.features.copy()
    features[COLUMNS.index("pattern_engulfing")], features[COLUMNS.index("pattern_hammer")] = 1, -1
    named = facts_of(replace(MINUTE, features=features), 5)["patterns"]
    assert {"name": "engulfing", "side": "bullish"} in named
    assert {"name": "hammer", "side": "bearish"} in named


def test_what_is_unknown_is_null_and_never_a_number() -> None:
    """Fault 26: neither NaN nor infinity is told as a figure, and JSON has no word for them."""
    features = np.full_like(MINUTE.features, np.nan)
    features[::2] = np.inf
    ohlcv = MINUTE.ohlcv.copy()
    ohlcv[-3] = np.nan
    facts = facts_of(replace(MINUTE, features=features, ohlcv=ohlcv, book=None, flow=None), 20)
    assert set(facts["indicators"].values()) == {None}
    assert facts["candles"]["rows"][-3] == [None] * 5
    assert (facts["order_flow"], facts["patterns"]) == (None, [])
    assert "NaN" not in as_text(facts)
    assert "Infinity" not in as_text(facts)


def test_without_the_candle_that_closed_nothing_is_asked() -> None:
    assert MINUTE.readable
    assert not blind(MINUTE).readable


@given(st.lists(st.text(), max_size=40))
def test_a_headline_stays_inside_its_string(headlines: list[str]) -> None:
    text = as_text(facts_of(replace(MINUTE, headlines=headlines), 5))
    assert not set("<>&`\n\r") & set(text)
    assert text.isascii()
    told = json.loads(text)
    assert len(told["headlines"]) == min(len(headlines), HEADLINES)
    assert all(len(line) <= HEADLINE_LENGTH for line in told["headlines"])
    assert told | {"headlines": []} == json.loads(as_text(facts_of(replace(MINUTE, headlines=[]), 5)))


@pytest.mark.parametrize("seat", LANGUAGE_SEATS)
def test_a_prompt_is_made_of_its_template_and_the_facts_alone(seat: str) -> None:
    spec = VOTERS[seat]
    prompt = prompt_of(MINUTE, spec.prompt, spec.lookback)
    assert prompt.version == spec.prompt
    assert len(json.loads(prompt.facts)["candles"]["rows"]) == {"gemini": 50, "grok": 20}[seat]
    assert prompt.user == f"<facts>\n{prompt.facts}\n</facts>"
    assert prompt.size == len((prompt.system + prompt.user).encode())
    assert prompt.hash == prompt_of(minute(), spec.prompt, spec.lookback).hash, "the same minute, the same question"
    assert prompt.hash != prompt_of(minute(1), spec.prompt, spec.lookback).hash
    again = prompt.again("confidence: float_type")
    assert again.hash == prompt.hash, "a repair is the same question"
    assert "confidence: float_type" in again.user
    assert again.system == prompt.system
