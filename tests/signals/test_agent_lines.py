"""Every agent on the leaderboard: whether it speaks, and why not."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from lib import clock
from markets.models import Instrument, Run
from models_ml import tone
from models_ml.agents import AGENTS
from models_ml.agents.sentiment import MANIFEST
from models_ml.models import AgentVersion, TrainingRun
from models_ml.silences import detail_of, without
from models_ml.voters import STACK
from signals.agent_lines import ANSWERS, NEVER, OLD, UNHEARD, agents_of
from signals.models import PanelRecord
from tests.factories_market import make_run
from tests.factories_models import candidate, crown
from tests.people import Person
from tests.signals.panels import AGENT_FIGURES, SIZING, agent, panel
from tests.signals.records import MINUTE, Market, decided, market

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def artifacts(settings: Settings, tmp_path: Path) -> None:
    settings.ARTIFACTS_DIR = tmp_path
    settings.SENTIMENT_READER = "auto"


def lines(run: Run) -> dict[str, dict[str, Any]]:
    (found,) = agents_of(run)
    assert found["name"] == "crypto"
    return {row["key"]: row for row in found["rows"]}


def trained(run: Run, *reasons: str, **changes: Any) -> TrainingRun:  # any field
    now = clock.wall_now()
    facts = {"profile": "quick", "state": "done", "started_at": now, "finished_at": now, "beat_at": now}
    return TrainingRun.objects.create(venue=run.venue, detail=detail_of(reasons), **facts | changes)


def test_every_agent_of_the_registry_has_a_line_and_a_question() -> None:
    assert set(ANSWERS) == {*AGENTS, STACK, "sentiment"}
    assert all(question.endswith(("?", ".")) for question in ANSWERS.values())


def test_those_in_force_say_what_they_were_found_to_do() -> None:
    found = lines(panel())
    states = {key: row["state"] for key, row in found.items()}
    assert states == {
        "volatility": "in force", "moves": "in force", "regime": "silent", "meta": "in force",
        "sentiment": "in force", "sizing_rl": "shadow",
    }  # fmt: skip
    version = AgentVersion.objects.get(agent="volatility")
    row = found["volatility"]
    assert (row["version"], row["age"], row["why"]) == (f"v{version.pk}", "7 h of 14 d", "")
    assert row["until"] == version.trained_until.timestamp()
    assert len(row["figures"]) == 2
    assert found["regime"]["why"] == "it does not help: the lower end of what it saves is not above zero"
    assert found["meta"]["figures"] == ["53.1 % of 5,400 sides right"]


def test_the_shadow_shows_its_live_rows_and_how_many_are_missing() -> None:
    run = panel()
    assert lines(run)["sizing_rl"]["live"] == (
        "learned sizing has 412 judged rows of 9 days beside volatility-targeted Kelly; missing for a verdict: "
        "588 rows and 11 days"
    )
    record = PanelRecord.objects.get()
    enough = SIZING | {"n": 1_480, "days": 31, "missing": {"rows": 0, "days": 0}}
    PanelRecord.objects.create(
        venue=run.venue, market_class="crypto", measured_at=record.measured_at, until=record.until,
        figures=record.figures | {"sizing": enough},
    )  # fmt: skip
    assert lines(run)["sizing_rl"]["live"].startswith("learned sizing does not beat volatility-targeted Kelly on 1,480")


def test_before_anything_was_learned_each_says_what_it_waits_for() -> None:
    found = lines(make_run("live"))
    for key in AGENT_FIGURES:
        assert (found[key]["state"], found[key]["why"], found[key]["figures"]) == ("silent", NEVER, [])
    assert found["meta"]["why"] == "no stack yet: probabilities come from the panel's own calibration"
    assert found["sizing_rl"]["live"] == "no judged row yet: a verdict takes 1,000 rows on 20 days"
    assert (found["sentiment"]["state"], found["sentiment"]["version"]) == ("in force", "lexicon")


def test_the_last_full_training_says_why_there_is_none() -> None:
    run = make_run("live")
    trained(run, without("crypto", ["sizing_rl"], "an older reason"))
    trained(run, without("crypto", ["volatility", "moves"], "too few windows"), without("forex", ["regime"], "other"))
    trained(run, without("crypto", ["regime"], "of an update"), kind="update")
    trained(run, without("crypto", ["regime"], "of one that failed"), state="failed")
    found = lines(run)
    assert found["volatility"]["why"] == found["moves"]["why"] == "the last training: too few windows"
    assert found["regime"]["why"] == found["sizing_rl"]["why"] == NEVER


def test_a_version_that_stays_in_force_says_why_no_later_one_replaced_it() -> None:
    run = make_run("live")
    agent(run, "volatility", trained_at=clock.wall_now() - DAY)
    trained(run, without("crypto", ["volatility"], "QLIKE is worse"))
    row = lines(run)["volatility"]
    assert (row["state"], row["why"]) == ("in force", "kept, since the last training learned none: QLIKE is worse")
    agent(run, "volatility")
    assert lines(run)["volatility"]["why"] == ""


def test_the_old_and_those_ahead_of_the_market_are_silent() -> None:
    run, now = make_run("live"), clock.wall_now()
    agent(run, "volatility", trained_until=now - 14 * DAY)
    agent(run, "moves", trained_until=now + DAY)
    crown(candidate(run.venue, STACK, trained_until=now - 15 * DAY))
    found = lines(run)
    assert found["volatility"]["why"] == found["meta"]["why"] == OLD
    assert found["moves"]["why"] == "it learned from minutes that the market has not reached again"
    assert {found[key]["state"] for key in ("volatility", "moves", "meta")} == {"silent"}


# ---- heard in the last rounds


@pytest.fixture
def heard(db: None) -> Market:
    """A market whose agents of candles were learned an hour ago."""
    made = market()
    hour_ago = clock.wall_now() - timedelta(hours=1)
    for key in ("volatility", "moves"):
        agent(made.run, key, trained_until=hour_ago, trained_at=hour_ago)
    agent(
        made.run, "regime", trained_until=hour_ago, trained_at=hour_ago,
        metrics=AGENT_FIGURES["regime"] | {"shown": True},
    )  # fmt: skip
    return made


def states(made: Market) -> tuple[str, ...]:
    found = lines(made.run)
    return tuple(found[key]["state"] for key in ("volatility", "moves", "regime"))


def test_one_that_was_not_heard_is_silent_whatever_the_registry_says(heard: Market) -> None:
    btc, eth = heard.instruments
    decided(btc, heard.now, outlook={"agents": {"moves": 1}})
    decided(eth, heard.now, outlook={})
    assert states(heard) == ("in force", "in force", "silent"), "the forecast is heard in the bands"
    assert lines(heard.run)["regime"]["why"] == UNHEARD
    decided(btc, heard.now - MINUTE, outlook={"agents": {"volatility": 1, "regime": 2}})
    assert states(heard) == ("in force", "in force", "in force")


def test_without_rounds_nothing_is_said_of_who_was_heard(heard: Market) -> None:
    decided(heard.instruments[0], heard.now - 10 * MINUTE, outlook={})
    decided(heard.instruments[0], heard.now - MINUTE, "missed", outlook={})
    assert states(heard) == ("in force", "in force", "in force")


def test_one_that_was_just_learned_may_wait_for_its_first_round(heard: Market) -> None:
    decided(heard.instruments[0], heard.now, outlook={})
    assert states(heard) == ("silent", "silent", "silent")
    agent(heard.run, "volatility", trained_until=clock.wall_now() - timedelta(hours=1))
    assert states(heard) == ("in force", "silent", "silent")


# ---- sentiment


def test_the_reader_is_the_one_that_is_configured(settings: Settings) -> None:
    run = make_run("live")
    folder = tone.linear_folder()
    folder.mkdir(parents=True)
    facts = {"n": 4_840, "file": "mine.csv", "accuracy": 0.921, "macro_f1": 0.883}
    (folder / MANIFEST).write_text(json.dumps({"facts": facts}))
    row = lines(run)["sentiment"]
    assert (row["version"], row["why"]) == ("linear", "a linear model reads, learned from 4,840 sentences")
    assert row["figures"] == [
        "92.1 % accuracy and 88.3 % macro-F1 on sentences it had not learned from; no baseline is stored"
    ]
    settings.SENTIMENT_READER = "lexicon"
    assert lines(run)["sentiment"]["version"] == "lexicon"
    settings.SENTIMENT_READER = "finbert"
    assert lines(run)["sentiment"]["version"] == "finbert"


@pytest.mark.parametrize("manifest", ["", "[]", "{}"])
def test_a_damaged_reader_leaves_the_lexicon(manifest: str) -> None:
    folder = tone.linear_folder()
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(manifest)
    assert tone.chosen() == ("lexicon", {})


# ---- on the page


def page(client: Client | None = None) -> str:
    answer = (client or Client()).get("/models")
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_lists_them_all() -> None:
    panel()
    said = page()
    for key in ANSWERS:
        assert f'data-agent="{key}"' in said
    assert 'data-agent="sizing_rl" data-agent-state="shadow"' in said
    assert "A shadow: nobody sizes by it." in said
    assert "<strong>Live:</strong> learned sizing has 412 judged rows" in said


def test_the_page_without_a_market_or_a_fit_says_what_will_come() -> None:
    assert "No market follows an instrument yet." in page()
    make_run("live")
    assert page().count("Nothing learned yet: a full training learns it, every night.") == 4


def test_a_version_without_figures_says_so() -> None:
    agent(make_run("live"), "volatility", metrics={})
    assert "No figure is stored with this version." in page()


@pytest.mark.parametrize("name", ["owner", "teammate", "readonly", "stranger", "operator"])
def test_everybody_sees_the_same_agents(name: str, request: pytest.FixtureRequest) -> None:
    panel()
    person: Person = request.getfixturevalue(name)
    section = [said.split('id="agents-title"')[1].split("</section>")[0] for said in (page(person.client), page())]
    assert section[0] == section[1]


def test_queries_do_not_grow_with_markets_or_agents() -> None:
    run = panel()
    with CaptureQueriesContext(connection) as one:
        agents_of(run)
    Instrument.objects.create(
        venue=run.venue, raw_symbol="EUR/USD", symbol="EUR/USD", base="EUR", quote="USD", market_class="forex",
        followed=True,
    )  # fmt: skip
    for key in AGENT_FIGURES:
        agent(run, key, market_class="forex")
    with CaptureQueriesContext(connection) as two:
        assert [entry["name"] for entry in agents_of(run)] == ["crypto", "forex"]
    assert len(one) == len(two) <= 7
