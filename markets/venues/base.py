"""What every venue adapter is, says about itself, and raises."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

from lib.errors import CandorError
from markets.timeframes import minutes_of
from markets.values import Ohlcv, VenueEvent

Pages = AsyncGenerator[list[Ohlcv], None]
"""History by pages."""
Events = AsyncGenerator[VenueEvent, None]
"""What a stream brings."""


class Capability(StrEnum):
    """What a venue can deliver; whoever needs one asks `facts.capabilities` first."""

    HISTORY = "history"
    STREAM_CANDLES = "stream_candles"
    STREAM_BOOK = "stream_book"
    STREAM_TRADES = "stream_trades"
    FUNDING = "funding"
    OPEN_INTEREST = "open_interest"


@dataclass(frozen=True, slots=True)
class VenueFacts:
    """What a venue offers and on which terms; shown to operators.

    `clock` is "wall" where candles close in real time, "recording" where the market clock follows a recording.
    `real` is False where no venue ever traded these prices; every page then says so.
    """

    title: str
    capabilities: frozenset[Capability]
    terms_url: str
    licence: str
    redistribution: str
    limits: str
    market_classes: tuple[str, ...]
    clock: Literal["wall", "recording"] = "wall"
    real: bool = True


@dataclass(frozen=True, slots=True)
class InstrumentSpec:
    """One tradable thing as its venue lists it.

    `market_class` is crypto, forex, metal, index, binary or synthetic; `tick_size` is in quote units, 0.0 where the
    venue does not say; `calendar` names when minutes are due: "always", or "fx" for the New York trading week.
    """

    symbol: str
    base: str
    quote: str
    market_class: str
    tick_size: float
    calendar: str = "always"


@dataclass(frozen=True, slots=True)
class FundingRate:
    """A perpetual's funding: `rate` per interval as a fraction; times are epoch seconds, None where not told."""

    symbol: str
    at: float
    rate: float
    next_at: float | None


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """Outstanding contracts of a perpetual in base units and in quote value, None where the venue omits one."""

    symbol: str
    at: float
    amount: float | None
    value: float | None


class VenueError(CandorError):
    """A venue failed or refused.

    Args:
        message: what failed and the remedy.
        permanent: True when trying again cannot help (unknown symbol), False for outages and limits.
        retry_after: seconds to wait before the next request when the venue said so.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message, permanent=permanent)
        self.retry_after = retry_after


class UnknownVenueError(VenueError):
    """A key that neither `VENUES` nor ccxt knows."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class UnknownSymbolError(VenueError):
    """A symbol this venue does not list."""

    def __init__(self, symbol: str, venue: str) -> None:
        super().__init__(f"{venue} lists no {symbol!r}: choose one from its instruments()", permanent=True)
        self.symbol = symbol


class Venue(ABC):
    """A source of candles.

    The adapter speaks in values and raises `VenueError`; reconnecting, back-off and watchdogs are the feed's. One
    instance belongs to one event loop. `key` names the venue in the database; `facts` may differ per instance.
    """

    key: str
    facts: VenueFacts

    @abstractmethod
    def __init__(self, key: str, **options: object) -> None:
        """Take the key it was opened under and its own keyword options."""

    @classmethod
    @abstractmethod
    def facts_for(cls, key: str) -> VenueFacts:
        """The facts of `key`, without opening anything."""

    @abstractmethod
    async def instruments(self) -> list[InstrumentSpec]:
        """The venue's whole market list."""

    @abstractmethod
    def history(self, symbol: str, start: int, end: int, timeframe: str = "1m") -> Pages:
        """Closed candles with `start <= open_time < end` (epoch seconds), in ascending pages; a gap is absent.

        Raises:
            UnknownSymbolError: the venue does not list `symbol`.
            VenueError: the venue failed; `retry_after` when it named a time.
        """

    @abstractmethod
    def stream(self, symbols: Sequence[str]) -> Events:
        """Events of `symbols` as they arrive, merged; raises `VenueError` when the connection is lost.

        Wrap it in `contextlib.aclosing`, so that leaving it early closes its sockets at once.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of sockets and tasks; calling it twice is fine."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def check_window(start: int, end: int, timeframe: str) -> int:
    """Seconds of one candle of `timeframe`; refuses a window that ends before it starts."""
    if end < start:
        raise VenueError(f"history window ends at {end} before it starts at {start}: swap them", permanent=True)
    return minutes_of(timeframe) * 60
