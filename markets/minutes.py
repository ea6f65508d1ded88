"""What a feed holds in memory: each series' forming candle, and the closed minutes that wait to be stored together."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from lib.clock import MINUTE_S
from markets.books import FlowMinute, PackedBooks, PackedFlow, pack_books
from markets.models import Instrument
from markets.validation import CandleRows
from markets.values import BookTop, FloatArray, Ohlcv, PriceTick, Trade


@dataclass(slots=True)
class Series:
    """One followed instrument as the feed sees it. `heard_at` is monotonic; the other times are epoch seconds."""

    instrument_id: int
    symbol: str
    tick_size: float
    calendar: str
    last_open: int = 0  # newest closed candle that was handed on
    last: Ohlcv | None = None
    forming: Ohlcv | None = None
    heard_at: float | None = None
    heard_stamp: float | None = None
    missed: int = 0  # due minutes in a row that the stream did not bring
    resets: int = 0

    @classmethod
    def of(cls, instrument: Instrument) -> "Series":
        """The series of an instrument row."""
        return cls(instrument.pk, instrument.raw_symbol, instrument.tick_size, instrument.calendar)

    def tick(self, event: PriceTick | Trade) -> Ohlcv:
        """Let a price into the forming candle; it is for the page only."""
        size = event.size if isinstance(event, Trade) else 0.0
        minute = int(event.at // MINUTE_S) * MINUTE_S
        now = self.forming
        if now is None or now.open_time < minute:
            price = event.price
            now = Ohlcv(self.symbol, minute, price, price, price, price, 0.0, closed=False)
        if now.open_time == minute:
            high, low = max(now.high, event.price), min(now.low, event.price)
            now = replace(now, high=high, low=low, close=event.price, volume=now.volume + size)
        self.forming = now
        return now


@dataclass(frozen=True, slots=True)
class Arrival:
    """A closed candle on its way into the store."""

    instrument_id: int
    candle: Ohlcv
    observed_at: float  # market clock, epoch seconds
    received: float  # wall clock, epoch seconds
    flags: int = 0


@dataclass(slots=True)
class Batch:
    """What is stored in one transaction."""

    arrivals: list[Arrival] = field(default_factory=list)
    books: dict[int, dict[int, PackedBooks]] = field(default_factory=dict)  # minute → instrument id → books
    flows: dict[int, dict[int, PackedFlow]] = field(default_factory=dict)

    def rows(self) -> tuple[CandleRows, FloatArray]:
        """The candles as columns, and when each was observed (N,)."""
        plain = CandleRows.of((a.instrument_id, a.candle) for a in self.arrivals)
        flags = np.fromiter((a.flags for a in self.arrivals), np.int64, len(self.arrivals))
        seen = np.fromiter((a.observed_at for a in self.arrivals), np.float64, len(self.arrivals))
        return replace(plain, flags=flags), seen

    def closes(self) -> dict[int, list[int]]:
        """Close time → instruments whose candle is in the batch."""
        found: dict[int, list[int]] = {}
        for arrival in self.arrivals:
            found.setdefault(arrival.candle.open_time + MINUTE_S, []).append(arrival.instrument_id)
        return found


class Collector:
    """Gathers closing candles, books and trades until a minute is ready.

    A minute is ready when every expected instrument gave its candle, or `grace_s` after its first one: 0.25 s joins
    what belongs together and still leaves most of a second for the decision.
    """

    def __init__(self, *, grace_s: float = 0.25, book_every_s: float = 5.0) -> None:
        self.grace_s = grace_s
        self._book_every_s = book_every_s
        self._waiting: dict[int, list[Arrival]] = {}  # open time → arrivals
        self._since: dict[int, float] = {}  # open time → monotonic time of the first
        self._books: dict[int, dict[int, list[BookTop]]] = {}
        self._ticks: dict[int, float] = {}
        self._flows: dict[int, dict[int, FlowMinute]] = {}

    def add(self, arrival: Arrival, monotonic: float) -> bool:
        """A candle closed; whether it is the first of its minute, whose grace then begins."""
        minute = arrival.candle.open_time
        self._waiting.setdefault(minute, []).append(arrival)
        return self._since.setdefault(minute, monotonic) == monotonic

    def add_book(self, series: Series, top: BookTop) -> None:
        """Keep one snapshot per `book_every_s`, the first."""
        minute = int(top.at // MINUTE_S) * MINUTE_S
        tops = self._books.setdefault(minute, {}).setdefault(series.instrument_id, [])
        if not tops or top.at // self._book_every_s > tops[-1].at // self._book_every_s:
            tops.append(top)
        self._ticks[series.instrument_id] = series.tick_size

    def add_trade(self, series: Series, trade: Trade) -> None:
        """Fold a trade into its second."""
        minute = int(trade.at // MINUTE_S) * MINUTE_S
        flows = self._flows.setdefault(minute, {})
        flows.setdefault(series.instrument_id, FlowMinute(minute)).add(trade)

    def complete(self, open_time: int, expected: Iterable[int]) -> bool:
        """Whether all `expected` instruments gave their candle of this minute."""
        there = {arrival.instrument_id for arrival in self._waiting.get(open_time, ())}
        return bool(there) and there.issuperset(expected)

    def take_ready(self, monotonic: float, expected: Callable[[int], Iterable[int]] | None = None) -> Batch | None:
        """Everything that is ready, in one batch; None when nothing is.

        Args:
            monotonic: now.
            expected: tells the instruments due at an open time; None takes all that waits, ready or not.
        """
        ready = [
            minute
            for minute, since in self._since.items()
            if expected is None or monotonic - since >= self.grace_s or self.complete(minute, expected(minute))
        ]
        if not ready:
            return None
        batch = Batch([arrival for minute in sorted(ready) for arrival in self._waiting.pop(minute)])
        for minute in ready:
            del self._since[minute]
        self._move_books(batch, max(ready))
        return batch

    def _move_books(self, batch: Batch, until: int) -> None:
        """Books and trades of all minutes up to `until` go with the batch."""
        for minute in [m for m in self._books if m <= until]:
            packed = {key: pack_books(minute, tops, self._ticks[key]) for key, tops in self._books.pop(minute).items()}
            batch.books[minute] = {key: books for key, books in packed.items() if books is not None}
        for minute in [m for m in self._flows if m <= until]:
            batch.flows[minute] = {key: flow.packed() for key, flow in self._flows.pop(minute).items()}
