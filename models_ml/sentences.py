"""Files of labelled sentences: columns `text` with `label` (negative, neutral, positive), or with `score` (−1..1)."""

import csv
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models_ml.agents.sentiment import LABELS, SentimentError


@dataclass(frozen=True, slots=True)
class Sentences:
    """N sentences in the file's order, each with a label or a score."""

    texts: list[str]
    labels: list[str]
    scores: list[float]

    def __len__(self) -> int:
        return len(self.texts)


def read_sentences(path: Path) -> Sentences:
    """Read a parquet, CSV or JSON-lines file.

    Raises:
        SentimentError: no such file, another format, or a row without text and label.
    """
    if not path.is_file():
        raise SentimentError(f"{path}: no such file")
    try:
        rows = _ROWS[path.suffix](path)
    except KeyError:
        raise SentimentError(f"{path.name}: use a .parquet, .csv or .jsonl file") from None
    except (OSError, ValueError, csv.Error) as error:
        raise SentimentError(f"{path.name}: not a readable {path.suffix[1:]} file ({str(error)[:100]})") from error
    sentences = Sentences([], [], [])
    for number, row in enumerate(rows, start=1):
        _add(sentences, row, f"{path.name}, row {number}")
    if not len(sentences):
        raise SentimentError(f"{path.name}: no sentences")
    return sentences


def fingerprint(path: Path) -> str:
    """sha256 of the file, so that a figure names what it was measured on."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _add(sentences: Sentences, row: dict[str, Any], where: str) -> None:
    text = row.get("text")
    if not isinstance(text, str) or not text.strip():
        raise SentimentError(f"{where}: no text")
    if row.get("label") in LABELS:
        sentences.labels.append(row["label"])
    elif "label" in row:
        raise SentimentError(f"{where}: label {row['label']!r} is none of {', '.join(LABELS)}")
    else:
        sentences.scores.append(_score(row.get("score"), where))
    sentences.texts.append(text)
    if len(sentences.texts) not in {len(sentences.labels), len(sentences.scores)}:
        raise SentimentError(f"{where}: some rows have a label and some a score, use one of them")


def _score(value: object, where: str) -> float:
    try:
        score = float(str(value))
    except ValueError:
        raise SentimentError(f"{where}: neither a label nor a score") from None
    if not -1 <= score <= 1:
        raise SentimentError(f"{where}: score {score:g} is not between −1 and 1")
    return score


def _parquet(path: Path) -> Iterable[dict[str, Any]]:
    import pyarrow.parquet

    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows


def _csv(path: Path) -> Iterable[dict[str, Any]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if any(not isinstance(row, dict) for row in rows):
        raise ValueError("each line has to be an object")
    return rows


_ROWS = {".parquet": _parquet, ".csv": _csv, ".jsonl": _lines}
