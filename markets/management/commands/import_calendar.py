"""`manage.py import_calendar`: scheduled events from files."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from markets.intelligence.importing import import_calendar
from markets.management.word_files import WordFilesCommand


class Command(WordFilesCommand):
    """An event counts from when it became known; recordings that do not say so need --ahead to count in their time."""

    help = "Import scheduled events from CSV, JSON or iCalendar files (shapes: docs/words.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Files, and what they do not say."""
        super().add_arguments(parser)
        parser.add_argument("--source", default="", help="name of the calendar; default: the file's name")
        parser.add_argument("--timezone", default="", help="of times that name none")
        parser.add_argument("--impact", default="", choices=("", "low", "medium", "high"), help="where none is named")
        parser.add_argument(
            "--ahead", type=float, metavar="DAYS", help="events count as known so long before their time"
        )

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Import and report."""
        ahead = None if options["ahead"] is None else timedelta(days=max(options["ahead"], 0))
        read = {"timezone": options["timezone"], "impact_default": options["impact"]}
        named = {name: value for name, value in read.items() if value}
        self.import_all(
            options, lambda path: import_calendar(path, source=options["source"], options=named, ahead=ahead)
        )
