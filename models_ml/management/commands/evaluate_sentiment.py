"""`manage.py evaluate_sentiment`: the sentiment readers on labelled sentences, chosen and tested apart."""

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress

from models_ml.agents.lexicon import WORDS
from models_ml.agents.sentiment import LexiconReader, Reader, SentimentError
from models_ml.evaluation.openings import remember
from models_ml.evaluation.sentiment import Report, elsewhere, last_share, open_test, picked, rounded
from models_ml.evaluation.sentiment_page import page
from models_ml.sentences import Sentences, fingerprint, read_sentences

GATE = {"accuracy": 0.92, "macro_f1": 0.88}
"""What the linear reader has to reach on the test part."""


class Command(BaseCommand):
    """Fit, read the test part once, print the table. The fitted model is thrown away."""

    help = "Measure the sentiment readers on files of labelled sentences (docs/words.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which sentences, how they are parted, where the figures go."""
        parser.add_argument("--train", type=Path, required=True, metavar="FILE")
        part = parser.add_mutually_exclusive_group()
        part.add_argument("--test", type=Path, metavar="FILE", help="labelled sentences of their own to test on")
        part.add_argument("--split", type=float, default=2 / 3, help="share of --train that is learned from (2/3)")
        parser.add_argument("--elsewhere", type=Path, nargs="*", default=[], metavar="FILE", help="sets with scores")
        parser.add_argument("--json", type=Path, metavar="OUT", dest="out")
        parser.add_argument("--results", type=Path, metavar="FOLDER", help="log the opening and write its page there")

        parser.add_argument("--note", default="", help="what is new in this opening, for the log")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Measure and report; exit 1 where the gate is missed."""
        started = time.perf_counter()
        try:
            train, test = _parts(options["train"], options["test"], options["split"])
            others = {path.name: read_sentences(path) for path in options["elsewhere"]}
            with Progress(console=Console(stderr=True)) as bar:
                task = bar.add_task("configurations")
                done = open_test(train, test, lambda at, of: bar.update(task, completed=at, total=of))
        except SentimentError as error:
            raise CommandError(str(error)) from error
        report = rounded(
            {
                "data": _described(options, len(train[0]), len(test[0])),
                "lexicon_entries": WORDS,
                "chosen": asdict(done.chosen),
                "tried": [one.as_json() for one in done.tried],
                "methods": done.methods,
                "elsewhere": {name: _elsewhere(done, one) for name, one in others.items()},
                "gate": GATE | {"reached": all(done.methods["linear"][key] >= least for key, least in GATE.items())},
            }
        )
        self._keep(report, options, time.perf_counter() - started)

    def _keep(self, report: dict[str, Any], options: dict[str, Any], seconds: float) -> None:
        if options["out"]:
            options["out"].write_text(json.dumps(report, indent=1, ensure_ascii=False))
        self.stdout.write(page({"openings": [], "report": report}, heading=False))
        self.stdout.write(f"{seconds:.0f} s")
        if options["results"]:
            linear = report["methods"]["linear"]
            opening = {"data": report["data"]["name"], "configurations": len(report["tried"]), "note": options["note"]}
            record = remember(
                options["results"] / "sentiment.json",
                opening | {key: linear[key] for key in ("n", "accuracy", "macro_f1")},
                report,
            )
            (options["results"] / "sentiment.md").write_text(page(record), encoding="utf-8")
        if not report["gate"]["reached"]:
            raise CommandError("the linear reader is below the gate", returncode=1)


def _parts(
    train: Path, test: Path | None, share: float
) -> tuple[tuple[list[str], list[str]], tuple[list[str], list[str]]]:
    """(texts, labels) to learn from and to test on."""
    found = _labelled(train)
    if test is not None:
        return found, _labelled(test)
    texts, labels = found
    inside, outside = last_share(labels, 1 - share)
    return (picked(texts, inside), picked(labels, inside)), (picked(texts, outside), picked(labels, outside))


def _labelled(path: Path) -> tuple[list[str], list[str]]:
    sentences = read_sentences(path)
    if not sentences.labels:
        raise SentimentError(f"{path.name}: sentences with labels are needed, not with scores")
    return sentences.texts, sentences.labels


def _described(options: dict[str, Any], learned: int, tested: int) -> dict[str, Any]:
    path, test = options["train"], options["test"]
    how = f"tested on {test.name}" if test else f"the last {1 - options['split']:.3g} of each label in the file's order"
    return {"name": path.name, "sha256": fingerprint(path), "split": how, "train_n": learned, "test_n": tested}


def _elsewhere(done: Report, sentences: Sentences) -> dict[str, Any]:
    if not sentences.scores:
        raise CommandError("--elsewhere takes sets with scores")
    truth = np.array(sentences.scores)
    readers: dict[str, Reader] = {"lexicon": LexiconReader(), "linear": done.reader}
    return {key: elsewhere(reader.scores(sentences.texts), truth) for key, reader in readers.items()}
