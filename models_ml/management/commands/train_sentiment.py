"""`manage.py train_sentiment FILE`: train the linear sentiment reader on sentences that the operator may use."""

import shutil
import uuid
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from lib.clock import wall_now
from models_ml.agents.sentiment import SentimentError
from models_ml.agents.sentiment_linear import LinearReader
from models_ml.evaluation.sentiment import GRID, Tried, try_all
from models_ml.sentences import Sentences, fingerprint, read_sentences
from models_ml.tone import linear_folder


class Command(BaseCommand):
    """Choose inside the sentences, fit on everything, put the model in the place of the one before."""

    help = "Train the linear sentiment reader from a file of labelled sentences; it is used from then on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The sentences."""
        parser.add_argument("file", type=Path, help=".parquet, .csv or .jsonl with text and label")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Train and report the figures of the choice."""
        try:
            sentences = read_sentences(options["file"])
            tried = try_all(sentences.texts, _labels(sentences, options["file"]), GRID)
            reader = LinearReader(tried[0].settings).fit(sentences.texts, sentences.labels)
        except SentimentError as error:
            raise CommandError(str(error)) from error
        _put(reader, _facts(options["file"], sentences, tried[0]))
        best = tried[0]
        self.stdout.write(
            f"trained on {len(sentences)} sentences of {options['file'].name} (C {best.settings.c:g}, lexicon"
            f" {best.settings.lexicon:g}); learned from the first part and checked on the rest: {best.accuracy:.1%}"
            f" accuracy, {best.macro_f1:.1%} macro-F1"
        )


def _labels(sentences: Sentences, path: Path) -> list[str]:
    if not sentences.labels:
        raise SentimentError(f"{path.name}: sentences with labels are needed, not with scores")
    return sentences.labels


def _facts(path: Path, sentences: Sentences, best: Tried) -> dict[str, Any]:
    trained = wall_now().isoformat(timespec="seconds")
    return {"file": path.name, "sha256": fingerprint(path), "n": len(sentences), "at": trained} | best.as_json()


def _put(reader: LinearReader, facts: dict[str, Any]) -> None:
    """Write beside the old model and change names, so that a half-written one is never read."""
    folder = linear_folder()
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    draft.mkdir(parents=True)
    reader.save(draft, facts)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
