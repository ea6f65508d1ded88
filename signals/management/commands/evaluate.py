"""`manage.py evaluate`: train on one part of recorded files, test once on the other, print the whole protocol."""

import json
from argparse import ArgumentParser
from glob import glob
from pathlib import Path
from typing import IO, Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from lib import clock
from lib.errors import CandorError
from markets.progress import bars
from models_ml.evaluation.candle_sets import load_set
from models_ml.evaluation.measuring import measure
from models_ml.evaluation.plan import plan_for
from models_ml.evaluation.report import show
from models_ml.evaluation.results import CHOICE, OPENING, Log, line_of
from models_ml.evaluation.sources import commit_of
from models_ml.evaluation.voting import check_seats
from models_ml.profiles import PROFILES, profile_of
from models_ml.voters import LOCAL_SEATS
from signals.scoring import panel_score

WIDTH = 240
"""Columns of text: the tables are wide, and a pipe has no width of its own."""


class Command(BaseCommand):
    """Judge voters, quorum and stack beside every baseline on files, without a database."""

    help = "Train on recorded candles, test once on later ones, and print every figure of the protocol."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to learn from, what to be judged on, with whom."""
        parser.add_argument("--train", nargs="+", required=True, help="parquet files or patterns to learn from")
        parser.add_argument("--test", nargs="+", default=[], help="files of other minutes to be judged on")
        parser.add_argument(
            "--split", type=float, default=0.8, help="without --test: share of the minutes to learn from"
        )
        parser.add_argument(
            "--within", type=float, default=1.0, help="choose inside this first share; the rest stays unopened"
        )
        parser.add_argument("--voters", default="all", help="seats, separated by commas")
        parser.add_argument("--profile", default="standard", choices=sorted(PROFILES))
        parser.add_argument("--entry", default="next_open", choices=("next_open", "close"))
        parser.add_argument("--seeds", type=int, default=1)
        parser.add_argument("--lanes", type=int, default=2, help="voters trained at a time; 0 trains in this process")
        parser.add_argument("--name", default="", help="what the set is called in the log; its files by default")
        parser.add_argument("--note", default="", help="what was tried, for the log")
        parser.add_argument(
            "--tried",
            type=int,
            default=0,
            help="configurations scored on this set elsewhere, on top of those in the log",
        )
        parser.add_argument(
            "--results", default=str(settings.BASE_DIR / "docs"), help="folder of the log and its page; '' keeps none"
        )
        parser.add_argument(
            "--work",
            default=str(Path(settings.VAR_DIR) / "evaluation"),
            help="folder of features and votes: what is there already is not done again",
        )
        parser.add_argument("--json", dest="json_path", default="", help="write the whole report to this file")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Measure, print, write."""
        try:
            report, line = _measured(options)
        except CandorError as error:
            raise CommandError(str(error)) from error
        show(report, Console(file=cast(IO[str], self.stdout), width=WIDTH))
        if options["results"]:
            Log(Path(options["results"])).add(line)
        if options["json_path"]:
            Path(options["json_path"]).write_text(json.dumps(report, indent=1))


def _measured(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    train, test = _files("--train", options["train"]), _files("--test", options["test"])
    if options["seeds"] < 1 or options["lanes"] < 0 or options["tried"] < 0:
        raise CommandError("--seeds is a number from 1 on, --lanes and --tried are numbers from 0 on")
    root = Path(options["work"])
    seats = LOCAL_SEATS if options["voters"] == "all" else check_seats(options["voters"].split(","))
    with bars() as say:
        one = load_set(
            train,
            test,
            cache=root / "features",
            split=options["split"],
            within=options["within"],
            entry=options["entry"],
            say=say,
        )
        plan = plan_for(one, root / "runs", seats, profile_of(options["profile"]), options["seeds"])
        of, commit = options["name"] or _called(train, test), commit_of(settings.BASE_DIR)
        configuration = plan.configuration(commit)
        logged = Log(Path(options["results"])).tried(of, configuration) if options["results"] else 1
        tried = logged + options["tried"]
        report = measure(one, plan, panel_score, tried=tried, lanes=options["lanes"], say=say)
    part = CHOICE if options["within"] < 1 else OPENING
    today = clock.wall_now().date()
    return report, line_of(
        report, of=of, part=part, configuration=configuration, at=today, commit=commit, note=options["note"]
    )


def _files(name: str, patterns: list[str]) -> list[Path]:
    """The files behind the patterns, each once, in order of name."""
    found = sorted({Path(path) for pattern in patterns for path in glob(pattern, recursive=True)})
    empty = [pattern for pattern in patterns if not glob(pattern, recursive=True)]
    if empty:
        raise CommandError(
            f"{name} {empty[0]}: no such file; give parquet files or patterns such as 'data/*_1m.parquet'"
        )
    return found


def _called(train: list[Path], test: list[Path]) -> str:
    """A name for the set: its first file and how many there are."""
    more = f" and {len(train) + len(test) - 1} more" if len(train) + len(test) > 1 else ""
    return f"{train[0].stem}{more}"
