"""Names for content: equal files, equal code and equal questions have equal digests, and work done is found again."""

import hashlib
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

LENGTH = 20


def digest_of(*parts: object) -> str:
    """A short sha256 over values that JSON knows, files and folders; a folder counts with the Python code in it."""
    digest = hashlib.sha256()
    for part in parts:
        for piece in _pieces(part):
            digest.update(len(piece).to_bytes(8, "big") + piece)
    return digest.hexdigest()[:LENGTH]


def _pieces(part: object) -> Iterable[bytes]:
    if not isinstance(part, Path):
        yield json.dumps(part, sort_keys=True).encode()
        return
    for path in sorted(part.rglob("*.py")) if part.is_dir() else (part,):
        yield path.name.encode()
        yield path.read_bytes()


def commit_of(checkout: Path) -> str:
    """The commit the code stands at, with a + where files differ from it, or "unknown" outside a checkout."""
    words = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    done = subprocess.run(words, cwd=checkout, capture_output=True, text=True, check=False)  # noqa: S603  # the operator's own git, fixed arguments
    return done.stdout.strip() or "unknown"
