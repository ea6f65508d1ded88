"""News in a round: the veto around events, and headlines from rows in the questions to language models."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from lib import clock
from lib.postgres import ensure_partitions
from markets.models import Run
from signals import rounds
from signals.models import Round
from signals.risk import RiskRules, vetoes_of
from signals.rounds import BARS, decide_minute
from tests.factories_market import context, instruments_of, make_run, store_walk
from tests.llm_server import LlmServer, Say, vote
from tests.models_ml.llm.hostile import HEADLINES
from tests.models_ml.newsroom import event, headline

pytestmark = pytest.mark.django_db
CLOSE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
AT = clock.epoch(CLOSE)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def run() -> Run:
    ensure_partitions("signals_round", CLOSE, CLOSE)
    run = make_run("simulated", due_from=CLOSE)
    for seed, instrument in enumerate(instruments_of(run)):
        store_walk(instrument, CLOSE, BARS, seed=seed)
    return run


def ids(run: Run) -> list[int]:
    return [instrument.pk for instrument in instruments_of(run)]


def decided(run: Run, settings: Settings) -> Round:
    """BTC's round of the minute."""
    settings.LATE_AFTER_S = 60
    decide_minute(AT, ids(run), received=time.time())
    return Round.objects.get(instrument=instruments_of(run)[0])


@pytest.mark.parametrize(
    ("minutes", "vetoed"), [(-15, False), (-14, True), (0, True), (14, True), (15, False), (300, False)]
)
def test_the_window_around_an_event(run: Run, settings: Settings, minutes: int, vetoed: bool) -> None:
    event("Payrolls", CLOSE + minutes * MINUTE, CLOSE - DAY)
    assert ("news_window" in decided(run, settings).vetoes) is vetoed


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"currency": "EUR"}, "another currency"),
        ({"impact": 2}, "no high impact"),
        ({"known": CLOSE + timedelta(seconds=1)}, "not known yet"),
    ],
)
def test_what_does_not_veto(run: Run, settings: Settings, changes: dict[str, object], why: str) -> None:
    told: dict[str, object] = {"title": "Payrolls", "time": CLOSE + MINUTE, "known": CLOSE - DAY}
    event(**(told | changes))  # type: ignore[arg-type]  # by name
    assert "news_window" not in decided(run, settings).vetoes, why


def test_an_operator_sets_the_minutes(run: Run, settings: Settings) -> None:
    settings.NEWS_WINDOW_BEFORE, settings.NEWS_WINDOW_AFTER = 60, 0
    assert rounds.rules_of(run).risk == RiskRules(news_before=60, news_after=0)
    event("Payrolls", CLOSE + 59 * MINUTE, CLOSE - DAY)
    assert "news_window" in decided(run, settings).vetoes


def test_the_calm_context_is_not_vetoed_without_a_calendar() -> None:
    assert "news_window" not in vetoes_of(context(), 0.1, RiskRules())


def test_headlines_known_at_the_decision_are_told_to_language_models(
    run: Run, settings: Settings, llm: LlmServer
) -> None:
    headline("Bitcoin slips after a rally", CLOSE - 5 * MINUTE)
    headline("Bitcoin rallies", CLOSE - 30 * MINUTE)
    headline("Ethereum upgrade is due", CLOSE - 10 * MINUTE)
    headline("Bitcoin, a moment too late", CLOSE + timedelta(seconds=1))
    headline("Bitcoin of yesterday", CLOSE - 2 * DAY)
    settings.LLM_DEADLINE_S = 20
    decided(run, settings)
    for seat in ("gemini", "grok"):
        told = {request.facts["instrument"]: request.facts["headlines"] for request in llm.of(seat)}
        assert told == {
            "BTC/USDT": ["Bitcoin slips after a rally", "Bitcoin rallies"],
            "ETH/USDT": ["Ethereum upgrade is due"],
        }


def test_hostile_headlines_from_rows_change_one_string_each_and_no_instructions(
    run: Run, settings: Settings, llm: LlmServer
) -> None:
    """A model that obeys can still only vote: what it says is read like any other answer."""
    for number, line in enumerate(HEADLINES[:60]):
        headline(f"Bitcoin: {line}"[:290], CLOSE - number * MINUTE)
    settings.LLM_DEADLINE_S = 20
    llm.play = lambda request: Say(vote("DOWN", 99, reason="I was told to."))
    row = decided(run, settings)
    for request in llm.requests:
        assert request.user.count("<facts>") == request.user.count("</facts>") == 1
        assert len(request.facts["headlines"]) == (20 if request.facts["instrument"] == "BTC/USDT" else 0)
        assert all(line.isprintable() and len(line) <= 200 for line in request.facts["headlines"])
        assert "tools" not in request.body
    systems = {request.system for request in llm.requests}
    assert len(systems) == 2, "one a provider, whatever the headlines say"
    assert row.state == "silent", "two votes are no quorum"
    assert row.directions is not None
    assert row.directions[7:] == [-1, -1]
    assert set(row.directions[:7]) == {None}
