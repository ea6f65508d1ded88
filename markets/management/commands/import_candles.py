"""`manage.py import_candles`: recorded candles from files."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from lib.errors import CandorError
from markets.importing import Imported, import_file
from markets.progress import Advance, bars


class Command(BaseCommand):
    """Each file is stored whole or not at all; wrong ones do not stop the others, but the command then fails."""

    help = "Import 1-minute candles from parquet, CSV, JSON or feather files (shapes: docs/data.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Files, and what their names do not say."""
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--venue", help="key of the venue; default: what the file's name says, else 'imported'")
        parser.add_argument("--symbol", help="BASE/QUOTE; default: what the file's name says")
        parser.add_argument("--timeframe", help="of the file; only 1m can be stored")
        parser.add_argument("--timezone", help="of times that name none; default UTC, HistData: America/New_York")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, then report."""
        done: list[Imported] = []
        wrong: list[dict[str, str]] = []
        with bars() as advance:
            for path in options["paths"]:
                try:
                    done.append(self._one(path, options, advance))
                except CandorError as error:
                    wrong.append({"file": str(path), "error": str(error)})
        self._report(done, wrong, as_json=options["json"])
        if wrong:
            raise CommandError(f"{len(wrong)} of {len(options['paths'])} files were not imported", returncode=2)

    def _one(self, path: Path, options: dict[str, Any], advance: Advance) -> Imported:
        return import_file(
            path,
            venue=options["venue"],
            symbol=options["symbol"],
            timeframe=options["timeframe"],
            zone=options["timezone"],
            on_progress=lambda file, rows, total: advance(file.name, rows, total),
        )

    def _report(self, done: list[Imported], wrong: list[dict[str, str]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"files": [one.as_json() for one in done], "errors": wrong}))
            return
        for one in done:
            refused = ", ".join(f"{count} {reason}" for reason, count in one.refused.items()) or "0"
            self.stdout.write(
                f"{one.file} → {one.instrument}: {one.stored} stored, {one.duplicates} duplicates, "
                f"{one.corrected} corrected, {refused} refused, {one.gaps} gaps ({one.missing} minutes)"
            )
        for problem in wrong:
            self.stderr.write(problem["error"])
