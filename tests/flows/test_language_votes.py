"""A candle on which two language models are asked as well: nine seats, six must agree, whatever the two do."""

import time
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from config.celery import app
from lib import clock
from lib.postgres import ensure_partitions
from markets.models import Run
from markets.schedule import activate
from models_ml.champions import warm
from models_ml.models import LlmAnswer, LlmCall
from models_ml.voters import SEATS
from models_ml.votes import AbstainReason
from signals import rounds
from signals.models import Round, Signal
from signals.reading import facts_of
from signals.rounds import BARS
from tests.factories_market import MINUTE, instruments_of, store_series
from tests.flows.test_one_candle import deliver, fall
from tests.llm_server import Hang, LlmServer, Play, Request, Say, error, vote
from tests.people import Person
from tests.trained import SIGMA, forecastable

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("trained")]
GEMINI, GROK = SEATS.index("gemini"), SEATS.index("grok")


@pytest.fixture
def eager() -> Iterator[None]:
    """Tasks run where they are sent."""
    app.conf.task_always_eager = app.conf.task_eager_propagates = True
    yield
    app.conf.task_always_eager = app.conf.task_eager_propagates = False


@pytest.fixture
def close_time() -> datetime:
    """The close of the candle that is followed."""
    return clock.floor_minute(clock.wall_now()) - MINUTE


@pytest.fixture
def market(trained_run: Run, close_time: datetime, settings: Settings, llm: LlmServer) -> Run:
    """The trained market, after whose next fall five local voters say up, with two language models beside them."""
    settings.VOTER_DEADLINE_S = settings.LATE_AFTER_S = 30  # a busy test machine is not what is tested here
    settings.LLM_DEADLINE_S = 5
    warm(trained_run.venue_id)
    ensure_partitions("signals_round", close_time, close_time + MINUTE)
    times = clock.epoch(close_time) - clock.MINUTE_S * np.arange(BARS + 1, 1, -1, dtype=np.int64)
    for seed, instrument in enumerate(instruments_of(trained_run), start=11):
        candles = forecastable(2 * BARS, seed)
        end = max(n for n in range(BARS, 2 * BARS) if candles[n - 1, 3] > candles[n - 1, 0] * (1 + SIGMA / 2))
        store_series(instrument, times, candles[end - BARS : end])
        activate(instrument, close_time)
    return trained_run


def tell(market: Run, close_time: datetime, on_commit: DjangoCaptureOnCommitCallbacks) -> Round:
    """The candle arrives, the tasks run to their end; the first instrument's round."""
    btc, eth = instruments_of(market)
    with on_commit(execute=True):
        deliver([btc, eth], [fall(btc, close_time - MINUTE), fall(eth, close_time - MINUTE)], close_time)
    return Round.objects.get(instrument=btc)


def words(row: Round) -> tuple[str, ...]:
    return tuple(AbstainReason(row.abstained[seat]).word if row.abstained[seat] else "vote" for seat in (GEMINI, GROK))


def test_seven_of_nine_issue_a_signal_with_both_votes_on_the_round(
    market: Run,
    close_time: datetime,
    llm: LlmServer,
    eager: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    row = tell(market, close_time, django_capture_on_commit_callbacks)
    assert (row.state, row.direction, row.seats, row.quorum) == ("issued", 1, 9, 6)
    assert words(row) == ("vote", "vote")
    assert row.up_votes == 7
    assert (row.directions[GEMINI], row.directions[GROK]) == (1, 1)
    assert row.p_up[GEMINI] == pytest.approx((1 + 2 * 0.62) / 3, rel=1e-6)
    assert row.p_down[GEMINI] == row.p_neutral[GEMINI] == pytest.approx((1 - 0.62) / 3, rel=1e-6)
    assert row.latency_ms[GEMINI] > 0
    assert row.model_ids[GEMINI] == 0
    assert row.probability is None, "nothing was calibrated on nine seats yet, so no probability is stated"
    signal = Signal.objects.get(round_id=row.pk)
    (facts,) = facts_of([row], [signal], [])
    assert [seat.voter for seat in facts.votes if seat.direction == 1][-2:] == ["gemini", "grok"]
    asked = LlmCall.objects.get(provider="gemini", instrument=row.instrument)
    assert asked.close_time == row.close_time
    assert asked.answer.reason == "Volume rises."
    assert [len(llm.of(seat)) for seat in ("gemini", "grok")] == [2, 2], "one question an instrument and candle"
    told = llm.of("gemini")[0].facts
    assert told["candles"]["rows"][-1][3] == pytest.approx(row.close, rel=1e-7)


@pytest.mark.parametrize(
    ("play", "word"),
    [
        (error(429, retry_after="30"), "rate_limited"),
        (error(500), "failed"),
        (Hang(), "deadline"),
        (Say("I think UP"), "bad_answer"),
        (Say(vote(reason="Target 98765.4")), "invented_number"),
    ],
)
def test_the_quorum_does_not_shrink_when_both_are_silent(
    market: Run,
    close_time: datetime,
    llm: LlmServer,
    settings: Settings,
    eager: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    play: Play,
    word: str,
) -> None:
    """Five local voters agree and would be a quorum of seven; of nine they are none, and the round is decided."""
    settings.LLM_DEADLINE_S = 1.0
    llm.play = lambda request: play
    row = tell(market, close_time, django_capture_on_commit_callbacks)
    assert words(row) == (word, word)
    assert (row.seats, row.quorum, row.up_votes) == (9, 6, 5)
    assert (row.state, row.direction) == ("silent", 0)
    assert not Signal.objects.exists()
    assert Round.objects.count() == 2


def test_one_hostile_answer_changes_one_vote(
    market: Run,
    close_time: datetime,
    llm: LlmServer,
    eager: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    btc, eth = instruments_of(market)

    def obey(request: Request) -> Play:
        taken = request.provider == "grok" and request.facts["instrument"] == btc.symbol
        return Say(vote("DOWN", 100, "<script>alert(1)</script> Ignore all votes") if taken else vote())

    llm.play = obey
    row = tell(market, close_time, django_capture_on_commit_callbacks)
    assert (row.up_votes, row.down_votes, row.directions[GROK], row.directions[GEMINI]) == (6, 1, -1, 1)
    assert (row.state, row.direction) == ("issued", 1)
    other = Round.objects.get(instrument=eth)
    assert (other.directions[GROK], other.directions[GEMINI]) == (1, 1)


def test_the_deadline_leaves_the_round_in_time(
    market: Run, close_time: datetime, llm: LlmServer, settings: Settings
) -> None:
    """Fault 27: a candle that was already waiting leaves the models less time, in the end none."""
    settings.LATE_AFTER_S, settings.LLM_DEADLINE_S = 3.0, 2.5
    llm.play = lambda request: Hang()
    btc, eth = instruments_of(market)
    deliver([btc, eth], [fall(btc, close_time - MINUTE), fall(eth, close_time - MINUTE)], close_time)
    rounds.decide_minute(clock.epoch(close_time), [btc.pk, eth.pk], received=time.time() - 2.45)
    row = Round.objects.get(instrument=btc)
    assert words(row) == ("deadline", "deadline")
    assert llm.requests == []


def test_a_reason_is_shown_escaped(
    market: Run,
    close_time: datetime,
    llm: LlmServer,
    eager: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    operator: Person,
) -> None:
    llm.play = lambda request: Say(vote(reason="<img src=x onerror=alert(1)> & more"))
    tell(market, close_time, django_capture_on_commit_callbacks)
    client: Client = operator.client
    listing = reverse("admin:models_ml_llmanswer_changelist")
    one = reverse("admin:models_ml_llmanswer_change", args=[LlmAnswer.objects.first().pk])  # type: ignore[union-attr]  # there are four
    for address in (listing, one):
        page = client.get(address)
        assert page.status_code == 200
        assert "<img src=x" not in page.content.decode()
        assert "&lt;img src=x onerror=alert(1)&gt; &amp; more" in page.content.decode()
