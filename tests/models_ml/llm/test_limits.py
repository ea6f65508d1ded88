"""What the providers are not asked: beyond the minute, the day, their health and their wish, over all workers."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection
from pytest_django import Settings

from lib import clock
from markets.models import Instrument
from models_ml import asking
from models_ml.models import LlmAnswer, LlmCall, LlmDay
from models_ml.panel import LanguageVotes
from models_ml.voters.llm.admission import BREAK_AFTER, REST_S
from tests.llm_server import Hang, LlmServer, Say, error, vote
from tests.models_ml.llm.shard import SEATS, about, ask, later, words

pytestmark = pytest.mark.django_db


def test_the_minute_holds_so_many_calls_and_no_more(llm: LlmServer, pair: list[Instrument], settings: Settings) -> None:
    settings.LLM_CALLS_PER_MINUTE = 3
    assert words(ask(about(pair))["grok"]) == ["vote"] * 2
    assert words(ask(about(pair, seed=5))["grok"]) == ["vote", "rate_limited"]
    assert words(ask(about(pair, seed=9))["grok"]) == ["rate_limited"] * 2
    assert [len(llm.of(seat)) for seat in SEATS] == [3, 3]
    with later(61):
        assert words(ask(about(pair, seed=9))["grok"]) == ["vote"] * 2, "what was not asked may be asked later"


def test_a_question_waits_for_its_place_in_the_minute(
    llm: LlmServer, pair: list[Instrument], settings: Settings
) -> None:
    """The next minute may start some moments less than 60 seconds after this one did."""
    settings.LLM_CALLS_PER_MINUTE = 2
    with later(-57.5):
        ask(about(pair))
    before = time.monotonic()
    assert words(ask(about(pair, seed=5))["grok"]) == ["vote"] * 2
    waited = [request.at - before for request in llm.requests[4:]]
    assert len(waited) == 4
    assert min(waited) > 0.3, "its place was taken until then"


def test_retry_after_is_obeyed_for_that_provider_alone(llm: LlmServer, pair: list[Instrument]) -> None:
    llm.play = lambda request: error(429, retry_after="30") if request.provider == "gemini" else Say(vote())
    ask(about(pair[:1]))
    retry_at = LlmAnswer.objects.get(call__provider="gemini").retry_at
    assert retry_at is not None
    assert 0 < (retry_at - clock.wall_now()).total_seconds() <= 30
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
    asking.ask(what, deadline_s=5.0)  # and never collected
    started = time.monotonic()
    assert words(ask(what, 0.5)["gemini"]) == ["deadline"]
    assert time.monotonic() - started >= 0.5, "its worker might still come"
    started = time.monotonic()
    with later(61):
        assert words(ask(what, 60)["gemini"]) == ["deadline"]
    assert time.monotonic() - started < 30, "it will not"
    assert len(llm.requests) == 2
