"""Order book and trades at the moment of decision: the second part of the vector, unknown where the venue gives none.

Sizes enter as shares of each other, distances in spreads, ticks or basis points. What a book or a trade says is known
at its own time stamp; a row reads what was stamped at or before its close.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from markets.values import Books, FloatArray, IntArray, Perpetuals, TradeFlow
from models_ml.features.rolling import ratio
from models_ml.features.window import BASIS_POINTS

MINUTE = 60
FRESH_S = 120.0
"""A book older than this says nothing about now."""

SIGHT = 300
"""Seconds of trades before a moment that its columns read, every one of them on record."""
DECAYS = (1, 5, 15, 60)
LEVELS = (5, 10, 20)
LARGE = 0.9
"""Quantile of the largest trades of a second from which one is large."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known of I instruments at one moment."""

    at: int
    times: FloatArray  # (I, S) epoch seconds of the books known, NaN elsewhere
    prices: FloatArray  # (I, S, 2, 20)
    sizes: FloatArray  # (I, S, 2, 20), 0 where a level is absent
    tick: FloatArray  # (I,)

    @property
    def best(self) -> tuple[FloatArray, FloatArray]:
        """Best bid and ask of the last book (I,)."""
        return self.prices[:, -1, 0, 0], self.prices[:, -1, 1, 0]

    @property
    def spread(self) -> FloatArray:
        """Ask − bid of the last book."""
        bid, ask = self.best
        return ask - bid

    @property
    def mid(self) -> FloatArray:
        """Middle of the last book."""
        bid, ask = self.best
        return (bid + ask) / 2

    def depth(self, levels: int) -> tuple[FloatArray, FloatArray]:
        """Sizes of the first levels of the last book: bid, ask."""
        whole = self.sizes[:, -1, :, :levels].sum(axis=-1)
        return whole[:, 0], whole[:, 1]


@dataclass(frozen=True, slots=True)
class Tape:
    """Trades per second of N rows, the last second before the decision at the end."""

    buy: FloatArray  # (N, SIGHT)
    sell: FloatArray
    count: FloatArray
    largest: FloatArray


BookFormula = Callable[[Moment], FloatArray]
TapeFormula = Callable[[Tape], FloatArray]


def imbalance(levels: int) -> BookFormula:
    """(bid − ask size) / both over the first levels; one level is the queue imbalance (Gould, Bonart 2016)."""

    def of(now: Moment) -> FloatArray:
        bid, ask = now.depth(levels)
        return (bid - ask) / (bid + ask)

    return of


def pressure(now: Moment) -> FloatArray:
    """Imbalance of all levels, each weighted by 1 / (1 + its distance from the mid in spreads)."""
    way = np.abs(now.prices[:, -1] - now.mid[:, None, None]) / now.spread[:, None, None]
    weighed = np.nansum(now.sizes[:, -1] / (1 + way), axis=-1)
    bid: FloatArray = weighed[:, 0]
    ask: FloatArray = weighed[:, 1]
    return (bid - ask) / (bid + ask)


def microprice_gap(levels: int) -> BookFormula:
    """(micro-price − mid) / spread (Stoikov 2018): each side's price weighted by the other side's size."""

    def of(now: Moment) -> FloatArray:
        prices, sizes = now.prices[:, -1, :, :levels], now.sizes[:, -1, :, :levels]
        mean = np.nansum(prices * sizes, axis=-1) / sizes.sum(axis=-1)
        bid, ask = now.depth(levels)
        level: FloatArray = (mean[:, 0] * ask + mean[:, 1] * bid) / (bid + ask)
        return (level - now.mid) / now.spread

    return of


def spread_ratio(now: Moment) -> FloatArray:
    """ln(spread / median spread of the books in sight)."""
    spreads = now.prices[:, :, 1, 0] - now.prices[:, :, 0, 0]
    spreads = np.where(np.isnan(now.times), np.nan, spreads)
    return np.log(now.spread / _median(spreads))


def _median(values: FloatArray) -> FloatArray:
    known = np.isfinite(values).any(axis=1)
    out: FloatArray = np.full(len(values), np.nan)
    out[known] = np.nanmedian(values[known], axis=1)
    return out


def depth_ratio(now: Moment) -> FloatArray:
    """ln(size of ten levels / its median over the books in sight)."""
    whole = np.where(np.isnan(now.times), np.nan, now.sizes[..., :10].sum(axis=(2, 3)))
    return np.log(whole[:, -1] / _median(whole))


def largest_order(now: Moment) -> FloatArray:
    """Largest level's share of the bids − that of the asks."""
    share = now.sizes[:, -1].max(axis=-1) / now.sizes[:, -1].sum(axis=-1)
    apart: FloatArray = share[:, 0] - share[:, 1]
    return apart


def order_flow(levels: int) -> BookFormula:
    """Order-flow imbalance of the last minute's books (Cont, Kukanov, Stoikov 2014) / mean size of the levels.

    A side's flow is what was added at a price at least as good, less what stood there at a price no better.
    """

    def of(now: Moment) -> FloatArray:
        late = now.times > now.at - MINUTE
        price, size = now.prices[..., :levels], now.sizes[..., :levels]
        before, after = price[:, :-1], price[:, 1:]
        sign = np.array([1.0, -1.0])[:, None]  # a higher bid and a lower ask are better
        better, worse = sign * (after - before) >= 0, sign * (after - before) <= 0
        flow = size[:, 1:] * better - size[:, :-1] * worse
        steps = (flow[:, :, 0] - flow[:, :, 1]).sum(axis=-1)
        both = late[:, 1:] & np.isfinite(now.times[:, :-1])
        mean = np.where(late[..., None, None], size, 0).sum(axis=(1, 2, 3)) / np.maximum(late.sum(axis=1), 1) / 2
        return np.where(both.any(axis=1), np.where(both, steps, 0).sum(axis=1) / mean, np.nan)

    return of


def decayed_flow(seconds: int) -> TapeFormula:
    """(bought − sold) / both, a second's weight falling by e every `seconds`."""

    def of(tape: Tape) -> FloatArray:
        weight = np.exp(-np.arange(tape.buy.shape[1])[::-1] / seconds)
        return ratio(((tape.buy - tape.sell) * weight).sum(axis=1), ((tape.buy + tape.sell) * weight).sum(axis=1))

    return of


def delta(tape: Tape) -> FloatArray:
    """Cumulative delta: (bought − sold) / both over all seconds in sight."""
    return ratio((tape.buy - tape.sell).sum(axis=1), (tape.buy + tape.sell).sum(axis=1))


def trade_rate(tape: Tape) -> FloatArray:
    """Trades of the last minute / those of a minute in sight, ln(1 + ratio): ln 2 is usual."""
    return np.log1p(ratio(tape.count[:, -MINUTE:].mean(axis=1), tape.count.mean(axis=1)))


def trade_size(tape: Tape) -> FloatArray:
    """Mean trade of the last minute / mean trade in sight, ln(1 + ratio): ln 2 is usual."""
    volume = tape.buy + tape.sell
    late = ratio(volume[:, -MINUTE:].sum(axis=1), tape.count[:, -MINUTE:].sum(axis=1))
    return np.log1p(ratio(late, ratio(volume.sum(axis=1), tape.count.sum(axis=1))))


def trade_size_spread(tape: Tape) -> FloatArray:
    """Standard deviation / mean of the mean trade per second: the width of the distribution of sizes."""
    traded = tape.count > 0
    each = np.where(traded, (tape.buy + tape.sell) / np.maximum(tape.count, 1), 0)
    number = traded.sum(axis=1)
    mean = each.sum(axis=1) / np.maximum(number, 1)
    variance = (np.where(traded, each - mean[:, None], 0) ** 2).sum(axis=1) / np.maximum(number, 1)
    return ratio(np.sqrt(variance), mean)


def largest_trade(tape: Tape) -> FloatArray:
    """Largest trade of the last minute / the minute's volume."""
    volume = (tape.buy + tape.sell)[:, -MINUTE:].sum(axis=1)
    return ratio(tape.largest[:, -MINUTE:].max(axis=1), volume)


def large_trades(tape: Tape) -> FloatArray:
    """Share of the last minute's seconds with a trade above the 90 % quantile of the largest ones in sight."""
    bound = np.quantile(tape.largest, LARGE, axis=1)
    late: FloatArray = (tape.largest[:, -MINUTE:] > bound[:, None]).mean(axis=1)
    return late


def large_delta(tape: Tape) -> FloatArray:
    """(bought − sold) / both over the seconds with a large trade, 0 without one."""
    large = tape.largest > np.quantile(tape.largest, LARGE, axis=1)[:, None]
    return ratio(((tape.buy - tape.sell) * large).sum(axis=1), ((tape.buy + tape.sell) * large).sum(axis=1))


BOOK_FEATURES: dict[str, tuple[str, str, BookFormula]] = {
    "book_spread": ("bp", "(ask − bid) / mid", lambda now: now.spread / now.mid * BASIS_POINTS),
    "book_spread_ticks": ("ticks", "(ask − bid) / tick size", lambda now: now.spread / now.tick),
    "book_spread_ratio": ("ln", "ln(spread / median spread in sight)", spread_ratio),
    "book_queue_imbalance": ("−1..1", "Gould, Bonart: (bid − ask size) / both, level 1", imbalance(1)),
    **{
        f"book_depth_imbalance_{levels}": ("−1..1", f"(bid − ask size) / both, {levels} levels", imbalance(levels))
        for levels in LEVELS
    },
    "book_pressure": ("−1..1", "imbalance of all levels, weights 1 / (1 + distance)", pressure),
    "book_microprice_gap": ("spreads", "Stoikov: (micro-price − mid) / spread, level 1", microprice_gap(1)),
    "book_microprice_gap_5": ("spreads", "the same over 5 levels", microprice_gap(5)),
    "book_depth_ratio": ("ln", "ln(size of 10 levels / its median in sight)", depth_ratio),
    "book_largest_order": ("−1..1", "largest bid / bids − largest ask / asks", largest_order),
    "book_order_flow_1": ("mean sizes", "Cont, Kukanov, Stoikov: OFI of a minute, level 1", order_flow(1)),
    "book_order_flow_5": ("mean sizes", "the same, level by level over 5", order_flow(5)),
    "book_age": ("s", "decision − stamp of the last book", lambda now: now.at - now.times[:, -1]),
}
"""Column → unit, source, formula."""

TAPE_FEATURES: dict[str, tuple[str, str, TapeFormula]] = {
    **{
        f"flow_{seconds}": ("−1..1", f"(bought − sold) / both, decayed over {seconds} s", decayed_flow(seconds))
        for seconds in DECAYS
    },
    "flow_delta": ("−1..1", "cumulative delta / volume in sight", delta),
    "flow_trade_rate": ("ln", "ln(1 + trades of a minute / usual)", trade_rate),
    "flow_trade_size": ("ln", "ln(1 + mean trade of a minute / usual)", trade_size),
    "flow_trade_size_spread": ("ratio", "std / mean of the mean trade per second", trade_size_spread),
    "flow_largest_trade": ("0..1", "largest trade / volume of the minute", largest_trade),
    "flow_large_trades": ("0..1", "seconds of the minute with a large trade", large_trades),
    "flow_large_delta": ("−1..1", "(bought − sold) / both where trades were large", large_delta),
}

SIGNED = (*(f"flow_{seconds}" for seconds in DECAYS), "flow_delta", "flow_large_delta")
"""Those of them that say who was in a hurry: they change their sign when buyers and sellers change places."""

PERPETUAL_FEATURES = {
    "funding_rate": ("bp", "funding per interval"),
    "open_interest_change": ("ln", "ln(open interest / that of an hour before)"),
}
HOUR = 3600

MICRO_COLUMNS: tuple[str, ...] = (*BOOK_FEATURES, *TAPE_FEATURES, *PERPETUAL_FEATURES)
MICRO_VERSION = 1
MICRO_HASH: str = hashlib.sha256("\n".join((str(MICRO_VERSION), *MICRO_COLUMNS)).encode()).hexdigest()
"""Names and order of these columns, for whoever learns from them."""


def described() -> dict[str, tuple[str, str]]:
    """Column → unit and source."""
    formulas = {name: entry[:2] for name, entry in (*BOOK_FEATURES.items(), *TAPE_FEATURES.items())}
    return formulas | PERPETUAL_FEATURES


def build_micro(
    instruments: int,
    at: IntArray,
    books: Books | None,
    flow: TradeFlow | None,
    *,
    ticks: FloatArray | None = None,
    perpetuals: Perpetuals | None = None,
) -> FloatArray:
    """The columns of `MICRO_COLUMNS` (I, R, M) at R moments of decision (epoch seconds); NaN where unknown.

    Args:
        instruments: I.
        at: (R,) closes of the rows.
        books: snapshots of the same instruments; those stamped after a moment are not read for it.
        flow: per-second trades; a second counts once it is over.
        ticks: (I,) tick sizes, for spreads in ticks.
        perpetuals: funding and open interest known at the first moment.
    """
    out: FloatArray = np.full((instruments, len(at), len(MICRO_COLUMNS)), np.nan)
    tick = np.full(instruments, np.nan) if ticks is None else ticks
    with np.errstate(divide="ignore", invalid="ignore"):
        for row, moment in enumerate(at.tolist()):
            parts = [*_book_values(moment, books, tick), *_tape_values(moment, flow), *_funded(moment, perpetuals)]
            for place, values in parts:
                out[:, row, place] = values
    out[~np.isfinite(out)] = np.nan
    return out


Placed = list[tuple[int, FloatArray]]


def _book_values(at: int, books: Books | None, tick: FloatArray) -> Placed:
    if books is None:
        return []
    known = np.isfinite(books.times) & (books.times <= at) & (books.times > at - HOUR)
    order = np.argsort(np.where(known, books.times, -np.inf), axis=1, kind="stable")
    known = np.take_along_axis(known, order, 1)
    times = np.where(known, np.take_along_axis(books.times, order, 1), np.nan)
    each = np.arange(len(order))[:, None], order
    prices = np.where(known[..., None, None], books.prices(each), np.nan)
    sizes = np.nan_to_num(np.where(known[..., None, None], books.sizes[each], 0)).astype(np.float64)
    now = Moment(at, times, prices, sizes, tick)
    fresh = times[:, -1] > at - FRESH_S
    return [(n, np.where(fresh, of(now), np.nan)) for n, (_, _, of) in enumerate(BOOK_FEATURES.values())]


def _tape_values(at: int, flow: TradeFlow | None) -> Placed:
    if flow is None:
        return []
    instruments = np.arange(len(flow.buy))
    tape, known = tape_of(flow, instruments, np.full(len(instruments), at, dtype=np.int64))
    first = len(BOOK_FEATURES)
    return [(first + n, np.where(known, of(tape), np.nan)) for n, (_, _, of) in enumerate(TAPE_FEATURES.values())]


def tape_of(flow: TradeFlow, instruments: IntArray, at: IntArray) -> tuple[Tape, NDArray[np.bool_]]:
    """The trades before the moment `at` (N,) of each row's instrument (N,), and whether they are known.

    They are where every second of them was recorded: what is usual cannot be told from less.
    """
    places = (at - flow.times[0])[:, None] + np.arange(-SIGHT, 0)
    inside = (places >= 0) & (places < len(flow.times))
    places = np.clip(places, 0, len(flow.times) - 1)
    parts = [part[instruments[:, None], places] for part in (flow.buy, flow.sell, flow.count, flow.largest)]
    known = (inside & np.isfinite(parts[0])).all(axis=1)
    return Tape(*(np.nan_to_num(part.astype(np.float64)) for part in parts)), known


def signed_flow(flow: TradeFlow | None, instruments: IntArray, at: IntArray) -> NDArray[np.float32]:
    """The columns of `SIGNED` (N, 6) of each row's instrument at its moment (N,), 0 where the minute is unknown."""
    out = np.zeros((len(at), len(SIGNED)), dtype=np.float32)
    if flow is not None and len(at):
        tape, known = tape_of(flow, instruments, at)
        with np.errstate(divide="ignore", invalid="ignore"):  # where nobody traded, nobody was in a hurry
            values = np.stack([TAPE_FEATURES[name][2](tape) for name in SIGNED], axis=1)
        out[known] = np.nan_to_num(values[known])
    return out


def _funded(at: int, perpetuals: Perpetuals | None) -> Placed:
    if perpetuals is None:
        return []
    now = _stamped(perpetuals, at)
    change = np.log(now / _stamped(perpetuals, at - HOUR))
    first = len(BOOK_FEATURES) + len(TAPE_FEATURES)
    return [(first, perpetuals.funding * BASIS_POINTS), (first + 1, change)]


def _stamped(perpetuals: Perpetuals, at: int) -> FloatArray:
    """The newest open interest (I,) stamped at or before `at`."""
    known = np.isfinite(perpetuals.times) & (perpetuals.times <= at)
    last = known.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    return np.where(known.any(axis=1), perpetuals.open_interest[np.arange(len(last)), last], np.nan)
