"""`manage.py judge_candidates`: conclude the registered tests whose window has closed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from markets.models import Run
from models_ml import challenges, judging


class Command(BaseCommand):
    """Judge each due test once; a winner takes the seat where AUTO_PROMOTE says so."""

    help = "Conclude due tests of candidates and promote the winners."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose."""
        parser.add_argument("--venue", required=True, help="venue key")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Judge and say how each ended."""
        run = Run.objects.filter(venue__key=options["venue"]).select_related("venue").order_by("-pk").first()
        if run is None:
            raise CommandError(f"venue {options['venue']!r} has no market: start one first")
        for test in challenges.due(run):
            verdict = judging.conclude(test, by="command:judge_candidates")
            self.stdout.write(f"{test.candidate}: {'won' if verdict.won else verdict.reason} (n = {verdict.n})")
