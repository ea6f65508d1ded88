"""What the commands that import words and calendars share: one report a file, and wrong files stop no other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from markets.intelligence import FeedError
from markets.intelligence.importing import ImportedWords


class WordFilesCommand(BaseCommand):
    """Each file is stored whole or not at all; the command fails where one was not."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Files and the report's shape."""
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def import_all(self, options: dict[str, Any], one: Callable[[Path], ImportedWords]) -> None:
        """Import each file with `one`, then report."""
        done: list[ImportedWords] = []
        wrong: list[dict[str, str]] = []
        for path in options["paths"]:
            try:
                done.append(one(path))
            except FeedError as error:
                wrong.append({"file": str(path), "error": str(error)})
        self._report(done, wrong, as_json=options["json"])
        if wrong:
            raise CommandError(f"{len(wrong)} of {len(options['paths'])} files were not imported", returncode=2)

    def _report(self, done: list[ImportedWords], wrong: list[dict[str, str]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"files": [one.as_json() for one in done], "errors": wrong}))
            return
        for one in done:
            skipped = ", ".join(f"{count} {reason}" for reason, count in one.skipped.items())
            self.stdout.write(
                f"{one.file}: {one.read} read, {one.new} new" + (f", left out: {skipped}" if skipped else "")
            )
        for problem in wrong:
            self.stderr.write(problem["error"])
