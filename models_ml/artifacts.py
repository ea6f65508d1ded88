"""Model files: written whole or not at all, and never opened before their hash is right."""

import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path

from lib.errors import CandorError
from models_ml.voters import voter_class
from models_ml.voters.base import CorruptArtifact, Voter

__all__ = ["CorruptArtifact", "WrongFeatures", "content_hash", "read", "write"]

MANIFEST = "manifest.json"
FORMAT = 1
SUFFIXES = {".json", ".safetensors", ".ubj", ".skops"}
"""Formats that hold data only. Pickle and its kin run code when read and are refused by name and by hash."""


class WrongFeatures(CorruptArtifact):
    """A model that learned from other feature columns, or the same ones in another order."""


def write(voter: Voter, folder: Path, *, features_hash: str) -> str:
    """Save a voter as `folder`, which must not exist yet, and return the sha256 over its content.

    The files are written beside it and renamed in one step, so a half-written model is never seen under its name.
    """
    if folder.exists():
        raise CandorError(f"model folder {folder} exists already: a model version is written once, choose a new name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    draft.mkdir()
    try:
        voter.save(draft)
        manifest = {"format": FORMAT, "key": voter.key, "features_hash": features_hash}
        (draft / MANIFEST).write_text(json.dumps(manifest, sort_keys=True))
        _settle(draft)
        digest = content_hash(draft)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return digest


def read(folder: Path, key: str, expected_sha: str, features_hash: str) -> Voter:
    """Load the voter of seat `key`.

    Raises:
        CorruptArtifact: files missing, hash different, format foreign: nothing of them was interpreted.
        WrongFeatures: sound files of a model with other feature columns.
    """
    if content_hash(folder) != expected_sha:
        raise CorruptArtifact(f"model files in {folder} are not those that were written: train {key!r} again")
    manifest = json.loads((folder / MANIFEST).read_text())
    if manifest["format"] != FORMAT or manifest["key"] != key:
        raise CorruptArtifact(f"model files in {folder} are not a {key!r} of format {FORMAT}: train {key!r} again")
    if manifest["features_hash"] != features_hash:
        raise WrongFeatures(f"model in {folder} learned from other feature columns: train {key!r} again")
    return voter_class(key).load(folder)


def content_hash(folder: Path) -> str:
    """sha256 over the names, sizes and bytes of all files of a model folder, in order of name."""
    digest = hashlib.sha256()
    for path in _files(folder):
        data = _bytes(path)
        digest.update(f"{path.name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise CorruptArtifact(f"model folder {folder} is missing: train again")
    found = sorted(folder.iterdir())
    foreign = [path.name for path in found if path.suffix not in SUFFIXES or path.is_symlink() or not path.is_file()]
    if foreign:
        raise CorruptArtifact(f"model folder {folder} holds {', '.join(foreign)}: only data formats are read")
    if not any(path.name == MANIFEST for path in found):
        raise CorruptArtifact(f"model folder {folder} has no {MANIFEST}: train again")
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptArtifact(f"model file {path} cannot be read ({error}): train again") from error


def _settle(folder: Path) -> None:
    """Flush files and folder to disk before the name becomes visible."""
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
