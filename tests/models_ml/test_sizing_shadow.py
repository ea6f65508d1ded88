"""What the learned sizing would stake: in its own time, and nothing where it fails."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from threading import Event

import numpy as np
import pytest
from django.conf import settings as configured
from pytest_django import Settings

from markets.models import Run
from markets.values import FloatArray
from models_ml import artifacts, fits
from models_ml.agents.sizing_rl import Account, Decisions, SizingPolicy, kelly
from models_ml.models import AgentVersion
from models_ml.sizing_shadow import Staked, stake
from models_ml.storing import KEPT_FITS
from tests.factories_market import make_run
from tests.faults.witness import witnessing
from tests.models_ml.sizings import Boundless, Unwell, constant, edged, store_sizing, timid

pytestmark = pytest.mark.django_db
NOW = 1_772_442_000
UNTIL = datetime.fromtimestamp(NOW - 3600, UTC)


@pytest.fixture
def run(db: None, settings: Settings, tmp_path: Path) -> Iterator[Run]:
    settings.ARTIFACTS_DIR = tmp_path
    settings.AGENT_DEADLINE_S = 30  # a busy test machine is not what is tested here
    fits._loaded.clear()
    yield make_run()
    fits._loaded.clear()


def ask(run: Run, *, account: Account | None = None, now: int = NOW) -> Staked | None:
    return stake(run.venue_id, "crypto", edged([0.50, 0.56, 0.60], now), account or Account(), now)


def replaced(run: Run, version: AgentVersion, policy: SizingPolicy) -> None:
    """Let `policy` stand where the stored one was read."""
    fits._loaded[run.venue_id, "crypto", SizingPolicy.key] = version.pk, policy


def test_it_stakes_beside_kelly_and_nothing_without_an_edge(run: Run) -> None:
    version = store_sizing(run.venue, constant(0.007), UNTIL)
    found = ask(run)
    assert found is not None
    assert found.version_id == version.pk
    np.testing.assert_allclose(found.stakes, [0.0, 0.007, 0.007])
    np.testing.assert_array_equal(found.kelly, kelly(edged([0.50, 0.56, 0.60], NOW)))


def test_it_sees_the_account_as_it_stands(run: Run) -> None:
    store_sizing(run.venue, timid(), UNTIL)
    fallen = Account()
    for _ in range(20):
        fallen.take(0.02, -1.0)
    calm, careful = ask(run), ask(run, account=fallen)
    assert calm is not None
    assert careful is not None
    assert (careful.stakes[1:] < calm.stakes[1:]).all()


def test_the_newest_fit_speaks_of_its_own_market_alone(run: Run) -> None:
    store_sizing(run.venue, constant(0.001), UNTIL)
    newest = store_sizing(run.venue, constant(0.002), UNTIL)
    found = ask(run)
    assert found is not None
    assert found.version_id == newest.pk
    assert stake(run.venue_id, "forex", edged([0.6], NOW), Account(), NOW) is None
    assert stake(run.venue_id + 1, "crypto", edged([0.6], NOW), Account(), NOW) is None


@pytest.mark.parametrize("now", [NOW - 3601, NOW - 3600 + fits.MAX_AGE_S])
def test_it_says_nothing_of_what_it_knew_or_past_its_age(run: Run, now: int) -> None:
    store_sizing(run.venue, constant(0.007), UNTIL)
    assert ask(run, now=now) is None


def test_without_a_policy_nothing_is_said(run: Run) -> None:
    assert ask(run) is None


@pytest.mark.parametrize("damage", ["flipped", "truncated", "deleted", "folder"])
def test_a_damaged_policy_is_silent_and_told_once(run: Run, damage: str) -> None:
    version = store_sizing(run.venue, constant(0.007), UNTIL)
    folder = Path(configured.ARTIFACTS_DIR) / version.path
    weights = folder / "sizing.safetensors"
    content = weights.read_bytes()
    match damage:
        case "flipped":
            weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "truncated":
            weights.write_bytes(content[:40])
        case "deleted":
            weights.unlink()
        case _:
            rmtree(folder)
    with witnessing() as witness:
        assert ask(run) is None
        assert ask(run) is None
    assert witness.count("agent_refused", agent="sizing_rl") == 1


@pytest.mark.parametrize("kind", [Unwell, Boundless])
def test_a_policy_that_fails_is_silent(run: Run, kind: type[SizingPolicy]) -> None:
    replaced(run, store_sizing(run.venue, constant(0.007), UNTIL), kind(constant(0.007).weights))
    with witnessing() as witness:
        assert ask(run) is None
    assert witness.count("agent_failed", agent="sizing_rl") == 1
    assert witness.counted("candor_agents_silent_total", agent="sizing_rl") == 1


def test_a_policy_that_hangs_is_left_behind_until_it_returns(run: Run, settings: Settings) -> None:
    release, asked = Event(), []

    class Hangs(SizingPolicy):
        def at_once(self, decisions: Decisions, account: Account) -> FloatArray:
            asked.append(1)
            release.wait(60)
            return super().at_once(decisions, account)

    replaced(run, store_sizing(run.venue, constant(0.007), UNTIL), Hangs(constant(0.007).weights))
    settings.AGENT_DEADLINE_S = 0.05
    try:
        with witnessing() as witness:
            assert ask(run) is None
            settings.AGENT_DEADLINE_S = 30
            assert ask(run) is None
    finally:
        release.set()
    assert witness.count("agent_late", agent="sizing_rl") == 1
    assert asked == [1]


def test_a_stored_policy_is_of_its_own_form(run: Run) -> None:
    version = store_sizing(run.venue, constant(0.007), UNTIL)
    folder = Path(configured.ARTIFACTS_DIR) / version.path
    assert artifacts.read_sizing(folder, version.sha256).weights["b2"] == constant(0.007).weights["b2"]
    manifest = folder / artifacts.MANIFEST
    assert "decisions, form 1" in manifest.read_text()
    manifest.write_text(manifest.read_text().replace("form 1", "form 0"))
    with pytest.raises(artifacts.WrongFeatures):
        artifacts.read_sizing(folder, artifacts.content_hash(folder))


def test_files_of_policies_long_replaced_are_removed_and_rows_stay(run: Run) -> None:
    rows = [store_sizing(run.venue, constant(0.001), UNTIL) for _ in range(KEPT_FITS + 1)]
    there = [(Path(configured.ARTIFACTS_DIR) / row.path).is_dir() for row in rows]
    assert there == [False] + [True] * KEPT_FITS
    assert AgentVersion.objects.count() == KEPT_FITS + 1
