"""A record of every time a test part was opened: when, at which commit, after how many configurations."""

import json
import subprocess
from pathlib import Path
from typing import Any

from lib.clock import wall_now


def remember(path: Path, opening: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
    """Append an opening to the record at `path` and put the newest report beside it; returns the whole record."""
    record = json.loads(path.read_text()) if path.exists() else {"openings": []}
    stamp = {"date": wall_now().strftime("%Y-%m-%d %H:%M UTC"), "commit": commit()}
    record["openings"].append(stamp | opening)
    record["report"] = report
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return dict(record)


def commit() -> str:
    """The checkout's commit, with a plus where files were changed since; `unknown` outside a checkout."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    command = ["git", *words]
    return subprocess.run(  # noqa: S603  # git and fixed words
        command, cwd=Path(__file__).parent, check=True, capture_output=True, text=True, timeout=20
    ).stdout.strip()
