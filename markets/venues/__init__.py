"""Where candles come from: one entry per venue, loaded only when somebody opens it.

`VENUES` is the whole list. A key that is not in it is taken as a ccxt exchange id (`bybit`, `okx`, …) and refused with
a clear error when ccxt does not know it either. How to add one: docs/adding_a_venue.md.
"""

from importlib import import_module

from markets.venues.base import (
    Capability,
    InstrumentSpec,
    UnknownSymbolError,
    UnknownVenueError,
    Venue,
    VenueError,
    VenueFacts,
)

VENUES: dict[str, str] = {
    "binance": "markets.venues.ccxt_venue.client.CcxtVenue",
    "kraken": "markets.venues.ccxt_venue.client.CcxtVenue",
    "coinbase": "markets.venues.ccxt_venue.client.CcxtVenue",
    "simulated": "markets.venues.simulated.SimulatedVenue",
    "replay": "markets.venues.replay.ReplayVenue",
}
"""Venue key → dotted path of its `Venue` subclass."""

CCXT_PATH = "markets.venues.ccxt_venue.client.CcxtVenue"

__all__ = [
    "VENUES",
    "Capability",
    "InstrumentSpec",
    "UnknownSymbolError",
    "UnknownVenueError",
    "Venue",
    "VenueError",
    "VenueFacts",
    "facts_of",
    "open_venue",
    "venue_class",
]


def venue_class(key: str) -> type[Venue]:
    """The class behind `key`; importing it loads no exchange library."""
    path, _, name = VENUES.get(key, CCXT_PATH).rpartition(".")
    found: type[Venue] = getattr(import_module(path), name)
    return found


def open_venue(key: str, **options: object) -> Venue:
    """A venue ready to use.

    Args:
        key: one of `VENUES`, or any ccxt exchange id.
        options: the venue's own, passed through (`paths=` for replay, `seed=` for simulated, `base_url=` for ccxt).

    Raises:
        UnknownVenueError: neither we nor ccxt know the key.
        VenueError: an option is not usable.
    """
    make = venue_class(key)
    return make(key, **options)


def facts_of(key: str) -> VenueFacts:
    """What `key` offers and on which terms, without opening it and without loading an exchange library."""
    return venue_class(key).facts_for(key)
