"""`manage.py import_index`: daily values of an index of mood from files."""

from typing import Any

from django.core.management.base import CommandParser

from markets.intelligence.importing import import_index
from markets.management.word_files import WordFilesCommand


class Command(WordFilesCommand):
    """Fear & Greed of a day is published at its start (UTC); what is known at a close only needs --after-days 1."""

    help = "Import daily index values from CSV or JSON files (shapes: docs/words.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Files, and what they do not say."""
        super().add_arguments(parser)
        parser.add_argument("--key", default="", help="name of the index; default: the file's name")
        parser.add_argument("--column", default="value", help="column of the value")
        parser.add_argument(
            "--after-days", type=int, default=0, metavar="N", help="known so many days after its day began"
        )

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Import and report."""
        self.import_all(
            options,
            lambda path: import_index(
                path, key=options["key"], column=options["column"], after_days=max(options["after_days"], 0)
            ),
        )
