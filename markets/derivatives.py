"""Funding and open interest of what is followed, asked of venues that have them and kept once per instant.

A spot instrument is given the figures of its perpetual (`BTC/USDT` those of `BTC/USDT:USDT`) where the venue lists
one; a followed perpetual has its own. Funding is the rate per interval as a fraction, open interest is in base units.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import structlog
from django.db import connection
from prometheus_client import Counter

from lib.clock import from_epoch
from markets.models import DerivativeStat, Instrument, Venue
from markets.values import IntArray, Perpetuals
from markets.venues import Capability, VenueError, open_venue
from markets.venues import Venue as Adapter
from markets.venues.base import FundingRate, OpenInterest

log = structlog.get_logger(__name__)

STORED = Counter("candor_derivatives_stored_total", "Funding rates and open interests that were written", ["kind"])
FAILED = Counter("candor_derivatives_failed_total", "Polls of funding or open interest that failed", ["venue"])

KINDS = (Capability.FUNDING, Capability.OPEN_INTEREST)
OPTIONS: dict[str, dict[str, object]] = {"binance": {"market_types": ("linear",)}}
"""Adapters that list perpetuals only when told to."""
POLL_S = 120.0
"""What one poll may take as a whole; what it had read by then is kept."""

BACK_S = 24 * 3600
"""A figure stamped longer before a moment says nothing about it: funding is settled every eight hours at most."""

_INSERT = """
INSERT INTO markets_derivativestat (instrument_id, kind, at, value)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::float8[]) ON CONFLICT DO NOTHING RETURNING kind
"""


@dataclass(frozen=True, slots=True)
class Stat:
    """One figure of one instrument; `at` is the venue's stamp in epoch seconds."""

    instrument_id: int
    kind: Capability
    at: float
    value: float


@runtime_checkable
class HasPerpetuals(Protocol):
    """What an adapter with these capabilities adds to `Venue`."""

    async def funding(self, symbols: Sequence[str]) -> list[FundingRate]:
        """Current funding of perpetuals."""

    async def open_interest(self, symbols: Sequence[str]) -> list[OpenInterest]:
        """Current open interest of perpetuals."""


def poll(venue: Venue, *, options: Mapping[str, object] | None = None, limit_s: float = POLL_S) -> int:
    """Ask for the figures of the venue's followed instruments and store the new ones; returns how many were stored.

    What the venue refuses or fails to tell is logged and counted; the next poll asks again.
    """
    wanted = perpetuals(Instrument.objects.filter(venue=venue, followed=True))
    if not wanted:
        return 0
    told = OPTIONS.get(venue.adapter, {}) | dict(options or {})
    return store(asyncio.run(_read(venue.adapter, wanted, told, limit_s)))


def perpetuals(instruments: Iterable[Instrument]) -> dict[str, list[int]]:
    """Unified symbol of a perpetual → instruments its figures belong to; a dated future has no funding."""
    found: dict[str, list[int]] = {}
    for instrument in instruments:
        pair, _, settled = instrument.raw_symbol.partition(":")
        if "-" not in settled:
            found.setdefault(f"{pair}:{settled or instrument.quote}", []).append(instrument.pk)
    return found


def store(stats: Sequence[Stat]) -> int:
    """Write what is not there yet, by instrument, kind and instant; returns how many rows that were."""
    if not stats:
        return 0
    rows = [(stat.instrument_id, stat.kind.value, from_epoch(stat.at), stat.value) for stat in stats]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])
        written = [kind for (kind,) in cursor.fetchall()]
    for kind in written:
        STORED.labels(kind).inc()
    return len(written)


def load_perpetuals(instrument_ids: IntArray, until: int) -> Perpetuals | None:
    """What was stamped in the `BACK_S` before `until` (epoch s); None where nothing was."""
    rows = DerivativeStat.objects.filter(
        instrument_id__in=instrument_ids.tolist(), at__gt=from_epoch(until - BACK_S), at__lte=from_epoch(until)
    ).order_by("at")
    found: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for key, kind, at, value in rows.values_list("instrument_id", "kind", "at", "value"):
        found[kind, key].append((at.timestamp(), value))
    if not found:
        return None
    interests = [found[Capability.OPEN_INTEREST.value, key] for key in instrument_ids.tolist()]
    times, values = np.full((2, len(interests), max(map(len, interests)) or 1), np.nan)
    for row, stamps in enumerate(interests):
        if stamps:
            times[row, -len(stamps) :], values[row, -len(stamps) :] = np.transpose(stamps)
    rates = [found[Capability.FUNDING.value, key] for key in instrument_ids.tolist()]
    return Perpetuals(times, values, np.array([stamps[-1][1] if stamps else np.nan for stamps in rates]))


async def _read(key: str, wanted: dict[str, list[int]], options: dict[str, object], limit_s: float) -> list[Stat]:
    found: list[Stat] = []
    try:
        async with asyncio.timeout(limit_s), open_venue(key, **options) as adapter:
            await _collect(adapter, wanted, found)
    except VenueError as error:
        _failed(key, str(error))
    except TimeoutError:
        _failed(key, f"not done within {limit_s:g} s")
    return found


async def _collect(adapter: Adapter, wanted: dict[str, list[int]], found: list[Stat]) -> None:
    """Append to `found`, so that a poll cut short keeps what it had. The opened adapter's facts say what to ask."""
    kinds = [kind for kind in KINDS if kind in adapter.facts.capabilities]
    if not kinds or not isinstance(adapter, HasPerpetuals):
        return
    listed = {spec.symbol for spec in await adapter.instruments()}
    for symbol in sorted(wanted.keys() & listed):
        for kind in kinds:
            try:
                at, value = await _ask(adapter, kind, symbol)
            except VenueError as error:
                _failed(adapter.key, str(error), symbol=symbol, kind=kind.value)
            else:
                found.extend(Stat(instrument_id, kind, at, value) for instrument_id in wanted[symbol])


async def _ask(adapter: HasPerpetuals, kind: Capability, symbol: str) -> tuple[float, float]:
    """Instant and value of one figure."""
    if kind is Capability.FUNDING:
        (rate,) = await adapter.funding([symbol])
        return rate.at, rate.rate
    (interest,) = await adapter.open_interest([symbol])
    if interest.amount is None:  # rows of one kind have one unit
        raise VenueError(f"open interest of {symbol} comes in quote value only: not stored", permanent=True)
    return interest.at, interest.amount


def _failed(venue: str, reason: str, **what: str) -> None:
    FAILED.labels(venue).inc()
    log.warning("derivatives_failed", venue=venue, reason=reason[:300], **what)
