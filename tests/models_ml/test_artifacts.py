"""A model file that is not byte for byte what was written is never opened."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import skops.io

from lib.errors import CandorError
from models_ml import artifacts
from models_ml.artifacts import CorruptArtifact, WrongFeatures
from models_ml.voters.random_forest import RandomForestVoter
from tests.models_ml.small import fitted, parts

ROUNDS = 1000 if os.environ.get("CANDOR_FAULTS") == "full" else 20
"""Random faults of each kind; `make faults` asks for the full count."""
SEATS = ("xgb", "random_forest", "gru")


def written(seat: str, folder: Path) -> str:
    return artifacts.write(fitted(seat), folder, features_hash="hash")


@pytest.mark.parametrize("seat", SEATS)
def test_what_was_written_is_read(seat: str, tmp_path: Path) -> None:
    sha = written(seat, tmp_path / "model")
    voter = artifacts.read(tmp_path / "model", seat, sha, "hash")
    later = parts()[2]
    np.testing.assert_array_equal(voter.predict(later), fitted(seat).predict(later))


def test_the_hash_is_over_content(tmp_path: Path) -> None:
    assert written("xgb", tmp_path / "a") == written("xgb", tmp_path / "b")
    assert written("xgb", tmp_path / "a2") != written("gru", tmp_path / "c")


def test_a_version_is_written_once(tmp_path: Path) -> None:
    written("xgb", tmp_path / "model")
    with pytest.raises(CandorError, match="exists already"):
        written("xgb", tmp_path / "model")


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    class Full(RandomForestVoter):
        def save(self, folder: Path) -> None:
            (folder / "half.json").write_text("{}")
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        artifacts.write(Full(()), tmp_path / "model", features_hash="hash")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults
@pytest.mark.parametrize("seat", SEATS)
def test_flipped_bits_are_refused(seat: str, tmp_path: Path) -> None:
    folder, rng = tmp_path / "model", np.random.default_rng(5)
    sha = written(seat, folder)
    files = sorted(folder.iterdir())
    for _ in range(ROUNDS):
        path = files[rng.integers(len(files))]
        sane = path.read_bytes()
        broken = bytearray(sane)
        broken[rng.integers(len(broken))] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        refuse(folder, seat, sha)
        path.write_bytes(sane)
    artifacts.read(folder, seat, sha, "hash")


@pytest.mark.faults
@pytest.mark.parametrize("seat", SEATS)
def test_truncated_files_are_refused(seat: str, tmp_path: Path) -> None:
    folder, rng = tmp_path / "model", np.random.default_rng(6)
    sha = written(seat, folder)
    for _ in range(ROUNDS):
        path = sorted(folder.iterdir())[rng.integers(len(list(folder.iterdir())))]
        sane = path.read_bytes()
        path.write_bytes(sane[: rng.integers(len(sane))])
        refuse(folder, seat, sha)
        path.write_bytes(sane)


@pytest.mark.faults
@pytest.mark.parametrize("seat", SEATS)
def test_missing_and_added_files_are_refused(seat: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    sha = written(seat, folder)
    for path in sorted(folder.iterdir()):
        sane = path.read_bytes()
        path.unlink()
        refuse(folder, seat, sha)
        path.write_bytes(sane)
    (folder / "more.json").write_text("{}")
    refuse(folder, seat, sha)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    refuse(tmp_path / "nowhere", "xgb", "0" * 64)


def test_another_seats_model_is_refused(tmp_path: Path) -> None:
    sha = written("xgb", tmp_path / "model")
    refuse(tmp_path / "model", "random_forest", sha)


def test_other_features_are_refused(tmp_path: Path) -> None:
    sha = written("xgb", tmp_path / "model")
    with pytest.raises(WrongFeatures, match="train"):
        artifacts.read(tmp_path / "model", "xgb", sha, "other")


@pytest.mark.parametrize(("seat", "name"), [("xgb", "straight"), ("random_forest", "core"), ("gru", "shape")])
def test_a_model_of_an_older_form_is_refused(seat: str, name: str, tmp_path: Path) -> None:
    """Whole and with the columns of today, but written before its voter kept what it keeps now."""
    folder = tmp_path / "model"
    written(seat, folder)
    meta = json.loads((folder / "voter.json").read_text())
    del meta[name]
    (folder / "voter.json").write_text(json.dumps(meta))
    refuse(folder, seat, artifacts.content_hash(folder))


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "model.joblib"])
def test_a_pickle_is_never_opened_even_with_the_right_hash(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    written("xgb", folder)
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(CorruptArtifact, match=name):
        artifacts.content_hash(folder)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("seat", "file"),
    [("gru", "net.safetensors"), ("random_forest", "forest.skops"), ("xgb", "sign.ubj"), ("xgb", "size.ubj")],
)
def test_a_pickle_under_a_data_name_does_not_run(seat: str, file: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    written(seat, folder)
    (folder / file).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    refuse(folder, seat, artifacts.content_hash(folder))
    assert not (tmp_path / "exploded").exists()


def test_a_foreign_type_in_a_forest_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    written("random_forest", folder)
    skops.io.dump(Bomb(tmp_path / "exploded"), folder / "forest.skops")
    refuse(folder, "random_forest", artifacts.content_hash(folder))
    assert not (tmp_path / "exploded").exists()


def test_the_manifest_is_plain(tmp_path: Path) -> None:
    written("xgb", tmp_path / "model")
    manifest = json.loads((tmp_path / "model" / artifacts.MANIFEST).read_text())
    assert manifest == {"format": artifacts.FORMAT, "key": "xgb", "features_hash": "hash"}


def refuse(folder: Path, seat: str, sha: str) -> None:
    with pytest.raises(CorruptArtifact):
        artifacts.read(folder, seat, sha, "hash")
