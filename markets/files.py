"""Candle files in the shapes people have them: read whole into columns, or refused with one clear sentence.

* parquet and feather with the columns `ts` (or `date`, `time`, …) `open high low close volume`, such as ours and
  freqtrade's (https://www.freqtrade.io/en/stable/data-download/);
* CSV with a header naming such columns, in any order and case, separated by `,` `;` or tabs;
* Binance's public dumps, with or without header, in milliseconds or microseconds
  (https://github.com/binance/binance-public-data);
* HistData's M1 bars, `20180102 170000;open;high;low;close;volume` (https://www.histdata.com/f-a-q/data-files-detailed-specification/);
* freqtrade's JSON, a list of `[ms, open, high, low, close, volume]`.

A CSV may be packed by gzip or zip.
"""

import gzip
import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
from numpy.typing import NDArray

from lib.clock import MINUTE_S
from lib.errors import CandorError
from markets.values import FloatArray, IntArray

MOST_BYTES = 2 << 30
"""A file is read whole; a larger one should be split by year."""
TIME_NAMES = ("ts", "open_time", "timestamp", "datetime", "date", "time", "unix", "open time")
VALUE_NAMES = ("open", "high", "low", "close", "volume")
HISTDATA_ROW = re.compile(rb"^\d{8} \d{6};")


class CandleFileError(CandorError):
    """A file that holds no 1-minute candles we can read; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class CandleFile:
    """The candles of one file in its own order: open times (N,) epoch seconds, ohlcv (N, 5)."""

    open_times: IntArray
    ohlcv: FloatArray

    def step(self) -> int:
        """The usual distance of two candles, seconds; 0 where there are fewer than two."""
        steps = np.diff(np.unique(self.open_times))
        return int(np.median(steps)) if len(steps) else 0


def read_candles(path: Path, *, zone: str | None = None) -> CandleFile:
    """Read a file of any known shape.

    Args:
        path: the file.
        zone: time zone of stamps that name none; default UTC, for HistData the New York time its files really hold.

    Raises:
        CandleFileError: not there, too large, not of a known shape, or without a row.
    """
    if not path.is_file():
        raise CandleFileError(f"{path}: no such file")
    if path.stat().st_size > MOST_BYTES:
        raise CandleFileError(f"{path.name}: larger than {MOST_BYTES >> 30} GiB, split it")
    try:
        found = _read(path, zone)
    except CandleFileError:
        raise
    except (ValueError, KeyError, TypeError, OSError, OverflowError, EOFError, zipfile.BadZipFile) as error:
        # pyarrow's and orjson's errors are ValueErrors; what they say about bytes is cut to one line
        reason = " ".join(str(error).split())[:160]
        raise CandleFileError(f"{path.name}: is not a candle file we know ({reason}); see docs/data.md") from error
    if not len(found.open_times):
        raise CandleFileError(f"{path.name}: holds no candle")
    return found


def check_minutes(path: Path, found: CandleFile, timeframe: str | None) -> None:
    """Refuse files of other timeframes: the store keeps minutes and grows the rest from them."""
    if timeframe not in (None, "1m"):
        raise CandleFileError(
            f"{path.name}: {timeframe} candles cannot be stored, bring 1m ones: the rest grows from them"
        )
    step = found.step()
    if step and step != MINUTE_S:
        text = f"{step // MINUTE_S}-minute" if step % MINUTE_S == 0 else f"{step}-second"
        raise CandleFileError(f"{path.name}: holds {text} candles, bring 1-minute ones: the rest grows from them")


def _read(path: Path, zone: str | None) -> CandleFile:
    kind = path.suffix.lower()
    if kind == ".parquet":
        import pyarrow.parquet

        return _from_table(path, pyarrow.parquet.read_table(path), zone)
    if kind == ".feather":
        import pyarrow.feather

        return _from_table(path, pyarrow.feather.read_table(path), zone)
    if kind == ".json":
        return _from_json(path)
    return _from_csv(path, _bytes(path), zone)


def _from_json(path: Path) -> CandleFile:
    rows = orjson.loads(path.read_bytes())
    if not isinstance(rows, list) or any(not isinstance(row, list) or len(row) < 6 for row in rows):
        raise CandleFileError(f"{path.name}: wants a list of [time, open, high, low, close, volume]")
    values = np.array([row[:6] for row in rows], np.float64).reshape(-1, 6)
    return CandleFile(_seconds(values[:, 0]), values[:, 1:])


def _bytes(path: Path) -> bytes:
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as packed:
            return _bounded(path, packed.read(MOST_BYTES + 1))
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith((".csv", ".txt"))]
            tables = [name for name in names if name.lower().endswith(".csv")] or names
            if len(tables) != 1:
                raise CandleFileError(f"{path.name}: holds {len(tables)} CSV files, wants one")
            with archive.open(tables[0]) as member:
                return _bounded(path, member.read(MOST_BYTES + 1))
    return path.read_bytes()


def _bounded(path: Path, text: bytes) -> bytes:
    if len(text) > MOST_BYTES:
        raise CandleFileError(f"{path.name}: unpacks to more than {MOST_BYTES >> 30} GiB, split it")
    return text


def _from_csv(path: Path, text: bytes, zone: str | None) -> CandleFile:
    import pyarrow
    from pyarrow import csv

    text = text.removeprefix(b"\xef\xbb\xbf")
    first = text.partition(b"\n")[0].strip()
    if HISTDATA_ROW.match(first):
        return _from_histdata(text, zone or "America/New_York")
    delimiter = max((";", "\t", ","), key=lambda mark: first.count(mark.encode()))
    bare = first[:1].isdigit()
    names = [*("open_time", *VALUE_NAMES)] if bare else None
    width = first.count(delimiter.encode()) + 1
    if bare and width < 6:
        raise CandleFileError(
            f"{path.name}: {width} columns without a header, wants time, open, high, low, close, volume"
        )
    columns = None if names is None else [*names, *(f"more{n}" for n in range(width - 6))]
    table = csv.read_csv(
        pyarrow.BufferReader(text),
        read_options=csv.ReadOptions(column_names=columns),
        parse_options=csv.ParseOptions(delimiter=delimiter),
    )
    return _from_table(path, table, zone)


def _from_histdata(text: bytes, zone: str) -> CandleFile:
    rows = np.genfromtxt(io.BytesIO(text.replace(b" ", b";")), delimiter=";", dtype=np.float64, ndmin=2)
    day, clock = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
    stamps = np.array([f"{d:08d}" for d in day.tolist()])
    dates = np.array([f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in stamps], "datetime64[s]").astype(np.int64)
    local = dates + clock // 10_000 * 3600 + clock // 100 % 100 * 60 + clock % 100
    values = rows[:, 2:7]
    volume = values[:, 4:5] if values.shape[1] > 4 else np.zeros((len(rows), 1))
    return CandleFile(_to_utc(local, zone), np.concatenate([values[:, :4], volume], axis=1))


def _from_table(path: Path, table: Any, zone: str | None) -> CandleFile:  # noqa: ANN401  # pyarrow has no types
    by_name = {str(name).strip(" <>").lower(): name for name in table.column_names}
    stamp = next((by_name[name] for name in TIME_NAMES if name in by_name), None)
    missing = [name for name in VALUE_NAMES[:4] if name not in by_name]
    if stamp is None or missing:
        lacks = [*(["a time (ts)"] if stamp is None else []), *missing]
        raise CandleFileError(
            f"{path.name}: has no column for {', '.join(lacks)}; it has {', '.join(by_name) or 'none'}"
        )
    columns = [_numbers(table[by_name[name]]) for name in VALUE_NAMES[:4]]
    volume = _numbers(table[by_name["volume"]]) if "volume" in by_name else np.zeros(len(columns[0]))
    return CandleFile(_times(table[stamp], zone), np.column_stack([*columns, volume]))


def _numbers(column: Any) -> FloatArray:  # noqa: ANN401  # pyarrow has no types
    return np.asarray(column.cast("float64").to_numpy(), np.float64)


def _times(column: Any, zone: str | None) -> IntArray:  # noqa: ANN401  # pyarrow has no types
    import pyarrow

    kind = column.type
    if pyarrow.types.is_string(kind):
        column = column.cast(pyarrow.timestamp("s"))
        kind = column.type
    if pyarrow.types.is_timestamp(kind):
        seconds = np.asarray(column.cast(pyarrow.timestamp("s", kind.tz), safe=False).cast("int64").to_numpy())
        return seconds if kind.tz or zone is None else _to_utc(seconds, zone)
    return _seconds(_numbers(column))


def _seconds(stamps: NDArray[np.float64]) -> IntArray:
    """Epoch seconds from stamps in s, ms, µs or ns: today is 10, 13, 16 or 19 digits."""
    if not np.isfinite(stamps).all():
        raise ValueError("a time is missing")
    size = float(np.median(stamps)) if len(stamps) else 0.0
    unit = next((unit for unit, least in ((1e9, 1e17), (1e6, 1e14), (1e3, 1e11)) if size >= least), 1.0)
    return np.asarray(np.floor(stamps / unit), np.int64)


def _to_utc(local: IntArray, zone: str) -> IntArray:
    """UTC seconds of local wall-clock seconds; of an hour that comes twice the first is meant."""
    from datetime import UTC, datetime

    hours, where = np.unique(local // 3600, return_inverse=True)
    name = ZoneInfo(zone)
    shifts = [
        int(datetime.fromtimestamp(hour * 3600, UTC).replace(tzinfo=name).utcoffset().total_seconds())  # type: ignore[union-attr]  # a zone has an offset
        for hour in hours.tolist()
    ]
    return np.asarray(local - np.array(shifts, np.int64)[where], np.int64)
