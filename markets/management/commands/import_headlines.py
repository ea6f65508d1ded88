"""`manage.py import_headlines`: recorded headlines from files."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from markets.intelligence.importing import import_headlines
from markets.management.word_files import WordFilesCommand


class Command(WordFilesCommand):
    """A headline counts from when it was observed; recordings that do not say so need --lag to count in their time."""

    help = "Import headlines from RSS, Atom, JSON Feed, CSV or JSON-lines files (shapes: docs/words.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Files, and what they do not say."""
        super().add_arguments(parser)
        parser.add_argument("--source", default="", help="of headlines that name none; default: the file's name")
        parser.add_argument(
            "--lag", type=float, metavar="SECONDS", help="headlines count as observed so long after publication"
        )

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Import and report."""
        lag = None if options["lag"] is None else timedelta(seconds=max(options["lag"], 0))
        self.import_all(options, lambda path: import_headlines(path, source=options["source"], lag=lag))
