"""`manage.py status`: is it healthy, and what was said in the last hour of the market clock."""

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from signals.sizing_words import sentence_of
from signals.status import status

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(word: str) -> timedelta:
    """A duration such as 90s, 15m, 6h or 2d."""
    found = re.fullmatch(r"(\d+)([smhd])", word)
    if found is None:
        raise ArgumentTypeError(f"{word!r} is no duration: use a number and s, m, h or d, for example 6h")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


class Command(BaseCommand):
    """Print the state of market, feeds, rounds, votes, signals, outcomes, models and queues."""

    help = "Show what the platform did over the last hour of its market clock."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How far back, and in which form."""
        parser.add_argument("--since", type=duration, default=timedelta(hours=1), help="for example 15m, 6h, 2d")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Print it."""
        facts = status(options["since"])
        if options["as_json"]:
            self.stdout.write(json.dumps(facts))
            return
        market = facts["market"]
        self.stdout.write(
            f"market   {market['title']} ({market['kind']}, {market['state']})" if market else "no market yet"
        )
        for name in ("rounds", "outcomes"):
            self.stdout.write(f"{name:8} " + "  ".join(f"{key} {n}" for key, n in facts[name].items()))
        for seat, row in facts["votes"].items():
            silent = "  ".join(f"{reason} {n}" for reason, n in row["abstained"].items())
            self.stdout.write(f"  {seat:14} votes {row['votes']}  {silent}")
        for name, sizing in facts["sizing"].items():
            self.stdout.write(f"sizing   {name}: {sentence_of(sizing)}")
        for name, feed in facts["feeds"].items():
            self.stdout.write(f"feed     {name} {feed['state']} since {feed['since']}")
