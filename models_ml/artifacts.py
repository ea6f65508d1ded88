"""Model files: written whole or not at all, and never opened before their hash is right."""

import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lib.errors import CandorError
from models_ml.agents import AGENTS, agent_class
from models_ml.validation.psi import FeatureSlice
from models_ml.voters import STACK, voter_class
from models_ml.voters.base import CorruptArtifact, Voter

if TYPE_CHECKING:
    from models_ml.agents.base import Agent
    from models_ml.agents.meta import Stack
    from models_ml.agents.sizing_rl import SizingPolicy

__all__ = [
    "CorruptArtifact",
    "WrongFeatures",
    "content_hash",
    "read",
    "read_agent",
    "read_sizing",
    "read_slice",
    "read_stack",
    "write",
]

MANIFEST = "manifest.json"
SLICE = "slice.json"
FORMAT = 1
SUFFIXES = {".json", ".safetensors", ".ubj", ".skops"}
"""Formats that hold data only. Pickle and its kin run code when read and are refused by name and by hash."""


class WrongFeatures(CorruptArtifact):
    """A model that learned from other feature columns, or the same ones in another order."""


class Storable(Protocol):
    """A voter, the stack or an agent: it has a key and can write itself into an empty folder."""

    @property
    def key(self) -> str:
        """Its seat, or its name among the agents."""
        ...

    def save(self, folder: Path) -> None:
        """Write data files only."""
        ...


def write(model: Storable, folder: Path, *, features_hash: str, slice_: FeatureSlice | None = None) -> str:
    """Save a model as `folder`, which must not exist yet, and return the sha256 over its content.

    `slice_` is what the features it reads looked like in training. The files are written beside the folder and renamed
    in one step, so a half-written model is never seen under its name.
    """
    if folder.exists():
        raise CandorError(f"model folder {folder} exists already: a model version is written once, choose a new name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    draft.mkdir()
    try:
        model.save(draft)
        if slice_ is not None:
            (draft / SLICE).write_text(json.dumps(slice_.as_json()))
        manifest = {"format": FORMAT, "key": model.key, "features_hash": features_hash}
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
        CorruptArtifact: files missing, hash different, format foreign: nothing of them was interpreted. Or whole files
            of a release whose voter of that seat kept other facts: a round goes on without it.
        WrongFeatures: sound files of a model with other feature columns.
    """
    _check(folder, key, expected_sha, features_hash)
    kind = voter_class(key)
    try:
        return kind.load(folder)
    except (LookupError, TypeError, ValueError) as error:
        raise CorruptArtifact(f"model in {folder} is of another form ({error!r}): train {key!r} again") from error


def read_stack(folder: Path, expected_sha: str, features_hash: str) -> "Stack":
    """Load a stack; raises as `read` does."""
    _check(folder, STACK, expected_sha, features_hash)
    from models_ml.agents.meta import Stack  # a worker's: web code imports this module

    return Stack.load(folder)


def read_agent(folder: Path, key: str, expected_sha: str) -> "Agent":
    """Load an agent of candles; raises as `read` does."""
    kind = agent_class(key)
    _check(folder, key, expected_sha, form_of(kind))
    return kind.load(folder)


def read_sizing(folder: Path, expected_sha: str) -> "SizingPolicy":
    """Load a learned sizing; raises as `read` does."""
    from models_ml.agents.sizing_rl import SizingPolicy

    _check(folder, SizingPolicy.key, expected_sha, form_of(SizingPolicy))
    return SizingPolicy.load(folder)


def form_of(kind: "type[Agent | SizingPolicy]") -> str:
    """What stands in the place of the features' hash: what an agent reads, in a form that its class numbers."""
    return f"{'candles' if AGENTS[kind.key].of_candles else 'decisions'}, form {kind.form}"


def read_slice(folder: Path, key: str, expected_sha: str, features_hash: str) -> FeatureSlice | None:
    """What the features of a model looked like in training; None where it reads none. Raises as `read` does."""
    _check(folder, key, expected_sha, features_hash)
    path = folder / SLICE
    return FeatureSlice.from_json(json.loads(path.read_text())) if path.exists() else None


def _check(folder: Path, key: str, expected_sha: str, features_hash: str) -> None:
    if content_hash(folder) != expected_sha:
        raise CorruptArtifact(f"model files in {folder} are not those that were written: train {key!r} again")
    manifest = json.loads((folder / MANIFEST).read_text())
    if manifest["format"] != FORMAT or manifest["key"] != key:
        raise CorruptArtifact(f"model files in {folder} are not a {key!r} of format {FORMAT}: train {key!r} again")
    if manifest["features_hash"] != features_hash:
        raise WrongFeatures(f"model in {folder} learned from other feature columns: train {key!r} again")


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
