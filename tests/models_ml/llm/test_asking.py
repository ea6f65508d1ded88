"""Asking both providers over real sockets: whatever they do becomes a vote or an abstention, on record."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import numpy as np
import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from lib import clock
from markets.models import Instrument
from models_ml import asking, reserving
from models_ml.asking import Asking
from models_ml.models import LlmAnswer, LlmCall, LlmDay
from models_ml.panel import LanguageVotes
from models_ml.providers import providers
from models_ml.voters.language import NoRecordedVote
from models_ml.voters.llm.admission import BREAK_AFTER, REST_S
from models_ml.votes import AbstainReason
from tests.factories_market import instruments_of, make_run
from tests.llm_server import Cut, Hang, LlmServer, Play, Raw, Refuse, Request, Say, error, vote
from tests.models_ml.llm.minutes import blind, minute

pytestmark = pytest.mark.django_db
SEATS = ("gemini", "grok")
DEADLINE_S = 5.0
CLOSE = clock.epoch(datetime(2026, 3, 2, 9, 30, tzinfo=UTC))


@pytest.fixture
def pair() -> list[Instrument]:
    """Two instruments."""
    return instruments_of(make_run("live"))


def about(instruments: list[Instrument], seed: int = 0) -> list[Asking]:
    return [Asking(one.pk, CLOSE, minute(seed + place, symbol=one.symbol)) for place, one in enumerate(instruments)]


def ask(what: list[Asking], deadline_s: float = DEADLINE_S) -> dict[str, LanguageVotes]:
    return asking.ask(what, deadline_s=deadline_s).votes()


def later(seconds: float) -> time_machine.travel:
    """The wall clock, moved."""
    return time_machine.travel(clock.wall_now() + timedelta(seconds=seconds))


def words(votes: LanguageVotes) -> list[str]:
    return [AbstainReason(why).word if why else "vote" for why in votes.abstained]


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
    "late": (Say(vote(), delay_s=3), "deadline"),
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
    deadline_s = 1.0 if word == "deadline" else DEADLINE_S
    llm.play = lambda request: play if request.provider == seat else Say(vote())
    started = time.monotonic()
    votes = ask(about(pair), deadline_s)
    took = time.monotonic() - started
    (other,) = set(SEATS) - {seat}
    assert words(votes[seat]) == [word] * 2
    assert words(votes[other]) == ["vote"] * 2
    assert np.isnan(votes[seat].probabilities).all()
    assert took < DEADLINE_S + 2, "the deadline cut it; the rest is this machine's"
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


# ---- limits


def test_the_minute_holds_so_many_calls_and_no_more(llm: LlmServer, pair: list[Instrument], settings: Settings) -> None:
    settings.LLM_CALLS_PER_MINUTE = 3
    assert words(ask(about(pair))["grok"]) == ["vote"] * 2
    assert words(ask(about(pair, seed=5))["grok"]) == ["vote", "rate_limited"]
    assert words(ask(about(pair, seed=9))["grok"]) == ["rate_limited"] * 2
    assert [len(llm.of(seat)) for seat in SEATS] == [3, 3]
    with later(61):
        assert words(ask(about(pair, seed=9))["grok"]) == ["vote"] * 2, "what was not asked may be asked later"


def test_retry_after_is_obeyed_for_that_provider_alone(llm: LlmServer, pair: list[Instrument]) -> None:
    llm.play = lambda request: error(429, retry_after="30") if request.provider == "gemini" else Say(vote())
    ask(about(pair[:1]))
    retry_at = LlmAnswer.objects.get(call__provider="gemini").retry_at
    assert retry_at is not None
    assert 25 < (retry_at - clock.wall_now()).total_seconds() <= 30
    votes = ask(about(pair, seed=5))
    assert (words(votes["gemini"]), words(votes["grok"])) == (["rate_limited"] * 2, ["vote"] * 2)
    assert len(llm.of("gemini")) == 1
    with later(31):
        assert words(ask(about(pair[:1], seed=7))["gemini"]) == ["rate_limited"], "asked, and told to wait again"
    assert len(llm.of("gemini")) == 2


def test_a_provider_that_fails_is_left_alone_and_tried_by_one_call(llm: LlmServer, pair: list[Instrument]) -> None:
    llm.play = lambda request: error(500) if request.provider == "gemini" else Say(vote())
    for seed in range(0, 40, 10):
        ask(about(pair, seed=seed))
    assert len(llm.of("gemini")) == 6, "the sixth was already out with the fifth"
    assert words(ask(about(pair, seed=50))["gemini"]) == ["resting"] * 2
    assert words(ask(about(pair, seed=60))["grok"]) == ["vote"] * 2
    with later(REST_S):
        assert words(ask(about(pair, seed=70))["gemini"]) == ["failed", "resting"], "half open"
        assert words(ask(about(pair, seed=75))["gemini"]) == ["resting"] * 2
    llm.play = lambda request: Say(vote())
    with later(2 * REST_S + 5):
        assert words(ask(about(pair, seed=80))["gemini"]) == ["vote", "resting"]
        assert words(ask(about(pair, seed=90))["gemini"]) == ["vote"] * 2, "closed again"
    assert BREAK_AFTER == 5


def test_the_days_tokens_end_the_questions(llm: LlmServer, pair: list[Instrument], settings: Settings) -> None:
    ask(about(pair[:1]))
    most = LlmCall.objects.order_by("-most_tokens")[0].most_tokens
    settings.LLM_DAILY_TOKEN_CAP = 2 * 960 + most + 200
    votes = ask(about(pair, seed=5))
    assert words(votes["gemini"]) == ["vote", "over_budget"]
    assert words(votes["grok"]) == ["over_budget"] * 2
    with later(86_400):
        assert words(ask(about(pair[:1], seed=9))["gemini"]) == ["vote"], "a new day"


def test_money_is_counted_where_prices_are_known(llm: LlmServer, pair: list[Instrument], settings: Settings) -> None:
    settings.LLM_DAILY_TOKEN_CAP, settings.LLM_DAILY_COST_CAP = 0, 1.0
    settings.GEMINI_PRICE_IN, settings.GEMINI_PRICE_OUT = 10.0, 30.0
    votes = ask(about(pair[:1]))
    assert (words(votes["gemini"]), words(votes["grok"])) == (["vote"], ["over_budget"]), "no price, no promise"
    assert LlmAnswer.objects.get().cost == pytest.approx((900 * 10 + 60 * 30) / 1e6)
    settings.LLM_DAILY_COST_CAP = 0.012
    assert words(ask(about(pair[:1], seed=5))["gemini"]) == ["over_budget"]


def test_a_call_that_was_cut_counts_at_the_most_it_can_cost(
    llm: LlmServer, pair: list[Instrument], settings: Settings
) -> None:
    settings.GEMINI_PRICE_IN = settings.GEMINI_PRICE_OUT = 1.0
    llm.play = lambda request: Hang()
    ask(about(pair[:1]), 0.3)
    row = LlmAnswer.objects.get(call__provider="gemini")
    assert (row.tokens, row.cost) == (row.call.most_tokens, row.call.most_cost)
    assert (row.tokens_in, row.tokens_out) == (None, None)


def test_without_any_cap_nothing_is_asked(llm: LlmServer, pair: list[Instrument], settings: Settings) -> None:
    settings.LLM_DAILY_TOKEN_CAP = 0
    assert words(ask(about(pair))["gemini"]) == ["over_budget"] * 2
    assert llm.requests == []


def test_the_day_is_the_sum_of_its_calls(llm: LlmServer, pair: list[Instrument], settings: Settings) -> None:
    """The running sum that the caps read is what the record adds up to: answered, repaired, cut and lost calls."""
    settings.GEMINI_PRICE_IN, settings.GEMINI_PRICE_OUT = 10.0, 30.0
    ask(about(pair))
    llm.play = lambda request: Say("no idea", tokens=None)
    ask(about(pair, seed=5))
    llm.play = lambda request: Hang()
    ask(about(pair, seed=10), 0.3)
    asking.ask(about(pair, seed=15), deadline_s=0.2)  # and never collected
    said = {row.call_id: row for row in LlmAnswer.objects.all()}
    calls = list(LlmCall.objects.all())
    assert (len(calls), len(said)) == (20, 16)
    today = LlmDay.objects.get()
    assert today.tokens == sum(said[call.pk].tokens if call.pk in said else call.most_tokens for call in calls)
    costs = [said[call.pk].cost if call.pk in said else call.most_cost for call in calls]
    assert today.cost == pytest.approx(sum(cost or 0.0 for cost in costs))


# ---- several workers


def at_once(count: int, work: Callable[[], dict[str, LanguageVotes]]) -> list[dict[str, LanguageVotes]]:
    together = Barrier(count)

    def run(_: int) -> dict[str, LanguageVotes]:
        together.wait(10)
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_ask_once_and_share_the_answer(llm: LlmServer, pair: list[Instrument]) -> None:
    llm.play = lambda request: Say(vote(), delay_s=0.3)
    found = at_once(4, lambda: ask(about(pair)))
    assert len(llm.requests) == 4
    for votes in found:
        assert words(votes["gemini"]) == words(votes["grok"]) == ["vote"] * 2


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_stay_within_one_limit(llm: LlmServer, pair: list[Instrument], settings: Settings) -> None:
    settings.LLM_CALLS_PER_MINUTE = 5
    seeds = iter(range(0, 80, 10))
    at_once(4, lambda: ask(about(pair, seed=next(seeds))))
    assert [len(llm.of(seat)) for seat in SEATS] == [5, 5]


def test_a_call_whose_worker_died_is_not_asked_again(llm: LlmServer, pair: list[Instrument]) -> None:
    what = about(pair[:1])
    asking.ask(what, deadline_s=0.2)  # and never collected
    started = time.monotonic()
    assert words(ask(what, 0.5)["gemini"]) == ["deadline"]
    assert time.monotonic() - started >= 0.5, "its worker might still come"
    started = time.monotonic()
    with later(61):
        assert words(ask(what, 60)["gemini"]) == ["deadline"]
    assert time.monotonic() - started < 30, "it will not"
    assert len(llm.requests) == 2


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


def test_old_calls_are_forgotten_and_the_last_day_never(llm: LlmServer, pair: list[Instrument]) -> None:
    with later(-3 * 86_400):
        ask(about(pair))
    ask(about(pair, seed=5))
    with pytest.raises(DatabaseError, match="kept"), transaction.atomic():
        reserving.forget(clock.wall_now())
    assert reserving.forget(clock.wall_now() - timedelta(days=2)) == 4
    assert LlmAnswer.objects.count() == LlmCall.objects.count() == 4
