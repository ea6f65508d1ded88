"""`manage.py evaluate_volatility`: forecasts of realised variance on recorded candles, against log-HAR and GARCH."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress

from lib import clock
from lib.errors import CandorError
from models_ml.agents.sizing_rl import STEPS
from models_ml.agents.volatility_forecast import HORIZONS
from models_ml.evaluation.context import Asked, judge_moves, judge_regime, judge_sizing
from models_ml.evaluation.recordings import RecordedSet, read_set
from models_ml.evaluation.volatility import Order, Scored, evaluate
from models_ml.evaluation.volatility_report import keep, table
from models_ml.storing import code_version


class Command(BaseCommand):
    """Train on one part, test once on the other, print the table; files only, no database."""

    help = "Measure volatility forecasts by QLIKE on recorded 1-minute candles."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which files, where they are cut, what is scored."""
        parser.add_argument("--train", required=True, nargs="+", help="files or patterns of one market class")
        parser.add_argument("--test", nargs="+", default=[], help="later files of the same class; else --split")
        parser.add_argument("--split", type=float, default=0.8, help="share of the minutes that is learned from")
        parser.add_argument("--inside", type=float, default=1.0, help="use this first share only: for choosing")
        parser.add_argument("--instruments", nargs="*", default=[], help="score these symbols; all by default")
        parser.add_argument("--seeds", type=int, default=3, help="of the network that adjusts GARCH")
        parser.add_argument("--context", action="store_true", help="judge band, regime and sizing instead")
        parser.add_argument("--sizing-steps", type=int, default=STEPS, help="decisions that learned sizing tries")
        parser.add_argument("--json", default="", dest="out", help="file to keep the figures and the opening in")
        parser.add_argument("--name", default="", help="name of the set in that file; the first pattern by default")
        parser.add_argument("--tried", type=int, default=1, help="configurations tried so far, for the log of openings")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Evaluate, print, keep."""
        try:
            found, start = _set(options)
            picked = _picked(found, options["instruments"])
            context = (
                self._context(found, Asked(picked, start), options["sizing_steps"]) if options["context"] else None
            )
            scores = [] if context else self._run(found, start, picked, options["seeds"])
        except CandorError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(context, indent=1) if context else table(scores))
        if options["out"]:
            opening = {
                "date": clock.wall_now().date().isoformat(),
                "commit": code_version(),
                "set": options["name"] or options["train"][0],
                "tried": options["tried"],
                "opened": options["inside"] == 1.0,
                "test_from": clock.from_epoch(start).isoformat(),
            }
            keep(Path(options["out"]), opening, scores, context)

    def _context(self, found: RecordedSet, asked: Asked, steps: int) -> dict[str, Any]:
        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("expected moves", total=3)
            moves = judge_moves(found.names, found.history, asked)
            bar.update(task, advance=1, description="regime")
            regime = judge_regime(found.history, asked)
            bar.update(task, advance=1, description="sizing")
            sizing = judge_sizing(found.history, asked, steps=steps)
            bar.advance(task)
        return {"moves": moves, "regime": regime, "sizing": sizing}

    def _run(self, found: RecordedSet, start: int, picked: list[int], seeds: int) -> list[Scored]:
        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("reading", total=len(picked) * len(HORIZONS))
            order = Order(start, picked, seeds=tuple(range(seeds)), say=lambda text: bar.update(task, description=text))
            scores = []
            for score in evaluate(found.names, found.history, order):
                scores.append(score)
                bar.advance(task)
        return scores


def _set(options: dict[str, Any]) -> tuple[RecordedSet, int]:
    """The candles, and the epoch second at which the test part begins."""
    if not 0 < options["split"] < 1 or not 0 < options["inside"] <= 1:
        raise CommandError("--split lies between 0 and 1, --inside is over 0 and at most 1")
    found = read_set([*options["train"], *options["test"]])
    times = found.history.open_times
    if options["test"]:
        return found, int(read_set(options["test"]).history.open_times[0])
    rows = int(options["inside"] * len(times))
    cut = int(options["split"] * rows)
    return RecordedSet(found.names, found.market_class, found.history.until(rows)), int(times[cut])


def _picked(found: RecordedSet, symbols: list[str]) -> list[int]:
    """Rows of the instruments whose file names hold one of `symbols`."""
    if not symbols:
        return list(range(len(found.names)))
    picked = [row for row, name in enumerate(found.names) if any(symbol in name.split("_") for symbol in symbols)]
    if not picked:
        raise CommandError(f"--instruments {' '.join(symbols)}: none of {', '.join(found.names)}")
    return picked
