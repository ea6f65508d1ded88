"""`manage.py recalibrate`: refit the calibrators of panel and stack on revealed outcomes."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from markets.models import Run
from models_ml.profiles import PROFILES, profile_of
from signals.recalibration import recalibrate


class Command(BaseCommand):
    """Refit, class by class."""

    help = "Refit the calibrators of panel and stack on outcomes that are known by now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose, and on how much."""
        parser.add_argument("--venue", required=True, help="venue key")
        parser.add_argument("--profile", default=settings.TRAIN_PROFILE, choices=sorted(PROFILES))

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Refit and say what was refitted."""
        run = Run.objects.filter(venue__key=options["venue"]).select_related("venue").order_by("-pk").first()
        if run is None:
            raise CommandError(f"venue {options['venue']!r} has no market: start one first")
        for line in recalibrate(run, profile_of(options["profile"])):
            self.stdout.write(line)
