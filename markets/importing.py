"""Candle files into the store: each file in one transaction, with an account of every row."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from django.db import transaction

from lib.clock import MINUTE_S
from markets.candles import Source, StoreReport, find_gaps, store_closed
from markets.files import CandleFile, CandleFileError, check_minutes, read_candles
from markets.models import Instrument, Venue
from markets.opening import venue_row
from markets.validation import CandleRows
from markets.venues import VENUES, InstrumentSpec, facts_of
from markets.venues.replay import RecordingError, spec_of, split_name

CHUNK = 50_000
"""Rows a step of the progress bar."""
BINANCE_NAME = re.compile(r"^([A-Z0-9]+)-\d+[mhd]-")
HISTDATA_NAME = re.compile(r"^DAT_[A-Z]+_([A-Z0-9]+)_M1")
FREQTRADE_NAME = re.compile(r"^([A-Z0-9]+)_([A-Z0-9]+)(_[A-Z0-9]+)?-\d+[mhd]")
HOUSE = "imported"
"""Venue of files whose name and options name none."""

OnProgress = Callable[[Path, int, int], None]
"""Told (file, rows done, rows in all)."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file; stored, duplicates, corrected and refused add up to its rows."""

    file: str
    instrument: str
    rows: int
    stored: int
    duplicates: int
    corrected: int
    refused: dict[str, int] = field(default_factory=dict)
    gaps: int = 0  # holes between the file's first and last candle
    missing: int = 0  # minutes in them

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def import_file(
    path: Path,
    *,
    venue: str | None = None,
    symbol: str | None = None,
    timeframe: str | None = None,
    zone: str | None = None,
    on_progress: OnProgress | None = None,
) -> Imported:
    """Store the candles of one file; either all of it is written or nothing.

    Args:
        path: see `markets.files` for the shapes.
        venue: key of the venue the candles belong to; default what the file's name says, else "imported".
        symbol: `BTC/USDT`; default what the file's name says.
        timeframe: only 1m can be stored.
        zone: time zone of stamps that name none.
        on_progress: told after every chunk.

    Raises:
        CandleFileError: a wrong file, or one that names no instrument.
    """
    found = read_candles(path, zone=zone)
    check_minutes(path, found, timeframe)
    key, spec = _meaning(path, venue, symbol)
    with transaction.atomic():
        instrument = _instrument(path, key, spec)
        report = _store(path, instrument, found, on_progress)
        if report.stored + report.duplicates + report.corrected == 0:
            raise CandleFileError(f"{path.name}: not one sound candle ({_words(report.refused)}), nothing was stored")
        times = found.open_times
        gaps = find_gaps(instrument.pk, int(times.min()), int(times.max()) + MINUTE_S, calendar=instrument.calendar)
    return Imported(
        str(path),
        str(instrument),
        len(times),
        report.stored,
        report.duplicates,
        report.corrected,
        report.refused,
        len(gaps),
        sum(b - a for a, b in gaps) // MINUTE_S,
    )


def _words(refused: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in refused.items())


def _store(path: Path, instrument: Instrument, found: CandleFile, on_progress: OnProgress | None) -> StoreReport:
    order = np.argsort(found.open_times, kind="stable")
    report = StoreReport()
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
        report += store_closed(
            CandleRows.series(instrument.pk, found.open_times[rows], found.ohlcv[rows]), source=Source.IMPORT
        )
        if on_progress is not None:
            on_progress(path, start + len(rows), len(order))
    return report


def _meaning(path: Path, venue: str | None, symbol: str | None) -> tuple[str, InstrumentSpec]:
    """Venue key and instrument, from the options or else from the file's name."""
    named_venue, name = _named(path)
    if symbol is None and name is None:
        raise CandleFileError(f"{path.name}: its name tells no instrument, give --symbol BASE/QUOTE")
    if symbol is None:
        return venue or named_venue, spec_of(str(name))
    base, slash, quote = symbol.partition("/")
    spec = spec_of(f"{base}{quote}") if slash else spec_of(symbol)
    if slash and (spec.base, spec.quote) != (base, quote):  # a quote that spec_of does not know
        spec = InstrumentSpec(symbol, base, quote, "crypto", 0.0)
    return venue or named_venue, spec


def _named(path: Path) -> tuple[str, str | None]:
    stem = path.name.partition(".")[0]
    for pattern, venue in ((BINANCE_NAME, "binance"), (HISTDATA_NAME, "histdata"), (FREQTRADE_NAME, HOUSE)):
        match = pattern.match(stem)
        if match:
            return venue, "".join(match.groups()[:2] if pattern is FREQTRADE_NAME else match.groups())
    try:
        return split_name(path)
    except RecordingError:
        return HOUSE, None


def _instrument(path: Path, key: str, spec: InstrumentSpec) -> Instrument:
    """The instrument's row, made where it is missing; recorded candles never join a simulated or replayed market."""
    venue = Venue.objects.filter(key=key).first() or _new_venue(key)
    if venue.kind == Venue.Kind.SIMULATED or venue.key.startswith("replay-"):
        raise CandleFileError(f"{path.name}: recorded candles cannot join {venue.key}, give another --venue")
    return Instrument.objects.get_or_create(
        venue=venue,
        raw_symbol=spec.symbol,
        defaults={
            "symbol": spec.symbol,
            "base": spec.base,
            "quote": spec.quote,
            "market_class": spec.market_class,
            "tick_size": spec.tick_size,
            "calendar": spec.calendar,
        },
    )[0]


def _new_venue(key: str) -> Venue:
    """A known venue under its own facts, else a house of recordings."""
    if key not in VENUES or key == "replay":
        return Venue.objects.create(key=key, adapter="replay", title=f"Files of {key}", kind=Venue.Kind.REPLAY)
    facts = facts_of(key)
    return venue_row(key, key, facts, title=facts.title)
