"""`manage.py sync_instruments`: a venue's whole market, for an operator to tick."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from lib.errors import CandorError
from markets.listing import sync_instruments


class Command(BaseCommand):
    """What an operator ticked stays ticked; what the venue does not list any more stays, with its record."""

    help = "List a venue's whole market; instruments are followed once an operator ticks them in the admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The venue."""
        parser.add_argument("venue", help="binance, kraken, coinbase, simulated or any ccxt exchange id")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """List, then report."""
        try:
            found = sync_instruments(options["venue"])
        except CandorError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(found.as_json()))
            return
        self.stdout.write(
            f"{found.venue.key}: {found.listed} instruments listed, {found.added} new, {found.changed} changed, "
            f"{found.gone} not listed any more, {found.followed} followed"
        )
