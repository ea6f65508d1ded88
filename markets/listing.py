"""A venue's market list in the database: rows are added and brought up to date, never removed."""

import asyncio
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from markets.models import Instrument, Venue
from markets.opening import venue_row
from markets.venues import InstrumentSpec, facts_of, open_venue

FACTS = ("symbol", "base", "quote", "market_class", "tick_size", "calendar")


@dataclass(frozen=True, slots=True)
class Listed:
    """What a look at the venue's list changed."""

    venue: Venue
    listed: int
    added: int
    changed: int
    gone: int
    followed: int

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        numbers = {name: getattr(self, name) for name in ("listed", "added", "changed", "gone", "followed")}
        return {"venue": self.venue.key, **numbers}


def sync_instruments(key: str, **options: object) -> Listed:
    """List the whole market of `key` (a venue key or ccxt exchange id); new instruments are not followed.

    Raises:
        VenueError: the venue is unknown or does not answer.
    """
    specs = asyncio.run(_ask(key, options))
    facts = facts_of(key)
    with transaction.atomic():
        return _write(venue_row(key, key, facts, title=facts.title), specs)


async def _ask(key: str, options: dict[str, object]) -> list[InstrumentSpec]:
    async with open_venue(key, **options) as venue:
        return await venue.instruments()


def _write(venue: Venue, specs: list[InstrumentSpec]) -> Listed:
    known = {row.raw_symbol: row for row in Instrument.objects.filter(venue=venue)}
    rows = [Instrument(venue=venue, raw_symbol=spec.symbol, **_facts(spec)) for spec in specs]
    new = [row for row in rows if row.raw_symbol not in known]
    changed = [row for row in rows if row.raw_symbol in known and _differs(row, known[row.raw_symbol])]
    Instrument.objects.bulk_create(new)
    for row in changed:
        Instrument.objects.filter(pk=known[row.raw_symbol].pk).update(**{name: getattr(row, name) for name in FACTS})
    gone = known.keys() - {spec.symbol for spec in specs}
    followed = Instrument.objects.filter(venue=venue, followed=True).count()
    return Listed(venue, len(specs), len(new), len(changed), len(gone), followed)


def _facts(spec: InstrumentSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in FACTS}


def _differs(one: Instrument, other: Instrument) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in FACTS)
