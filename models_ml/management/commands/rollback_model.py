"""`manage.py rollback_model`: give a voter's seat back to its earlier champion."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.audit import operator_work
from lib.errors import CandorError
from markets.models import Venue
from models_ml import operating
from models_ml.models import ModelVersion
from models_ml.promotion import Seat
from models_ml.voters import LOCAL_SEATS, STACK


class Command(BaseCommand):
    """Roll one seat back, on the record."""

    help = "Give a voter's seat back to the champion before the present one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which seat."""
        parser.add_argument("--voter", required=True, choices=[*LOCAL_SEATS, STACK])
        parser.add_argument("--venue", required=True, help="venue key")
        parser.add_argument("--market-class", default="", help="needed where the venue has several")
        parser.add_argument("--to", type=int, help="number of the model; the champion before by default")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Roll back and say who sits there now."""
        seat = _seat(options["voter"], options["venue"], options["market_class"])
        to = _version(seat, options["to"])
        try:
            with operator_work("command:rollback_model", f"roll {seat.voter} back"):
                made = operating.roll_back(seat, "command:rollback_model", to)
        except CandorError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{made.version} votes again; {made.before} is retired")


def _seat(voter: str, venue_key: str, market_class: str) -> Seat:
    venue = Venue.objects.filter(key=venue_key).first()
    if venue is None:
        raise CommandError(
            f"no venue {venue_key!r}: known are {', '.join(Venue.objects.values_list('key', flat=True))}"
        )
    champions = ModelVersion.objects.filter(venue=venue, voter=voter, state=ModelVersion.State.CHAMPION)
    classes = sorted(champions.values_list("market_class", flat=True))
    if (market_class and market_class not in classes) or not classes:
        raise CommandError(f"{voter} has no champion there: it has some for {', '.join(classes) or 'no class'}")
    if not market_class and len(classes) > 1:
        raise CommandError(f"{voter} has champions for {', '.join(classes)}: name one with --market-class")
    return Seat(venue.pk, market_class or classes[0], voter)


def _version(seat: Seat, number: int | None) -> ModelVersion | None:
    if number is None:
        return None
    models = ModelVersion.objects.filter(pk=number, venue_id=seat.venue_id, voter=seat.voter)
    found = models.filter(market_class=seat.market_class).first()
    if found is None:
        raise CommandError(f"--to {number} is no model of this seat")
    return found
