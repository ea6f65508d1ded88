"""`manage.py evaluate_book`: the order-book voter beside queue imbalance and gradient boosting, on files of quotes."""

import glob
import json
import subprocess
from argparse import ArgumentParser
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from lib.clock import wall_now
from lib.errors import CandorError
from markets.progress import bars
from models_ml.evaluation.book_quotes import HORIZONS
from models_ml.evaluation.book_report import keep, lines
from models_ml.profiles import PROFILES, QUICK, Profile, profile_of

SIZES = replace(QUICK, name="book", max_rows=20_000, epochs=12, patience=3, batch=512, learning_rate=1e-3)
"""A net of `quick` that reads more: few minutes of three days are independent, and a larger one learned no more."""


class Command(BaseCommand):
    """Learn from one part of recorded books, test once on the other, print every model with intervals."""

    help = "Measure the order-book voter on files of level-1 or level-20 quotes. No database is used."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Files, split and sizes."""
        parser.add_argument("--train", required=True, metavar="GLOB", help="parquet files of quotes")
        tested = parser.add_mutually_exclusive_group(required=True)
        tested.add_argument("--test", metavar="GLOB", default="", help="files to test on")
        tested.add_argument(
            "--split", action="store_true", help="the last day of --train tests, the one before chooses"
        )
        parser.add_argument("--before", metavar="DATE", default="", help="leave out sessions from this day on (UTC)")
        parser.add_argument("--horizons", default=",".join(HORIZONS), help="of: " + ", ".join(HORIZONS))
        parser.add_argument("--every", type=float, default=2.0, help="seconds between decisions")
        parser.add_argument("--seeds", type=int, default=3)
        parser.add_argument("--profile", default="book", help="sizes of the net: book, " + ", ".join(PROFILES))
        parser.add_argument("--json", metavar="OUT", default="", help="write the table there, and as .md beside it")
        parser.add_argument("--tried", type=int, default=1, help="tried before this opening, for the log")
        parser.add_argument("--note", default="", help="what is measured, for the log")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Measure, print, write."""
        try:
            report = _measured(options)
        except CandorError as error:
            raise CommandError(str(error)) from error
        for line in lines(report):
            self.stdout.write(line)
        if options["json"]:
            keep(report, Path(options["json"]), _opening(options))


def _measured(options: dict[str, Any]) -> dict[str, Any]:
    from models_ml.evaluation import book  # torch and xgboost

    horizons = options["horizons"].split(",")
    unknown = sorted(set(horizons) - set(HORIZONS))
    if unknown or options["seeds"] < 1 or options["every"] <= 0:
        raise CommandError(f"--horizons {','.join(unknown)}: use {', '.join(HORIZONS)}; --seeds and --every above 0")
    files = _files(options["train"], "--train"), _files(options["test"], "--test") if options["test"] else []
    with bars() as advance:
        parts = book.parts_of(*files, options["every"], _date(options["before"]))
        profile = _profile(options["profile"])
        report = book.measure(
            parts,
            profile,
            seeds=options["seeds"],
            targets=horizons,
            on_step=lambda done, total, what: advance("models", done, total),
        )
    return {"profile": profile.name, "every_s": options["every"]} | report


def _profile(name: str) -> Profile:
    return SIZES if name == SIZES.name else profile_of(name)


def _files(pattern: str, option: str) -> list[Path]:
    found = sorted(Path(name) for name in glob.glob(pattern))
    if not found:
        raise CommandError(f"{option} {pattern}: no file matches")
    return found


def _date(word: str) -> datetime | None:
    try:
        return datetime.fromisoformat(word).replace(tzinfo=UTC) if word else None
    except ValueError as error:
        raise CommandError(f"--before {word}: give a day, such as 2013-10-09") from error


def _opening(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "date": f"{wall_now():%Y-%m-%d %H:%M}",
        "commit": _commit(),
        "configurations": options["tried"],
        "what": options["note"] or json.dumps({key: options[key] for key in ("every", "seeds", "profile")}),
    }


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607  # found on PATH
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "unknown"
