"""`manage.py replay`: the pipeline over recorded candles, and what came of it."""

import json
from argparse import ArgumentParser
from datetime import datetime
from glob import glob
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from lib.errors import CandorError
from models_ml.profiles import PROFILES, profile_of
from signals.replay import Window, replay


class Command(BaseCommand):
    """Decide every recorded minute as if it were now; a run of its own that pages never show."""

    help = "Run features, votes, consensus, risk, rounds and outcomes over recorded candles at full speed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which recordings, which part."""
        parser.add_argument("--candles", required=True, nargs="+", help="parquet files or patterns")
        parser.add_argument("--from", dest="start", default="", help="ISO time; the last 6 hours by default")
        parser.add_argument("--to", dest="end", default="", help="ISO time; the end of the recordings by default")
        parser.add_argument("--profile", default="quick", choices=sorted(PROFILES))
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Replay and report."""
        paths = [Path(name) for pattern in options["candles"] for name in sorted(glob(pattern))]
        if not paths:
            raise CommandError(f"--candles {' '.join(options['candles'])}: no such file; give parquet files")
        window = Window(_time("--from", options["start"]), _time("--to", options["end"]))
        say = (lambda line: None) if options["as_json"] else self.stdout.write
        try:
            report = replay(paths, window, profile=profile_of(options["profile"]), say=say)
        except CandorError as error:
            raise CommandError(str(error)) from error
        if options["as_json"]:
            self.stdout.write(json.dumps(report))
        else:
            self._print(report)

    def _print(self, report: dict[str, Any]) -> None:
        for name in ("rounds", "outcomes"):
            self.stdout.write(f"{name:9}" + "  ".join(f"{key} {n}" for key, n in report[name].items()))
        for seat, row in report["votes"].items():
            silent = "  ".join(f"{reason} {n}" for reason, n in row["abstained"].items())
            self.stdout.write(f"  {seat:14} votes {row['votes']}  {silent}")
        hit, line = report["hit_rate"], "hit rate: no signal was judged"
        if hit:
            line = (
                f"hit rate {hit['rate']:.1%} of {hit['n']} signals, 95 % interval {hit['low']:.1%} to {hit['high']:.1%}"
            )
        self.stdout.write(f"{line}; ties count as not won")
        self.stdout.write(
            f"{report['minutes']} minutes in {report['seconds']:.1f} s, {report['rounds_per_second']} rounds a second"
        )


def _time(name: str, word: str) -> datetime | None:
    if not word:
        return None
    found = parse_datetime(word)
    if found is None or found.tzinfo is None:
        raise CommandError(f"{name} {word!r} is no time with a zone: use 2025-05-20T12:00:00Z")
    return found
