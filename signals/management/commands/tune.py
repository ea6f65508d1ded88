"""`manage.py tune`: search better sizes for voters; what is found becomes a candidate."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from lib import clock
from lib.errors import CandorError
from markets.models import Venue
from markets.runs import market_time
from models_ml.models import ModelVersion
from models_ml.profiles import PROFILES, profile_of, tuned_profile
from models_ml.samples import Samples
from models_ml.training import DAY_MINUTES, classes_of, history_of, profile_for, train
from models_ml.tuning import SPACES, search
from signals.scoring import panel_score

SEED = 7


class Command(BaseCommand):
    """Tune voters on the stored candles of one venue, class by class."""

    help = "Search better sizes with Optuna and put the best to a registered test."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to tune, and for how long."""
        parser.add_argument("--venue", required=True, help="venue key")
        parser.add_argument("--profile", default=settings.TRAIN_PROFILE, choices=sorted(PROFILES))
        parser.add_argument("--seats", nargs="+", default=["xgb", "random_forest"], choices=sorted(SPACES))
        parser.add_argument("--trials", type=int, default=20, help="more trials of the voter's study")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Search, say what was found, and train the candidates."""
        venue = Venue.objects.filter(key=options["venue"]).first()
        if venue is None:
            raise CommandError(f"no venue {options['venue']!r}: start its market first")
        try:
            for market_class, ids in classes_of(venue, None).items():
                self._tune_class(venue, market_class, ids, options)
        except CandorError as error:
            raise CommandError(str(error)) from error

    def _tune_class(self, venue: Venue, market_class: str, ids: list[int], options: dict[str, Any]) -> None:
        until = clock.epoch(market_time(venue.run_set.order_by("-pk").first()))
        samples = history_of(ids, until, profile_of(options["profile"]), seed=SEED)
        if len(samples) < DAY_MINUTES:
            self.stdout.write(f"{market_class}: less than a day of candles")
            return
        for seat in options["seats"]:
            self._tune(venue, market_class, samples, seat, options)

    def _tune(self, venue: Venue, market_class: str, samples: Samples, seat: str, options: dict[str, Any]) -> None:
        plain = profile_of(options["profile"])
        study = f"{venue.key}/{market_class}/{seat}/{plain.name}/{clock.wall_now():%G-W%V}"
        present = profile_for(venue, market_class, seat, plain)
        found = search(seat, samples, present, study=study, trials=options["trials"], seed=SEED)
        self.stdout.write(f"{market_class} {seat}: {found.loss:.5f} nats with {found.sizes}, {found.before:.5f} before")
        if found.loss < found.before:
            symbols = list(venue.instruments.filter(pk__in=samples.market.tolist()).values_list("symbol", flat=True))
            sizes = tuned_profile(plain, found.sizes)
            train(venue, profile=sizes, score=panel_score, seats=(seat,), symbols=symbols, kind=ModelVersion.Kind.TUNED)
