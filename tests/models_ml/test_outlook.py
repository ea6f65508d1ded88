"""The agents in force and what they say of a minute: each alone with its failures, absent rather than zero."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from threading import Event

import numpy as np
import pytest
from django.conf import settings as configured
from pytest_django import Settings

from lib import clock
from markets.models import Run
from markets.values import FloatArray
from models_ml import artifacts, fits, running
from models_ml.agents.base import History
from models_ml.agents.moves import ExpectedMove
from models_ml.agents.regime import STATES
from models_ml.models import AgentVersion
from models_ml.outlook import Outlook, in_force, outlooks, warm
from models_ml.samples import Samples
from models_ml.storing import KEPT_FITS, code_version, store_agent
from tests.factories_market import make_run
from tests.faults.witness import witnessing
from tests.models_ml.agents.markets import market
from tests.models_ml.outlooks import Raises, agent, origin_of, store_agents

pytestmark = pytest.mark.django_db
NUMBERS = (7, 8)
NOW = int(market().open_times[-1]) + 60
UNTIL = datetime.fromtimestamp(NOW - 3600, UTC)
BARS = 2_879


@pytest.fixture
def run(db: None, settings: Settings, tmp_path: Path) -> Iterator[Run]:
    settings.ARTIFACTS_DIR = tmp_path
    settings.AGENT_DEADLINE_S = 90  # a busy test machine is not what is tested here
    fits._loaded.clear()  # numbers of venues and versions begin anew in each test's database
    yield make_run()
    fits._loaded.clear()


def samples(blind: int | None = None) -> Samples:
    """The last two days of the made-up market; of one instrument the last hour is missing, if asked for."""
    made = market()
    ohlcv = made.ohlcv[:, -BARS:].copy()
    if blind is not None:
        ohlcv[blind, -60:] = np.nan
    index = np.array([[0, BARS - 1], [1, BARS - 1]])
    return Samples(made.open_times[-BARS:], ohlcv, np.empty((2, 1, 0), np.float32), made.market, index)


def said(run: Run, *, blind: int | None = None) -> list[Outlook]:
    return outlooks(run.venue_id, "crypto", samples(blind), NOW)


def test_an_outlook_holds_what_the_agents_say(run: Run) -> None:
    rows = store_agents(run.venue, UNTIL, NUMBERS)
    history = History(samples().open_times, samples().ohlcv, samples().market)
    moves = agent("moves", NUMBERS).read(history)
    for row, found in enumerate(said(run)):
        assert json.loads(json.dumps(found)) == found
        assert set(found) == {"bands", "variance", "usual", "regime", "agents"}
        for minutes, (low, high) in found["bands"].items():
            assert low == pytest.approx(moves[f"low_{minutes}"][row, -1], rel=1e-5)
            assert high == pytest.approx(moves[f"high_{minutes}"][row, -1], rel=1e-5)
            assert low < 0 < high
        assert list(found["bands"]) == ["1", "15", "60"]
        assert found["variance"]["60"] == pytest.approx(moves["variance_60"][row, -1], rel=1e-5)
        assert found["usual"] == pytest.approx(moves["usual"][row, -1], rel=1e-5)
        assert sum(found["regime"][state] for state in STATES) == pytest.approx(1, abs=1e-5)
        assert found["agents"] == {"moves": rows["moves"].pk, "regime": rows["regime"].pk}


def test_the_forecast_speaks_by_itself_where_there_are_no_bands(run: Run) -> None:
    rows = store_agents(run.venue, UNTIL, NUMBERS, keys=("volatility",))
    for found in said(run):
        assert set(found) == {"variance", "usual", "agents"}
        assert found["agents"] == {"volatility": rows["volatility"].pk}


def test_without_agents_nothing_is_said(run: Run) -> None:
    assert said(run) == [{}, {}]


def test_what_is_not_known_is_absent_for_that_instrument_alone(run: Run) -> None:
    store_agents(run.venue, UNTIL, NUMBERS)
    blind, sighted = said(run, blind=0)
    assert blind == {}
    assert set(sighted["bands"]) == {"1", "15", "60"}


def test_an_instrument_that_was_not_learned_from_has_no_usual_level(run: Run) -> None:
    store_agents(run.venue, UNTIL, (7, 9))
    known, new = said(run)
    assert "usual" in known
    assert "usual" not in new
    assert set(new["bands"]) == {"1", "15", "60"}


def test_a_regime_that_does_not_help_is_not_even_read(run: Run) -> None:
    store_agents(run.venue, UNTIL, NUMBERS, shown=False)
    assert set(in_force(run.venue_id, "crypto", NOW)) == {"volatility", "moves"}
    assert all("regime" not in found for found in said(run))


@pytest.mark.parametrize("until", [NOW + 1, NOW - fits.MAX_AGE_S])
def test_nobody_speaks_on_what_it_learned_from_or_past_its_age(run: Run, until: int) -> None:
    store_agents(run.venue, clock.from_epoch(until), NUMBERS)
    assert in_force(run.venue_id, "crypto", NOW) == {}


def test_the_newest_fit_speaks_and_is_read_once(run: Run) -> None:
    store_agents(run.venue, UNTIL - timedelta(days=1), NUMBERS)
    warm(run.venue_id, NOW)
    newest = store_agents(run.venue, UNTIL, NUMBERS)
    first, second = in_force(run.venue_id, "crypto", NOW), in_force(run.venue_id, "crypto", NOW)
    assert {key: found.version_id for key, found in first.items()} == {key: row.pk for key, row in newest.items()}
    assert all(first[key].agent is second[key].agent for key in first)
    assert in_force(run.venue_id, "forex", NOW) == {}
    assert in_force(run.venue_id + 1, "crypto", NOW) == {}


# ---- failures


def folder_of(version: AgentVersion) -> Path:
    return Path(configured.ARTIFACTS_DIR) / version.path


def replaced(run: Run, broken: ExpectedMove) -> None:
    """Let `broken` stand where the loaded bands were."""
    in_force(run.venue_id, "crypto", NOW)
    place = run.venue_id, "crypto", "moves"
    fits._loaded[place] = fits._loaded[place][0], broken


@pytest.mark.parametrize("damage", ["flipped", "truncated", "deleted", "folder"])
def test_a_damaged_agent_is_silent_and_the_others_speak(run: Run, damage: str) -> None:
    folder = folder_of(store_agents(run.venue, UNTIL, NUMBERS)["moves"])
    largest = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    content = largest.read_bytes()
    match damage:
        case "flipped":
            largest.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
        case "truncated":
            largest.write_bytes(content[:99])
        case "deleted":
            largest.unlink()
        case _:
            rmtree(folder)
    with witnessing() as witness:
        found = said(run)
        said(run)
    assert witness.count("agent_refused", agent="moves") == 1, "said once, not in every minute"
    for each in found:
        assert set(each) == {"variance", "usual", "regime", "agents"}


def test_an_agent_of_another_form_is_not_read(run: Run) -> None:
    version = store_agents(run.venue, UNTIL, NUMBERS, keys=("moves",))["moves"]
    manifest = folder_of(version) / artifacts.MANIFEST
    manifest.write_text(manifest.read_text().replace(f"form {ExpectedMove.form}", "form 0"))
    with pytest.raises(artifacts.WrongFeatures):
        artifacts.read_agent(folder_of(version), "moves", artifacts.content_hash(folder_of(version)))


def test_an_agent_that_raises_is_alone_with_it(run: Run) -> None:
    store_agents(run.venue, UNTIL, NUMBERS)
    replaced(run, Raises())
    with witnessing() as witness:
        found = said(run)
    assert witness.count("agent_failed", agent="moves") == 1
    assert witness.counted("candor_agents_silent_total", agent="moves") == 1
    for each in found:
        assert set(each) == {"variance", "usual", "regime", "agents"}
        assert set(each["agents"]) == {"volatility", "regime"}


def test_an_agent_that_hangs_is_left_behind_until_it_returns(run: Run, settings: Settings) -> None:
    """Its share of the deadline is over, the others have theirs, and later minutes do not wait for it."""
    release, asked = Event(), []

    class Hangs(ExpectedMove):
        def read(self, history: History, rows: int = 1, *, tape: object = None) -> dict[str, FloatArray]:
            asked.append(1)
            release.wait(120)
            return {}

    store_agents(run.venue, UNTIL, NUMBERS)
    replaced(run, Hangs())
    settings.AGENT_DEADLINE_S = 9
    try:
        with witnessing() as witness:
            first = said(run)
            settings.AGENT_DEADLINE_S = 90
            second = said(run)
    finally:
        release.set()
    assert witness.count("agent_late", agent="moves") == 1
    assert asked == [1]
    assert all("bands" not in each for each in first + second)
    assert all("variance" in each and "regime" in each for each in second)


def test_values_of_too_few_instruments_are_refused(run: Run) -> None:
    class Forgets(ExpectedMove):
        def read(self, history: History, rows: int = 1, *, tape: object = None) -> dict[str, FloatArray]:
            return dict.fromkeys(self.says, np.zeros((1, 1)))

    store_agents(run.venue, UNTIL, NUMBERS)
    replaced(run, Forgets())
    assert all("bands" not in each for each in said(run))


# ---- the registry


def test_a_row_says_where_its_agent_comes_from(run: Run) -> None:
    row = store_agents(run.venue, UNTIL, NUMBERS, keys=("regime",))["regime"]
    row.refresh_from_db()
    assert (row.venue_id, row.market_class, row.agent, row.profile, row.seed) == (
        run.venue_id, "crypto", "regime", "tiny", 7,
    )  # fmt: skip
    assert (row.trained_from, row.trained_until) == (UNTIL - timedelta(days=12), UNTIL)
    assert row.code_version == code_version()
    assert row.sha256 == artifacts.content_hash(folder_of(row))
    assert str(row) == f"regime #{row.pk}"


def test_files_of_fits_long_replaced_are_removed_and_rows_stay(run: Run) -> None:
    rows = [store_agents(run.venue, UNTIL, NUMBERS, keys=("regime",))["regime"] for _ in range(KEPT_FITS + 2)]
    assert [folder_of(row).is_dir() for row in rows] == [False] * 2 + [True] * KEPT_FITS
    assert AgentVersion.objects.count() == KEPT_FITS + 2


@pytest.mark.django_db(transaction=True)
def test_a_sweep_leaves_agents_and_removes_what_has_no_row(run: Run) -> None:
    row = store_agents(run.venue, UNTIL, NUMBERS, keys=("regime",))["regime"]
    lost = folder_of(row).with_name("without-a-row")
    lost.mkdir()
    running.sweep(run.venue_id)
    assert folder_of(row).is_dir()
    assert not lost.exists()


def test_an_origin_of_another_class_is_another_seat(run: Run) -> None:
    store_agent(agent("regime", NUMBERS), origin_of(run.venue, UNTIL, "forex"), {})
    assert set(in_force(run.venue_id, "forex", NOW)) == {"regime"}
    assert in_force(run.venue_id, "crypto", NOW) == {}
