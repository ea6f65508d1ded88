"""`manage.py download_candles`: history from a venue."""

import json
import signal
import threading
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from lib import clock
from lib.errors import CandorError
from markets.downloading import Downloaded, download
from markets.listing import sync_instruments
from markets.models import Instrument, Venue
from markets.progress import bars


class Command(BaseCommand):
    """Asks only for what the store lacks: run it again after an interruption and it goes on where it ended."""

    help = "Download 1-minute candles of a venue's instruments."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, from where, from when to when."""
        parser.add_argument(
            "--venue", required=True, help="binance, kraken, coinbase, simulated or any ccxt exchange id"
        )
        parser.add_argument("--symbol", required=True, action="append", help="BASE/QUOTE; may be given several times")
        parser.add_argument("--timeframe", default="1m", help="only 1m is stored; the rest grows from it")
        parser.add_argument("--from", dest="start", required=True, type=_instant, metavar="DATE", help="UTC")
        parser.add_argument("--to", dest="end", type=_instant, metavar="DATE", help="UTC, not included; default now")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Download, then report."""
        if options["timeframe"] != "1m":
            raise CommandError(f"--timeframe {options['timeframe']}: only 1m is stored; higher ones grow from it")
        stopping = threading.Event()
        before = signal.signal(signal.SIGINT, lambda *_: stopping.set())
        try:
            found = self._download(options, stopping)
        except CandorError as error:
            raise CommandError(str(error)) from error
        finally:
            signal.signal(signal.SIGINT, before)
        self._report(found, as_json=options["json"])
        if any(one.error for one in found) or stopping.is_set():
            raise CommandError("not all was downloaded: run the command again to go on", returncode=2)

    def _download(self, options: dict[str, Any], stopping: threading.Event) -> list[Downloaded]:
        venue, instruments = _instruments(options["venue"], options["symbol"])
        end = options["end"] or clock.wall_now()
        with bars() as advance:
            return download(
                venue,
                instruments,
                clock.epoch(options["start"]),
                clock.epoch(end),
                on_progress=lambda instrument, done, total: advance(instrument.symbol, done, total),
                stopping=stopping,
            )

    def _report(self, found: list[Downloaded], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"instruments": [one.as_json() for one in found]}))
            return
        for one in found:
            self.stdout.write(
                f"{one.symbol}: {one.stored} stored, {one.duplicates} duplicates, {one.corrected} corrected, "
                f"{sum(one.refused.values())} refused, {one.gaps} gaps ({one.missing} minutes)"
                + (f": {one.error}" if one.error else "")
            )


def _instant(text: str) -> datetime:
    """A date or time in UTC; anything else is argparse's error."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _instruments(key: str, symbols: list[str]) -> tuple[Venue, list[Instrument]]:
    """The rows of what is asked for; a venue that was never listed is listed first."""
    found = list(Instrument.objects.filter(venue__key=key, raw_symbol__in=symbols).select_related("venue"))
    if len(found) < len(set(symbols)):
        venue = sync_instruments(key).venue
        found = list(Instrument.objects.filter(venue=venue, raw_symbol__in=symbols).select_related("venue"))
    missing = sorted(set(symbols) - {one.raw_symbol for one in found})
    if missing:
        raise CommandError(f"{key} lists no {', '.join(missing)}: see `manage.py sync_instruments {key}`")
    return found[0].venue, found
