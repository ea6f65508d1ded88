"""`manage.py review_panel`: measure every voter on its judged votes, and mute those that drifted."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from markets.models import Run
from signals import drift, panel_record
from signals.sizing_words import sentence_of


class Command(BaseCommand):
    """Keep what the leaderboard shows, then look for drift; the task that runs it has the muted trained anew."""

    help = "Measure the live record of all voters; mute those whose log loss rose or whose features moved away."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose."""
        parser.add_argument("--venue", required=True, help="venue key")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Measure, mute, and say whom."""
        run = Run.objects.filter(venue__key=options["venue"]).select_related("venue").order_by("-pk").first()
        if run is None:
            raise CommandError(f"venue {options['venue']!r} has no market: start one first")
        for record in panel_record.measure(run):
            self.stdout.write(f"{record.market_class}: {record.figures['rounds']} judged rounds measured")
            if sizing := record.figures["sizing"]:
                self.stdout.write(f"{record.market_class}: {sentence_of(sizing)}")
        for mute in drift.check(run):
            self.stdout.write(f"{mute.voter} muted: {mute.detail}")
