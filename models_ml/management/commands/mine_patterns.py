"""`manage.py mine_patterns`: search stored candles for patterns and put what is found through the gate."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from lib.errors import CandorError
from markets.models import Venue
from markets.runs import current_run
from models_ml.prospecting import HISTORY_DAYS, prospect


class Command(BaseCommand):
    """Mine a venue's candles; named patterns are tested beside the mined ones."""

    help = "Search stored candles for patterns: candidates from the earlier part, the gate on the later one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where, until when, how far back."""
        parser.add_argument("--venue", default="", help="venue key; the current market by default")
        parser.add_argument("--until", default="", help="ISO time of the last candle to read")
        parser.add_argument("--days", type=int, default=HISTORY_DAYS)
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Mine and report, one line a market class."""
        until = parse_datetime(options["until"]) if options["until"] else None
        if options["until"] and (until is None or until.tzinfo is None):
            raise CommandError(f"--until {options['until']!r} is no time: use 2025-05-20T12:00:00Z")
        if options["days"] < 3:
            raise CommandError(f"--days {options['days']} is too short to search and to test: give at least 3")
        try:
            runs = prospect(_venue(options["venue"]), until=until, days=options["days"])
        except CandorError as error:
            raise CommandError(str(error)) from error
        names = ("market_class", "instruments", "windows", "tried", "candidates", "promoted")
        rows = [{name: getattr(run, name) for name in names} for run in runs]
        if options["as_json"]:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            self.stdout.write("  ".join(f"{name}={value}" for name, value in row.items()))


def _venue(key: str) -> Venue:
    if not key:
        run = current_run()
        if run is None:
            raise CommandError("no market yet: name one with --venue, or start `make run` first")
        return run.venue
    found = Venue.objects.filter(key=key).first()
    if found is None:
        known = ", ".join(Venue.objects.values_list("key", flat=True)) or "none yet"
        raise CommandError(f"no venue {key!r}: known are {known}")
    return found
