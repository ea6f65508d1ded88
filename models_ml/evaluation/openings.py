"""A record of every time a test part was opened: when, at which commit, after how many configurations."""

import json
from pathlib import Path
from typing import Any

from lib.clock import wall_now
from models_ml.evaluation.results import renew
from models_ml.evaluation.sources import commit_of


def remember(path: Path, opening: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
    """Append an opening to the record at `path` and put the newest report beside it; returns the whole record."""
    record = json.loads(path.read_text()) if path.exists() else {"openings": []}
    stamp = {"date": wall_now().strftime("%Y-%m-%d %H:%M UTC"), "commit": commit_of(Path(__file__).parent)}
    record["openings"].append(stamp | opening)
    record["report"] = report
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    renew(path)
    return dict(record)
