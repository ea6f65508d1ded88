"""`manage.py judge_candidates`: conclude the registered tests whose window has closed."""

from argparse import ArgumentParser
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandError

from markets.models import Run
from models_ml import challenges, judging
from models_ml.models import Challenge

log = structlog.get_logger(__name__)


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
        failed = sum(not self._concluded(test) for test in challenges.due(run))
        if failed:
            raise CommandError(f"{failed} test{'s' * (failed > 1)} could not be judged: the log says why")

    def _concluded(self, test: Challenge) -> bool:
        try:
            verdict = judging.conclude(test, by="command:judge_candidates")
        except Exception:  # one test's failure, whatever it is, never stops the others
            log.exception("challenge_failed", voter=test.candidate.voter, model_id=test.candidate_id)
            return False
        self.stdout.write(f"{test.candidate}: {'won' if verdict.won else verdict.reason} (n = {verdict.n})")
        return True
