"""`manage.py features`: one row of the feature vector, with where each value comes from."""

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from lib.clock import epoch, floor_minute, market_now
from markets.candles import load_panel
from markets.derivatives import load_perpetuals
from markets.models import Instrument
from markets.schedule import due_closes
from models_ml.features import FEATURE_GROUPS, LOOKBACK, build, dollar_sides
from models_ml.features.cross_asset import CROSS_FEATURES, CROSS_LOOKBACK, build_cross
from models_ml.features.microstructure import SIGHT, build_micro, described
from models_ml.features.words import WORD_FEATURES
from models_ml.news import news_of

BOOKS = 60
"""Snapshots that the microstructure columns are shown over."""

Line = dict[str, str | int | float | None]


class Command(BaseCommand):
    """Print what the voters are shown of one instrument at one minute."""

    help = "Print one row of features with units, sources and look-backs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which instrument, when."""
        parser.add_argument("--instrument", required=True, help="symbol, with @venue where several list it")
        parser.add_argument("--at", default="", help="ISO time with a zone; the market's now by default")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: object, **options: Any) -> None:  # as argparse read them
        """Print it."""
        lines = row_of(_instrument(options["instrument"]), _moment(options["at"]))
        if options["as_json"]:
            self.stdout.write(json.dumps(lines))
            return
        for line in lines:
            value = "unknown" if line["value"] is None else f"{line['value']:.6g}"
            self.stdout.write(f"{line['group']:16} {line['name']:28} {value:>12} {line['unit']:14} {line['source']}")


def row_of(instrument: Instrument, at: datetime) -> list[Line]:
    """Every column at the close `at`: group, name, value (None where unknown), unit, source, look-back in candles."""
    close = epoch(floor_minute(at))
    panel = load_panel([instrument.pk], close, LOOKBACK, calendar=instrument.calendar, snapshots=BOOKS, flow_s=SIGHT)
    values = iter(build(panel.open_times, panel.ohlcv, 1)[0, 0].tolist())
    lines = [
        _line(group, feature.name, next(values), feature.unit, feature.source, feature.lookback)
        for group, features in FEATURE_GROUPS.items()
        for feature in features
    ]
    lines += [
        _line("cross_asset", name, value, unit, source, CROSS_LOOKBACK)
        for (name, (unit, source, _)), value in zip(CROSS_FEATURES.items(), _across(instrument, close), strict=True)
    ]
    ticks = np.array([instrument.tick_size])
    perpetuals = load_perpetuals(panel.instrument_ids, close)
    micro = build_micro(1, np.array([close]), panel.books, panel.flow, ticks=ticks, perpetuals=perpetuals)[0, 0]
    words = news_of([instrument], close).columns()[0].tolist()
    further = {"microstructure": (micro.tolist(), described()), "words": (words, WORD_FEATURES)}
    return lines + [
        _line(group, name, value, unit, source, 0)
        for group, (row, columns) in further.items()
        for value, (name, (unit, source)) in zip(row, columns.items(), strict=True)
    ]


def _across(instrument: Instrument, close: int) -> list[float]:
    """What the others did, of those that were decided together with the instrument at `close`."""
    shard = Instrument.objects.filter(
        venue=instrument.venue_id, market_class=instrument.market_class, calendar=instrument.calendar
    )
    symbols = dict(shard.order_by("pk").values_list("pk", "symbol"))
    due = due_closes(symbols, close, close)
    ids = [key for key in symbols if key == instrument.pk or len(due[key])]
    panel = load_panel(ids, close, CROSS_LOOKBACK, calendar=instrument.calendar)
    row: list[float] = build_cross(panel.ohlcv, 1, dollar=dollar_sides([symbols[key] for key in ids]))[
        ids.index(instrument.pk), 0
    ].tolist()
    return row


def _line(group: str, name: str, value: float, unit: str, source: str, lookback: int) -> Line:
    known = None if np.isnan(value) else value
    return {"group": group, "name": name, "value": known, "unit": unit, "source": source, "lookback": lookback}


def _instrument(word: str) -> Instrument:
    symbol, _, venue = word.partition("@")
    found = Instrument.objects.filter(symbol=symbol).select_related("venue")
    found = found.filter(venue__key=venue) if venue else found
    if len(found) != 1:
        listed = ", ".join(str(one) for one in found) or "none"
        raise CommandError(f"--instrument {word}: name exactly one, with @venue where it needs one (found: {listed})")
    return found[0]


def _moment(word: str) -> datetime:
    if not word:
        return market_now()
    at = parse_datetime(word)
    if at is None or at.tzinfo is None:
        raise CommandError(f"--at {word}: give an ISO time with a zone, such as 2026-03-02T09:30Z")
    return at
