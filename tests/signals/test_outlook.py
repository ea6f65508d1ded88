"""The outlook of a round: prices, basis points and words, whole or absent; without it a round is decided as well."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from django.conf import settings as configured
from pytest_django import Settings

from lib import clock
from lib.postgres import ensure_partitions
from markets.models import Run
from models_ml import fits
from models_ml.agents.realised import DAY
from models_ml.models import AgentVersion
from signals import answers
from signals.cards import card_of
from signals.gallery import AT, example
from signals.models import Round
from signals.outlook import OutlookFacts, outlook_of, volatility_text
from signals.reading import facts_of
from signals.rounds import BARS, decide_minute
from tests.factories_market import instruments_of, make_run, store_series
from tests.faults.witness import witnessing
from tests.models_ml.agents.markets import market as made_up
from tests.models_ml.outlooks import Raises, store_agents
from tests.people import Person
from tests.signals import records

SAID: dict[str, Any] = {
    "bands": {"1": [-0.0004, 0.0004], "15": [-0.0016, 0.0015], "60": [-0.0033, 0.0032]},
    "variance": {"15": 2.0e-7, "60": 2.4e-7},
    "usual": 0.6e-7,
    "regime": {"trending": 0.3, "ranging": 0.6, "volatile": 0.1},
    "agents": {"moves": 3, "regime": 4},
}
NOTHING = ("band_line", "band_1", "band_15", "band_60", "volatility_ahead", "regime")

# ---- facts


def test_bands_are_prices_and_basis_points_from_the_close() -> None:
    found = outlook_of(SAID, 200.0)
    assert found is not None
    assert [band.minutes for band in found.bands] == [1, 15, 60]
    band = found.bands[1]
    assert [band.low, band.high] == pytest.approx([200 * math.exp(-0.0016), 200 * math.exp(0.0015)])
    assert [band.low_bps, band.high_bps] == pytest.approx([-15.987, 15.011], abs=1e-3)


def test_volatility_is_told_against_the_usual_and_the_regime_by_its_name() -> None:
    found = outlook_of(SAID, 200.0)
    assert found is not None
    assert found.volatility_ratio == pytest.approx(2.0)
    assert found.regime == "ranging"


@pytest.mark.parametrize(
    ("said", "close", "left"),
    [
        ({}, 200.0, None),
        ({"agents": {}}, 200.0, None),
        ({"bands": SAID["bands"]}, None, None),
        ({"usual": 1e-7}, 200.0, None),
        ({"variance": {"15": 2e-7}, "usual": 1e-7}, 200.0, None),
        ({"regime": SAID["regime"]}, None, OutlookFacts(regime="ranging")),
    ],
)
def test_what_is_missing_is_absent(said: dict[str, Any], close: float | None, left: OutlookFacts | None) -> None:
    assert outlook_of(said, close) == left


@pytest.mark.parametrize(
    ("ratio", "word"),
    [
        (0.4, "calmer than usual: 0.4"),
        (0.67, "about as usual: 0.7"),
        (1.0, "about as usual: 1.0"),
        (1.5, "livelier than usual: 1.5"),
        (2.5, "far livelier than usual: 2.5"),
        (40.0, "far livelier than usual: 40.0"),
    ],
)
def test_a_word_for_how_lively_it_is(ratio: float, word: str) -> None:
    assert volatility_text(ratio) == f"{word} times its usual moves over the next hour"
    assert volatility_text(None) == ""


# ---- cards


def test_a_card_tells_ranges_volatility_and_regime() -> None:
    card = card_of(replace(example(), outlook=outlook_of(SAID, 61_204.5)), AT)
    assert card["band_1"] == "61,180.0 to 61,229.0 (−4.0 bp to +4.0 bp)"
    assert card["band_15"] == "61,106.7 to 61,296.4 (−16.0 bp to +15.0 bp)"
    assert card["band_60"] == "61,002.9 to 61,400.7 (−32.9 bp to +32.1 bp)"
    assert card["band_line"] == "Expected within a minute, 80 %: −4.0 bp to +4.0 bp"
    assert card["volatility_ahead"].startswith("livelier than usual: 2.0 times")
    assert card["regime"] == "ranging"


def test_the_line_of_a_card_is_that_of_its_horizon() -> None:
    quarter = replace(example(), outlook=outlook_of(SAID, 100.0), horizon_s=900)
    assert card_of(quarter, AT)["band_line"] == "Expected within 15 minutes, 80 %: −16.0 bp to +15.0 bp"
    assert card_of(replace(quarter, horizon_s=300), AT)["band_line"] == ""


def test_without_an_outlook_a_card_says_nothing_of_it() -> None:
    card = card_of(replace(example(), outlook=None), AT)
    assert [card[name] for name in NOTHING] == [""] * len(NOTHING)


@pytest.mark.django_db
@pytest.mark.parametrize("state", Round.State.values)
def test_data_that_is_not_to_be_trusted_forecasts_nothing(state: str) -> None:
    market = records.market(count=1)
    row = records.decided(market.instruments[0], market.now, state, outlook=SAID)
    (facts,) = facts_of([row], [], [])
    assert (facts.outlook is not None) == (state in {"issued", "silent", "vetoed"})


@pytest.mark.django_db
def test_a_round_of_before_the_agents_has_none() -> None:
    market = records.market(count=1)
    (facts,) = facts_of([records.decided(market.instruments[0], market.now)], [], [])
    assert facts.outlook is None
    assert answers.round_answer(facts)["outlook"] is None


# ---- who sees it


@pytest.mark.django_db
def test_rest_and_page_tell_it_to_whoever_may_see_the_round(
    owner: Person, teammate: Person, readonly: Person, stranger: Person, visitor: Person
) -> None:
    """A public record: the same for every organization, and a visitor's delay hides it with the round."""
    answers._kept.clear()
    market = records.market(count=1)
    signal = records.issued(market.instruments[0], market.now - timedelta(minutes=2), outlook=SAID)
    rest, page = f"/api/v1/rounds/{signal.public_id}/", f"/signals/{signal.public_id}/"
    expected = outlook_of(SAID, signal.entry)
    assert expected is not None
    for somebody in (owner, teammate, readonly, stranger):
        told = somebody.client.get(rest).json()["outlook"]
        assert told["bands"] == [
            {name: getattr(band, name) for name in ("minutes", "low", "high", "low_bps", "high_bps")}
            for band in expected.bands
        ]
        assert (told["volatility_ratio"], told["regime"]) == (pytest.approx(2.0), "ranging")
        text = somebody.client.get(page).content.decode()
        assert "80 % range, 15 min" in text
        assert "livelier than usual: 2.0 times its usual moves over the next hour" in text
        assert ">ranging</span>" in text
    assert visitor.client.get(rest).status_code == 404
    assert visitor.client.get(page).status_code == 404


@pytest.mark.django_db
def test_a_page_without_an_outlook_hides_its_lines(owner: Person) -> None:
    market = records.market(count=1)
    signal = records.issued(market.instruments[0], market.now - timedelta(minutes=2))
    text = owner.client.get(f"/signals/{signal.public_id}/").content.decode()
    for name in NOTHING[1:]:
        assert f'<div data-show="{name}" hidden>' in text


# ---- in a round


LAST = int(made_up().open_times[-1]) + 60
CLOSE = datetime.fromtimestamp(LAST, UTC)


@pytest.fixture
def run(db: None, settings: Settings, tmp_path: Path) -> Iterator[Run]:
    """A market that is due now, with all its candles and without any model."""
    settings.ARTIFACTS_DIR = tmp_path
    settings.AGENT_DEADLINE_S = settings.VOTER_DEADLINE_S = 90  # a busy test machine is not what is tested here
    fits._loaded.clear()
    ensure_partitions("signals_round", CLOSE, CLOSE)
    made = make_run("simulated", due_from=CLOSE)
    for row, instrument in enumerate(instruments_of(made)):
        store_series(instrument, made_up().open_times[-BARS:], made_up().ohlcv[row, -BARS:])
    clock.follow(lambda: CLOSE)
    yield made
    clock.release()
    fits._loaded.clear()


def decide(run: Run) -> list[Round]:
    ids = [instrument.pk for instrument in instruments_of(run)]
    decide_minute(LAST, ids, received=time.time() + 600)  # however slow the machine, it is not late
    return list(Round.objects.order_by("pk"))


def agents(run: Run) -> dict[str, AgentVersion]:
    numbers = tuple(instrument.pk for instrument in instruments_of(run))
    return store_agents(run.venue, CLOSE - timedelta(minutes=DAY), numbers)


def test_a_round_keeps_what_the_agents_said(run: Run) -> None:
    versions = agents(run)
    found = decide(run)
    assert len(found) == 2
    for row in found:
        assert set(row.outlook["bands"]) == {"1", "15", "60"}
        assert row.outlook["agents"] == {"moves": versions["moves"].pk, "regime": versions["regime"].pk}
        assert (row.state, row.direction, row.up_votes, row.down_votes) == ("silent", 0, 0, 0), "agents have no vote"
        (facts,) = facts_of([row], [], [])
        assert facts.outlook is not None
        assert facts.outlook.volatility_ratio is not None


@pytest.mark.parametrize("fault", ["missing", "corrupt", "raises"])
def test_a_round_is_decided_without_an_agent_that_fails(run: Run, fault: str) -> None:
    """Faults 25 to 27 of agents: the round is that of a venue without any."""
    event = ""
    if fault != "missing":
        versions = store_agents(run.venue, CLOSE - timedelta(minutes=DAY), (7, 8), keys=("moves",))
        if fault == "corrupt":
            rmtree(Path(configured.ARTIFACTS_DIR) / versions["moves"].path)
            event = "agent_refused"
        else:
            fits._loaded[run.venue_id, "crypto", "moves"] = versions["moves"].pk, Raises()
            event = "agent_failed"
    with witnessing() as witness:
        found = decide(run)
    assert not event or witness.count(event, agent="moves") == 1
    assert [(row.state, row.reason, row.outlook) for row in found] == [("silent", "too_few_votes", {})] * 2
