"""When a streamed candle is closed: the venue's flag, else the next open seen, else confirmed by REST.

Pure: no clock of its own, no I/O.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lib.clock import MINUTE_S
from markets.values import Ohlcv

GRACE_S = 1.5
"""How long after its close a candle may stay unannounced before REST is asked: long enough for a quiet venue's last
update, short enough for a decision within 3 s of the close."""
ASK_EVERY_S = 2.0
ASK_AT_MOST = 3


@dataclass(slots=True)
class _Series:
    forming: Ohlcv | None = None
    closed: int = -1  # open time of the latest closed candle
    asked: int = -1  # open time REST was asked for
    tries: int = 0
    next_ask: float = 0.0


class ClosingRule:
    """Decides per series; `flagged` venues announce the close themselves, so nothing else is taken for one."""

    def __init__(self, symbols: Iterable[str], *, flagged: bool, started: float, grace_s: float = GRACE_S) -> None:
        self._series = {symbol: _Series() for symbol in symbols}
        self._flagged = flagged
        self._grace_s = grace_s
        # The minute the stream starts in is the first it can be held to; earlier ones are history's.
        self._first = int(started) // MINUTE_S * MINUTE_S

    def take(self, candle: Ohlcv) -> list[Ohlcv]:
        """What an update means: the candle itself, and before it the one it shows to be over."""
        series = self._series.setdefault(candle.symbol, _Series())
        if self._flagged:
            if candle.closed:
                series.closed = max(series.closed, candle.open_time)
            return [candle]
        return self._by_next_open(series, candle)

    def _by_next_open(self, series: _Series, candle: Ohlcv) -> list[Ohlcv]:
        out = []
        newest = series.forming.open_time if series.forming else series.closed
        if candle.open_time < newest or candle.open_time <= series.closed:
            return [replace(candle, closed=True)]
        if series.forming and candle.open_time > series.forming.open_time > series.closed:
            out.append(replace(series.forming, closed=True))
            series.closed = series.forming.open_time
        series.forming = replace(candle, closed=False)
        return [*out, series.forming]

    def overdue(self, now: float) -> list[tuple[str, int]]:
        """Symbols and open times whose close is past by the grace without having been announced; ask REST for them."""
        last = int(now - self._grace_s) // MINUTE_S * MINUTE_S - MINUTE_S
        if last < self._first:
            return []
        return [(symbol, last) for symbol, series in self._series.items() if self._ask(series, last, now)]

    def _ask(self, series: _Series, open_time: int, now: float) -> bool:
        if series.closed >= open_time:
            return False
        if series.asked != open_time:
            series.asked, series.tries, series.next_ask = open_time, 0, now
        if series.tries >= ASK_AT_MOST or now < series.next_ask:
            return False
        series.tries += 1
        series.next_ask = now + ASK_EVERY_S
        return True

    def confirmed(self, candle: Ohlcv) -> Ohlcv:
        """Note a candle that REST showed closed."""
        series = self._series.setdefault(candle.symbol, _Series())
        series.closed = max(series.closed, candle.open_time)
        return replace(candle, closed=True)


def closed_only(candles: list[Ohlcv], step: int, now: float, grace_s: float = GRACE_S) -> list[Ohlcv]:
    """The candles of a REST page that are over: a later one follows, or their close is past by the grace.

    Venues serve the forming candle as the last one; taking it for closed would put the future into a feature.
    """
    if candles and candles[-1].open_time + step + grace_s > now:
        return candles[:-1]
    return candles
