"""Asking both providers over real sockets: whatever they do becomes a vote or an abstention, on record."""

import time
from datetime import timedelta

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from lib import clock
from markets.models import Instrument
from models_ml import asking, reserving
from models_ml.asking import Asking
from models_ml.models import LlmAnswer, LlmCall
from models_ml.providers import providers
from models_ml.tasks import forget_language_calls
from models_ml.voters.language import NoRecordedVote
from models_ml.votes import AbstainReason
from tests.llm_server import Cut, Hang, LlmServer, Play, Raw, Refuse, Request, Say, error, vote
from tests.models_ml.llm.minutes import blind
from tests.models_ml.llm.shard import CLOSE, DEADLINE_S, SEATS, about, ask, later, words

pytestmark = pytest.mark.django_db


def test_each_provider_is_asked_once_for_each_instrument(llm: LlmServer, pair: list[Instrument]) -> None:
    llm.play = lambda request: Say(vote("DOWN", 40) if request.provider == "grok" else vote("UP", 80))
    votes = ask(about(pair))
    assert [len(llm.of(seat)) for seat in SEATS] == [2, 2]
    np.testing.assert_allclose(votes["gemini"].probabilities, [[0.2 / 3, 0.2 / 3, 2.6 / 3]] * 2, rtol=1e-6)
    np.testing.assert_allclose(votes["grok"].probabilities, [[0.6, 0.2, 0.2]] * 2, rtol=1e-6)
    assert (votes["gemini"].latency_ms > 0).all()
    row = LlmAnswer.objects.get(call__provider="gemini", call__instrument=pair[0])
    assert (row.abstained, row.direction, row.confidence, row.reason) == (0, 1, 80.0, "Volume rises.")
    assert (row.tokens_in, row.tokens_out, row.tokens, row.cost) == (900, 60, 960, None)
    assert (row.call.model, row.call.template, row.call.attempt) == ("gemini-test", "gemini_v1", 1)
    assert row.call.close_time == clock.from_epoch(CLOSE)
    assert len(row.call.prompt_hash) == 64


def test_the_request_holds_the_facts_and_no_tools(llm: LlmServer, pair: list[Instrument]) -> None:
    ask(about(pair[:1]))
    gemini, grok = llm.of("gemini")[0], llm.of("grok")[0]
    assert gemini.path.endswith("/models/gemini-test:generateContent")
    assert gemini.headers["x-goog-api-key"] == "AIza-key-of-the-operator"
    assert grok.headers["Authorization"] == "Bearer xai-key-of-the-operator"
    assert (len(gemini.facts["candles"]["rows"]), len(grok.facts["candles"]["rows"])) == (50, 20)
    assert gemini.facts["instrument"] == grok.facts["instrument"] == "BTC/USDT"
    for request in (gemini, grok):
        assert "one of nine independent voters" in request.system
        assert not {"tools", "toolConfig", "functions", "search_parameters"} & set(request.body)
        assert "key-of-the-operator" not in str(request.body)


def test_the_same_question_is_never_paid_for_twice(llm: LlmServer, pair: list[Instrument]) -> None:
    first = ask(about(pair))
    asking.close()  # as after a restart: only the record is left
    again = ask(about(pair))
    assert len(llm.requests) == 4
    for seat in SEATS:
        np.testing.assert_array_equal(first[seat].probabilities, again[seat].probabilities)
    ask(about(pair, seed=5))
    assert len(llm.requests) == 8, "another minute is another question"


def test_what_could_not_be_answered_is_not_asked_again_either(llm: LlmServer, pair: list[Instrument]) -> None:
    llm.play = lambda request: error(500)
    first, again = ask(about(pair)), ask(about(pair))
    assert words(first["grok"]) == words(again["grok"]) == ["failed"] * 2
    assert len(llm.requests) == 4


FAULTS: dict[str, tuple[Play, str]] = {
    "429": (error(429, retry_after="30"), "rate_limited"),
    "429 without a time": (error(429), "rate_limited"),
    "429 with a date": (error(429, retry_after="Wed, 21 Oct 2099 07:28:00 GMT"), "rate_limited"),
    "400": (error(400), "failed"),
    "401": (error(401), "failed"),
    "500": (error(500), "failed"),
    "503": (error(503, retry_after="30"), "failed"),
    "redirect": (Raw(302, b"", {"location": "http://127.0.0.1:1/"}), "failed"),
    "cut": (Cut(), "failed"),
    "half a reply": (Raw(200, b'{"choices": [{"mess', {"content-type": "application/json"}), "failed"),
    "time-out": (Hang(), "deadline"),
    "slow drip": (Say(vote(), drip_s=0.2), "deadline"),
    "late": (Say(vote(), delay_s=5), "deadline"),
    "refusal": (Refuse(), "refused"),
    "200 kB": (Say("x" * 200_000), "bad_answer"),
    "200 kB reason": (Say(vote(reason="x" * 200_000)), "bad_answer"),
    "a long answer": (Say("x" * 20_000), "bad_answer"),
    "packed": (Raw(200, b"\x1f\x8b\x08", {"content-encoding": "gzip"}), "bad_answer"),
    "malformed": (Say('{"direction": "UP", "confidence": 62'), "bad_answer"),
    "prose": (Say("As a language model I cannot give financial advice."), "bad_answer"),
    "wrong enum": (Say(vote("STRONG BUY")), "bad_answer"),
    "very high": (Say('{"direction":"UP","confidence":"very high","risk":"LOW","reason":"x"}'), "bad_answer"),
    "empty": (Say(""), "bad_answer"),
    "invented number": (Say(vote(reason="Resistance at 123456.7")), "invented_number"),
    "tool call": (Say('{"tool_calls": [{"name": "transfer"}]}'), "bad_answer"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("seat", SEATS)
def test_a_fault_of_one_provider_is_one_abstention(
    llm: LlmServer, pair: list[Instrument], seat: str, name: str
) -> None:
    """Faults 27 and 28: the seat says why, the other one votes, and nobody waits past the deadline."""
    play, word = FAULTS[name]
    deadline_s = 2.5 if word == "deadline" else DEADLINE_S
    llm.play = lambda request: play if request.provider == seat else Say(vote())
    started = time.monotonic()
    votes = ask(about(pair), deadline_s)
    took = time.monotonic() - started
    (other,) = set(SEATS) - {seat}
    assert words(votes[seat]) == [word] * 2
    assert words(votes[other]) == ["vote"] * 2
    assert np.isnan(votes[seat].probabilities).all()
    assert took < 25, "the deadline cut it: a model that hangs takes 30 s"
    for row in LlmAnswer.objects.filter(call__provider=seat):
        assert row.abstained in {AbstainReason[word.upper()]}
        assert (row.direction, row.confidence, row.reason) == (None, None, "")
        assert "AIza" not in row.detail, "an error's text is never kept"


def test_an_unreadable_answer_is_repaired_once(llm: LlmServer, pair: list[Instrument]) -> None:
    llm.play = lambda request: Say(vote("DOWN") if request.repair else "no idea")
    votes = ask(about(pair[:1]))
    assert words(votes["gemini"]) == words(votes["grok"]) == ["vote"]
    assert [len(llm.of(seat)) for seat in SEATS] == [2, 2]
    calls = LlmCall.objects.filter(provider="grok").order_by("attempt")
    assert [call.attempt for call in calls] == [1, 2]
    assert calls[0].prompt_hash == calls[1].prompt_hash
    assert LlmAnswer.objects.get(call=calls[0]).abstained == AbstainReason.BAD_ANSWER
    assert "no idea" not in llm.of("grok")[1].user, "what was said is not sent back"
    assert words(ask(about(pair[:1]))["grok"]) == ["vote"], "the record's last attempt counts"
    assert len(llm.requests) == 4


def test_twice_unreadable_is_an_abstention(llm: LlmServer, pair: list[Instrument]) -> None:
    llm.play = lambda request: Say("no idea")
    assert words(ask(about(pair[:1]))["gemini"]) == ["bad_answer"]
    assert [len(llm.of(seat)) for seat in SEATS] == [2, 2]


def test_a_repair_needs_its_own_place_in_the_minute(llm: LlmServer, pair: list[Instrument], settings: Settings) -> None:
    settings.LLM_CALLS_PER_MINUTE = 1
    llm.play = lambda request: Say("no idea")
    assert words(ask(about(pair[:1]))["gemini"]) == ["bad_answer"]
    assert [len(llm.of(seat)) for seat in SEATS] == [1, 1]


def test_an_invented_number_is_not_repaired(llm: LlmServer, pair: list[Instrument]) -> None:
    llm.play = lambda request: Say(vote(reason="Support at 59800.5"))
    assert words(ask(about(pair[:1]))["gemini"]) == ["invented_number"]
    assert len(llm.of("gemini")) == 1


def test_a_number_of_the_facts_may_be_quoted(llm: LlmServer, pair: list[Instrument]) -> None:
    def quote(request: Request) -> Play:
        rsi, close = request.facts["indicators"]["rsi_14"], request.facts["candles"]["rows"][-1][3]
        return Say(vote(reason=f"RSI(14) of {rsi} at a close of {close}."))

    llm.play = quote
    assert words(ask(about(pair))["gemini"]) == ["vote"] * 2


def test_a_candle_that_is_missing_is_not_asked_about(llm: LlmServer, pair: list[Instrument]) -> None:
    """Fault 26: a hole is an abstention of its own instrument, and costs nothing."""
    known, lost = about(pair)
    votes = ask([known, Asking(lost.instrument_id, CLOSE, blind(lost.minute))])
    assert words(votes["gemini"]) == ["vote", "bad_input"]
    assert len(llm.requests) == 2


def test_without_time_nothing_is_asked(llm: LlmServer, pair: list[Instrument]) -> None:
    assert words(ask(about(pair), 0.0)["grok"]) == ["deadline"] * 2
    assert llm.requests == []
    assert LlmCall.objects.count() == 0


# ---- the record


def test_recorded_votes_are_read_without_asking(llm: LlmServer, pair: list[Instrument]) -> None:
    live = ask(about(pair))
    grok = providers()["grok"]
    found = asking.recorded(about(pair), grok)
    np.testing.assert_array_equal(found.probabilities, live["grok"].probabilities)
    with pytest.raises(NoRecordedVote, match=r"2 of 2 votes of 'grok'.*live only"):
        asking.recorded(about(pair, seed=5), grok)
    assert len(llm.requests) == 4


def test_the_application_can_neither_change_nor_delete_what_was_said(llm: LlmServer, pair: list[Instrument]) -> None:
    ask(about(pair[:1]))
    with connection.cursor() as cursor:
        for table in ("models_ml_llmcall", "models_ml_llmanswer"):
            for right in ("UPDATE", "DELETE", "TRUNCATE"):
                cursor.execute("SELECT has_table_privilege(current_user, %s, %s)", [table, right])
                assert cursor.fetchone() == (False,), (table, right)


def test_old_calls_are_forgotten_and_the_last_day_never(
    llm: LlmServer, pair: list[Instrument], settings: Settings
) -> None:
    settings.LLM_RETENTION = timedelta(days=2)
    with later(-3 * 86_400):
        ask(about(pair))
    ask(about(pair, seed=5))
    with pytest.raises(DatabaseError, match="kept"), transaction.atomic():
        reserving.forget(clock.wall_now())
    assert forget_language_calls() == 4
    assert LlmAnswer.objects.count() == LlmCall.objects.count() == 4
