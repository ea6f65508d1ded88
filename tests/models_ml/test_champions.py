"""The models in force: loaded once, replaced by a new champion, refused when they are not what was written."""

from pathlib import Path
from shutil import copytree
from uuid import uuid4

import pytest
from django.conf import settings

from lib import clock
from markets.models import Run
from models_ml import artifacts
from models_ml.champions import calibration_of, champions, warm
from models_ml.features import FEATURES_HASH
from models_ml.models import Calibration, ModelVersion
from models_ml.panel import LoadedModel
from models_ml.votes import AbstainReason
from tests.factories_models import crown
from tests.faults.witness import witnessing
from tests.trained import END, SEATS

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("trained")]


def version(run: Run, voter: str = "random_forest") -> ModelVersion:
    return ModelVersion.objects.get(venue_id=run.venue_id, voter=voter, state="champion")


def replace(old: ModelVersion, path: str, *, sha256: str = "") -> ModelVersion:
    """A new champion whose files lie at `path`, in the seat of `old`."""
    new = ModelVersion.objects.get(pk=old.pk)
    new.pk, new.state, new.path, new.sha256 = None, "candidate", path, sha256 or old.sha256
    new.save(force_insert=True)
    return crown(new)


def copied(row: ModelVersion) -> tuple[str, Path]:
    """A copy of a version's files: the path to register and where they lie."""
    name = f"{row.venue.key}/copies/{uuid4().hex}"
    folder = Path(settings.ARTIFACTS_DIR) / name
    copytree(Path(settings.ARTIFACTS_DIR) / row.path, folder)
    return name, folder


def test_each_seat_has_its_champion(trained_run: Run) -> None:
    found = champions(trained_run.venue_id, "crypto")
    assert set(found) == set(SEATS)
    for seat, model in found.items():
        assert isinstance(model, LoadedModel)
        row = version(trained_run, seat)
        assert (model.model_id, model.threshold) == (row.pk, row.threshold)
        assert model.trained_until == clock.epoch(END)
        assert model.voter.key == seat


def test_a_model_is_read_once(trained_run: Run) -> None:
    warm(trained_run.venue_id)
    first, second = (champions(trained_run.venue_id, "crypto")["xgb"] for _ in range(2))
    assert first is second


def test_another_class_or_venue_has_none(trained_run: Run) -> None:
    assert champions(trained_run.venue_id, "forex") == {}
    assert champions(trained_run.venue_id + 1, "crypto") == {}


def test_a_retired_model_is_not_asked(trained_run: Run) -> None:
    ModelVersion.objects.filter(pk=version(trained_run).pk).update(state="retired")
    assert "random_forest" not in champions(trained_run.venue_id, "crypto")


def test_a_new_champion_replaces_the_loaded_one(trained_run: Run) -> None:
    champions(trained_run.venue_id, "crypto")
    old = version(trained_run)
    name, _ = copied(old)
    new = replace(old, name)
    model = champions(trained_run.venue_id, "crypto")["random_forest"]
    assert isinstance(model, LoadedModel)
    assert model.model_id == new.pk


@pytest.mark.parametrize("damage", ["flipped", "truncated", "deleted", "emptied"])
def test_a_damaged_model_abstains_as_corrupt(trained_run: Run, damage: str) -> None:
    """Fault 25: a wrong hash is never loaded, and the other seats vote on."""
    name, folder = copied(version(trained_run))
    largest = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = largest.read_bytes()
    middle = len(content) // 2
    match damage:
        case "flipped":
            largest.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        case "truncated":
            largest.write_bytes(content[:middle])
        case "deleted":
            largest.unlink()
        case _:
            largest.write_bytes(b"")
    replace(version(trained_run), name)
    with witnessing() as witness:
        found = champions(trained_run.venue_id, "crypto")
    assert witness.count("model_refused", voter="random_forest") == 1
    assert found["random_forest"] is AbstainReason.CORRUPT
    assert isinstance(found["xgb"], LoadedModel)


def test_a_model_of_other_feature_columns_is_too_old(trained_run: Run) -> None:
    name, folder = copied(version(trained_run))
    manifest = folder / artifacts.MANIFEST
    manifest.write_text(manifest.read_text().replace(FEATURES_HASH, "of an earlier release"))
    replace(version(trained_run), name, sha256=artifacts.content_hash(folder))
    with witnessing() as witness:
        found = champions(trained_run.venue_id, "crypto")
    assert witness.count("model_outdated", voter="random_forest") == 1
    assert found["random_forest"] is AbstainReason.TOO_OLD


def test_a_missing_folder_is_corrupt(trained_run: Run) -> None:
    replace(version(trained_run), "nowhere/at/all")
    assert champions(trained_run.venue_id, "crypto")["random_forest"] is AbstainReason.CORRUPT


def test_the_newest_calibration_of_that_panel_counts(trained_run: Run) -> None:
    old = calibration_of(trained_run.venue_id, "crypto", 7)
    assert old is not None
    assert calibration_of(trained_run.venue_id, "crypto", 9) is None
    assert calibration_of(trained_run.venue_id, "forex", 7) is None
    new = Calibration.objects.create(
        venue=trained_run.venue, market_class="crypto", seats=7, knots={}, n=0, trained_until=END
    )
    assert calibration_of(trained_run.venue_id, "crypto", 7) == new
