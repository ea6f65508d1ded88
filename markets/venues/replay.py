"""Recorded candles, told again minute by minute.

A recording is a parquet file with the columns `ts open high low close volume`, `ts` being the candle's OPEN time, named
`{venue}_{symbol}[_{tag}].parquet`. Several files share one time axis: the last part of the span they have in common is
streamed, everything before it is history. The feed paces the minutes and moves the market clock; this module only knows
what comes next, and never shows a candle that has not been reached.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib.clock import MINUTE_S
from markets.timeframes import aggregate
from markets.values import FloatArray, IntArray, Ohlcv
from markets.venues.base import (
    Capability,
    Events,
    InstrumentSpec,
    Pages,
    UnknownSymbolError,
    Venue,
    VenueError,
    VenueFacts,
    check_window,
)

COLUMNS = ("open", "high", "low", "close", "volume")
LIVE_S = 6 * 3600
"""How much of a recording is streamed by default; the rest is history."""
PAGE = 5000

FIAT: tuple[str, ...] = ("AUD", "CAD", "CHF", "CNH", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF")
FIAT += ("JPY", "MXN", "NOK", "NZD", "PLN", "SEK", "SGD", "TRY", "USD", "ZAR")
METALS = frozenset({"XAU", "XAG", "XPT", "XPD"})
INDICES = frozenset({"SPX", "NSX", "NDX", "DJI", "GRX", "UKX", "JPX", "FRX", "ETX", "AUX", "HKX"})
QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "BNB", *FIAT)
"""Quote units a run-together symbol may end with; the first that fits wins, so the longer ones come first."""

FACTS = VenueFacts(
    title="Recording",
    capabilities=frozenset({Capability.HISTORY, Capability.STREAM_CANDLES}),
    terms_url="",
    licence="that of whoever recorded the file",
    redistribution="no: the data belongs to the venue it was recorded from",
    limits="none",
    market_classes=("crypto", "forex", "metal", "index", "synthetic"),
    clock="recording",
)


class RecordingError(VenueError):
    """A file or a set of files that cannot be replayed; the message names the file and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


@dataclass(frozen=True, slots=True)
class Recording:
    """The candles of one file: open times (T,) ascending on the minute grid, ohlcv (T, 5)."""

    venue: str
    spec: InstrumentSpec
    open_times: IntArray
    ohlcv: FloatArray

    def between(self, start: int, end: int) -> tuple[IntArray, FloatArray]:
        """The candles with `start <= open_time < end`."""
        first, last = np.searchsorted(self.open_times, [start, end])
        return self.open_times[first:last], self.ohlcv[first:last]


@dataclass(frozen=True, slots=True)
class LiveSpan:
    """The streamed part: open times in [start, end), epoch seconds."""

    start: int
    end: int

    @property
    def minutes(self) -> int:
        """How many minutes will be told."""
        return (self.end - self.start) // MINUTE_S


def split_name(path: Path) -> tuple[str, str]:
    """Venue and run-together symbol of a recording's file name; the symbol is the first part in capitals."""
    parts = path.stem.split("_")
    for at, part in enumerate(parts):
        if at and re.fullmatch(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)?", part):
            return "_".join(parts[:at]), part
    raise RecordingError(
        f"{path.name}: no symbol in the file name, call it {{venue}}_{{SYMBOL}}[_{{tag}}].parquet, "
        "for example binance_BTCUSDT.parquet"
    )


def spec_of(name: str) -> InstrumentSpec:
    """The instrument a run-together symbol means: BTCUSDT → BTC/USDT, EURUSD → EUR/USD on the fx calendar.

    A perpetual (`BTC-PERP`) keeps its name and is quoted in USD; a name without a known quote (`ES`, `BOOM500`) stays
    as it is, without one. The tick size is unknown: 0.0.
    """
    if name.endswith("-PERP"):
        return InstrumentSpec(name, name.removesuffix("-PERP"), "USD", "crypto", 0.0)
    flat = name.replace("-", "")
    quote = next((unit for unit in QUOTES if flat.endswith(unit) and len(flat) - len(unit) >= 2), "")
    base = flat[: len(flat) - len(quote)] if quote else name
    symbol = f"{base}/{quote}" if quote else name
    market_class = _market_class(base, quote)
    calendar = "fx" if market_class in {"forex", "metal", "index"} else "always"
    return InstrumentSpec(symbol, base, quote, market_class, 0.0, calendar)


def _market_class(base: str, quote: str) -> str:
    if base in FIAT and quote in FIAT:
        return "forex"
    if base in METALS:
        return "metal"
    if base in INDICES or not quote:
        return "synthetic" if re.search(r"\d{2}", base) else "index"
    return "crypto"


def read_recording(path: Path) -> Recording:
    """The candles of one file; raises `RecordingError` naming the file for anything that is not 1-minute candles."""
    import pyarrow
    import pyarrow.parquet

    venue, name = split_name(path)
    if not path.is_file():
        raise RecordingError(f"{path}: no such file, check the path of the recording")
    try:
        table = pyarrow.parquet.read_table(path, columns=["ts", *COLUMNS])
        times = np.asarray(table["ts"].cast(pyarrow.timestamp("s"), safe=False)).astype(np.int64)
        ohlcv = np.column_stack([np.asarray(table[column], np.float64) for column in COLUMNS])
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise RecordingError(f"{path.name}: needs parquet columns ts {' '.join(COLUMNS)} ({reason})") from error
    _check_minutes(path, times, ohlcv)
    return Recording(venue, spec_of(name), times, ohlcv)


def _check_minutes(path: Path, times: IntArray, ohlcv: FloatArray) -> None:
    if len(times) < 2:
        raise RecordingError(f"{path.name}: holds {len(times)} candles, a replay needs at least 2")
    steps = np.diff(times)
    shortest, off_grid, bad = int(steps.min()), times % MINUTE_S != 0, ~np.isfinite(ohlcv).all(axis=1)
    if shortest <= 0:
        raise RecordingError(f"{path.name}: ts does not ascend at row {int(steps.argmin()) + 1}, sort the file")
    if off_grid.any():
        raise RecordingError(f"{path.name}: ts is off the minute grid at row {int(off_grid.argmax())}")
    if shortest != MINUTE_S:
        raise RecordingError(f"{path.name}: {shortest // MINUTE_S}-minute candles, a replay needs 1-minute ones")
    if bad.any():
        raise RecordingError(f"{path.name}: a value is missing or not a number at row {int(bad.argmax())}")


class ReplayVenue(Venue):
    """Recordings as a venue.

    Options: `paths`, the files; `live_s`, seconds of the common span to stream (default 6 hours). Each run is opened
    under its own key, so that rows of two runs never mix.
    """

    def __init__(self, key: str = "replay", *, paths: Iterable[str | Path] = (), live_s: int = LIVE_S) -> None:
        self.key = key
        self._recordings = _load([Path(path) for path in paths])
        self.span = _live_span(list(self._recordings.values()), live_s)
        self._reached = self.span.start
        sources = ", ".join(sorted({recording.venue for recording in self._recordings.values()}))
        self.facts = replace(FACTS, title=f"Recording ({sources})")

    @classmethod
    def facts_for(cls, key: str) -> VenueFacts:
        """The same for every run; an open venue's title adds where its files were recorded."""
        return FACTS

    @property
    def reached(self) -> int:
        """Open time of the next minute `minutes` will tell; nothing from there on is visible."""
        return self._reached

    def resume(self, at: int) -> None:
        """Go on at `at` (epoch seconds): minutes before it were told by a feed that is gone."""
        self._reached = max(self._reached, at)

    async def instruments(self) -> list[InstrumentSpec]:
        """One per file."""
        return [recording.spec for recording in self._recordings.values()]

    def history_start(self) -> int:
        """Open time of the first candle of any file."""
        return min(int(recording.open_times[0]) for recording in self._recordings.values())

    async def history(self, symbol: str, start: int, end: int, timeframe: str = "1m") -> Pages:
        """Candles of the part already told; the rest does not exist yet."""
        step = check_window(start, end, timeframe)
        recording = self._recording(symbol)
        stop = min(-(-end // step) * step, self._reached // step * step)
        times, rows = aggregate(*recording.between(-(-start // step) * step, stop), step // MINUTE_S)
        for page in range(0, len(times), PAGE):
            cut = slice(page, page + PAGE)
            yield [_to_ohlcv(symbol, at, row) for at, row in zip(times[cut].tolist(), rows[cut].tolist(), strict=True)]

    def minutes(self, symbols: Sequence[str] | None = None) -> Iterator[tuple[int, list[Ohlcv]]]:
        """Every minute of the live span from where the last call stopped: its open time and its candles.

        A minute without any candle comes with an empty list, so that a gap is seen as one. The candles of a minute
        count as told once it was yielded.
        """
        chosen = [self._recording(symbol) for symbol in symbols or self._recordings]
        for open_time in range(self._reached, self.span.end, MINUTE_S):
            self._reached = open_time + MINUTE_S
            yield open_time, [candle for recording in chosen for candle in _at(recording, open_time)]

    async def stream(self, symbols: Sequence[str]) -> Events:
        """The candles of `minutes`, as fast as they are taken; ends with the recording."""
        for _, candles in self.minutes(symbols):
            for candle in candles:
                yield candle

    async def close(self) -> None:
        """Nothing to let go of."""

    def _recording(self, symbol: str) -> Recording:
        try:
            return self._recordings[symbol]
        except KeyError:
            raise UnknownSymbolError(symbol, self.key) from None


def _load(paths: list[Path]) -> dict[str, Recording]:
    if not paths:
        raise RecordingError('no recording given: name parquet files, for example REPLAY="binance_BTCUSDT.parquet"')
    found: dict[str, Recording] = {}
    for path in paths:
        recording = read_recording(path)
        if recording.spec.symbol in found:
            raise RecordingError(f"{path.name}: a second file of {recording.spec.symbol}, give one per symbol")
        found[recording.spec.symbol] = recording
    return found


def _live_span(recordings: list[Recording], live_s: int) -> LiveSpan:
    if live_s < MINUTE_S:
        raise RecordingError(f"a live part of {live_s} s holds no candle: give at least {MINUTE_S}")
    start = max(int(recording.open_times[0]) for recording in recordings)
    end = min(int(recording.open_times[-1]) for recording in recordings) + MINUTE_S
    if end <= start:
        raise RecordingError("the recordings have no minute in common: choose files of the same days")
    return LiveSpan(max(start, end - live_s // MINUTE_S * MINUTE_S), end)


def _at(recording: Recording, open_time: int) -> Iterator[Ohlcv]:
    times, rows = recording.between(open_time, open_time + MINUTE_S)
    for row in rows.tolist():
        yield _to_ohlcv(recording.spec.symbol, int(times[0]), row)


def _to_ohlcv(symbol: str, open_time: int, row: list[float]) -> Ohlcv:
    opened, high, low, close, volume = row
    return Ohlcv(symbol, open_time, opened, high, low, close, volume)
