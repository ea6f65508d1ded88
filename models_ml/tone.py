"""Which reader reads headlines on this installation, and the scores of those it has read already."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import structlog
from django.conf import settings

from models_ml.agents.sentiment import MANIFEST, LexiconReader, Reader, SentimentError

log = structlog.get_logger(__name__)

KEPT = 20_000
"""Headlines whose score a process remembers: each is read once, not once a minute."""

_Stamp = tuple[str, str, float]
_lock = Lock()
_reader: tuple[_Stamp, Reader] | None = None
_scores: OrderedDict[tuple[_Stamp, str], float] = OrderedDict()


def linear_folder() -> Path:
    """Where `train_sentiment` puts its model."""
    return Path(settings.ARTIFACTS_DIR) / "sentiment"


def reader() -> Reader:
    """The reader that SENTIMENT_READER names; one that cannot be used is logged and the lexicon reads instead."""
    return _current()[1]


def chosen() -> tuple[str, dict[str, Any]]:
    """`lexicon`, `linear` or `finbert` as the settings name it, and what a trained one says of its origin.

    Nothing is opened but the manifest: a page asks this, and a reader may weigh hundreds of megabytes.
    """
    wanted = settings.SENTIMENT_READER
    if wanted == "finbert":
        return wanted, {}
    try:
        facts = json.loads((linear_folder() / MANIFEST).read_text())["facts"]
    except (OSError, ValueError, LookupError, TypeError):
        return LexiconReader.key, {}
    return ("linear", facts) if wanted in {"auto", "linear"} else (LexiconReader.key, {})


def scores_of(texts: Mapping[int, str]) -> dict[int, float]:
    """Score −1..1 of each text by the key it has in `texts`."""
    stamp, by = _current()
    with _lock:
        found = {key: _scores.get((stamp, text)) for key, text in texts.items()}
    fresh = list(dict.fromkeys(texts[key] for key, score in found.items() if score is None))
    read = dict(zip(fresh, by.scores(fresh).tolist(), strict=True)) if fresh else {}
    with _lock:
        _scores.update({(stamp, text): score for text, score in read.items()})
        while len(_scores) > KEPT:
            _scores.popitem(last=False)
    return {key: read[texts[key]] if score is None else score for key, score in found.items()}


def _current() -> tuple[_Stamp, Reader]:
    """The reader and what it was made from; made anew after training or a change of settings."""
    global _reader  # noqa: PLW0603  # one a process
    stamp = settings.SENTIMENT_READER, str(settings.SENTIMENT_FOLDER), _trained_at()
    with _lock:
        if _reader is None or _reader[0] != stamp:
            _reader = stamp, _opened()
        return _reader


def _trained_at() -> float:
    try:
        return (linear_folder() / MANIFEST).stat().st_mtime
    except OSError:
        return 0.0


def _opened() -> Reader:
    wanted = settings.SENTIMENT_READER
    try:
        if wanted == "finbert":
            from models_ml.agents.finbert import FinbertReader

            return FinbertReader(Path(settings.SENTIMENT_FOLDER))
        if wanted == "linear" or (wanted == "auto" and _trained_at()):
            from models_ml.agents.sentiment_linear import LinearReader

            return LinearReader.load(linear_folder())
    except SentimentError as error:
        log.warning("sentiment_reader_unusable", wanted=wanted, reason=str(error))
    return LexiconReader()
