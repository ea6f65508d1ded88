"""Open the market that the operator asked for: venue, instruments and run, ready for a feed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from lib import clock
from lib.errors import CandorError
from markets.models import Instrument, Run, Venue
from markets.runs import start_run
from markets.venues import facts_of, open_venue
from markets.venues.base import InstrumentSpec, VenueFacts

log = structlog.get_logger(__name__)

AUTO = ("binance", "kraken", "coinbase")
"""Live venues in the order they are tried; public candles only, no account."""

ANSWER_S = 3.0
FIRST_FOLLOWED = ("BTC", "ETH", "SOL", "XRP", "BNB", "ADA", "DOGE", "LTC", "LINK", "AVAX")
QUOTES = ("USDT", "USD", "USDC")
FOLLOWED = 8
"""What is followed until an operator ticks otherwise."""

Say = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """A run and how to reach its venue: `open_venue(adapter, **options)` on the loop that will use it."""

    run: Run
    adapter: str
    options: dict[str, object] = field(default_factory=dict)


def open_market(choice: str, *, replay: Sequence[Path] = (), live_s: int, speed: float, say: Say) -> Opened:
    """Open the recordings given, else the chosen venue; `auto` takes the first live one that answers in time.

    Raises:
        CandorError: a recording that cannot be read, or a named venue that does not answer.
    """
    if replay:
        return open_recordings(replay, live_s=live_s, speed=speed)
    if choice != "auto":
        return _open(choice, asyncio.run(_instruments(choice)))
    for key in AUTO:
        try:
            specs = asyncio.run(asyncio.wait_for(_instruments(key), ANSWER_S))
        except (CandorError, TimeoutError, OSError) as error:
            say(f"{key} does not answer ({type(error).__name__}); trying the next")
            continue
        return _open(key, specs)
    say("no live venue answers: using the simulated market, and every page says so")
    return _open("simulated", asyncio.run(_instruments("simulated")))


def open_recordings(paths: Sequence[Path], *, live_s: int, speed: float, background: bool = False) -> Opened:
    """Open recordings as a run of their own; a background run is never shown on pages.

    Raises:
        CandorError: a file that cannot be read, or files without a minute in common.
    """
    options: dict[str, object] = {"paths": [str(path) for path in paths], "live_s": live_s}
    specs = asyncio.run(_instruments("replay", **options))
    started = clock.wall_now()
    names = ", ".join(path.stem for path in paths)
    venue = venue_row(f"replay-{started:%Y%m%d-%H%M%S-%f}", "replay", facts_of("replay"), title=names[:120])
    _list(venue, specs, follow={spec.symbol for spec in specs})
    return Opened(start_run(venue, speed=speed, background=background), "replay", options)


def _open(key: str, specs: list[InstrumentSpec]) -> Opened:
    facts = facts_of(key)
    venue = venue_row(key, key, facts, title=facts.title)
    known = Instrument.objects.filter(venue=venue, followed=True).exists()
    _list(venue, specs, follow=set() if known else _first_followed(specs, real=facts.real))
    return Opened(start_run(venue), key)


async def _instruments(key: str, **options: object) -> list[InstrumentSpec]:
    async with open_venue(key, **options) as venue:
        return await venue.instruments()


def venue_row(key: str, adapter: str, facts: VenueFacts, *, title: str) -> Venue:
    """The venue's row with the facts its adapter states, made or brought up to date."""
    kind = Venue.Kind.LIVE if facts.real else Venue.Kind.SIMULATED
    venue, _ = Venue.objects.update_or_create(
        key=key,
        defaults={
            "adapter": adapter,
            "title": title,
            "kind": Venue.Kind.REPLAY if facts.clock == "recording" else kind,
            "capabilities": sorted(facts.capabilities),
            "terms_url": facts.terms_url,
            "licence": facts.licence,
            "redistribution": facts.redistribution,
            "limits": facts.limits,
        },
    )
    return venue


def _list(venue: Venue, specs: list[InstrumentSpec], *, follow: set[str]) -> None:
    """List what the venue trades; what an operator ticked before stays ticked."""
    Instrument.objects.bulk_create(
        [
            Instrument(
                venue=venue,
                raw_symbol=spec.symbol,
                symbol=spec.symbol,
                base=spec.base,
                quote=spec.quote,
                market_class=spec.market_class,
                tick_size=spec.tick_size,
                calendar=spec.calendar,
                followed=spec.symbol in follow,
            )
            for spec in specs
        ],
        ignore_conflicts=True,
    )
    if follow:
        Instrument.objects.filter(venue=venue, raw_symbol__in=follow).update(followed=True)


def _first_followed(specs: list[InstrumentSpec], *, real: bool) -> set[str]:
    if not real:
        return {spec.symbol for spec in specs[:FOLLOWED]}
    listed = {spec.symbol for spec in specs}
    wanted = [next((s for q in QUOTES if (s := f"{base}/{q}") in listed), "") for base in FIRST_FOLLOWED]
    return set([symbol for symbol in wanted if symbol][:FOLLOWED])
