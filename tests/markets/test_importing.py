"""Files of every shape, right and wrong, through the command."""

import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from django.core.management import CommandError, call_command

from markets.calendars import open_minutes
from markets.candles import load_ohlcv
from markets.files import CandleFileError, read_candles
from markets.importing import import_file
from markets.models import Candle, Instrument, Refusal, Venue
from tests.markets.worlds import START, make_venue, walk

pytestmark = pytest.mark.django_db
N = 30


def binance_lines(*, micro: bool = False, header: bool = False) -> str:
    times, rows = walk(N)
    unit = 1_000_000 if micro else 1000
    head = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,"
    head += "ignore\n"
    lines = [
        f"{t * unit},{','.join(repr(float(v)) for v in row)},{(t + 60) * unit - 1},0,0,0,0,0"
        for t, row in zip(times.tolist(), rows, strict=True)
    ]
    return (head if header else "") + "\n".join(lines) + "\n"


def table(name: str = "ts", *, kind: Callable[[Any], Any] | None = None) -> pyarrow.Table:
    times, rows = walk(N)
    stamps = pyarrow.array(times * 1000, pyarrow.timestamp("ms", "UTC")) if kind is None else kind(times)
    columns = dict(zip(("open", "high", "low", "close", "volume"), rows.T, strict=True))
    return pyarrow.table({name: stamps, **columns})


def write(folder: Path, name: str) -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(table(), path)
    elif name.endswith(".feather"):
        pyarrow.feather.write_feather(table("date"), path)
    elif name.endswith(".json"):
        times, rows = walk(N)
        path.write_text(json.dumps([[t * 1000, *row] for t, row in zip(times.tolist(), rows.tolist(), strict=True)]))
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(binance_lines().encode()))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("BTCUSDT-1m-2026-03.csv", binance_lines())
    else:
        path.write_text(binance_lines(micro="micro" in name, header="header" in name))
    return path


@pytest.mark.parametrize(
    ("name", "venue", "symbol"),
    [
        ("binance_usdm_BTCUSDT_2026.parquet", "binance_usdm", "BTC/USDT"),
        ("BTCUSDT-1m-2026-03.csv", "binance", "BTC/USDT"),
        ("ETHUSDT-1m-2026-03-header.csv", "binance", "ETH/USDT"),
        ("BTCUSDT-1m-2026-03-micro.csv", "binance", "BTC/USDT"),
        ("BTCUSDT-1m-2026-03.csv.gz", "binance", "BTC/USDT"),
        ("BTCUSDT-1m-2026-03.zip", "binance", "BTC/USDT"),
        ("BTC_USDT-1m.json", "imported", "BTC/USDT"),
        ("ETH_USDT-1m.feather", "imported", "ETH/USDT"),
    ],
)
def test_every_shape_gives_the_same_candles(tmp_path: Path, name: str, venue: str, symbol: str) -> None:
    report = import_file(write(tmp_path, name))
    assert (report.stored, report.rows, report.gaps, report.refused) == (N, N, 0, {})
    row = Instrument.objects.get(venue__key=venue, symbol=symbol)
    times, ohlcv = load_ohlcv(row.pk, START, START + 60 * N)
    assert np.array_equal(times, walk(N)[0])
    assert np.array_equal(ohlcv, walk(N)[1])
    assert import_file(write(tmp_path, name)).duplicates == N


def test_histdata_bars_are_new_york_time_without_volume(tmp_path: Path) -> None:
    path = tmp_path / "DAT_ASCII_EURUSD_M1_2026.csv"
    path.write_text("20260302 170000;1.1;1.2;1.0;1.1;0\n20260701 170000;1.1;1.2;1.0;1.1;0\n")
    found = read_candles(path)
    stamps = [datetime.fromtimestamp(t, UTC).isoformat() for t in found.open_times.tolist()]
    assert stamps == ["2026-03-02T22:00:00+00:00", "2026-07-01T21:00:00+00:00"]
    assert found.ohlcv[0].tolist() == [1.1, 1.2, 1.0, 1.1, 0.0]
    assert [t % 86_400 // 3600 for t in read_candles(path, zone="EST").open_times.tolist()] == [22, 22]


@pytest.mark.parametrize(
    "text",
    [
        "Date;Open;High;Low;Close\n2026-03-02 00:00:00;1;2;0.5;1\n2026-03-02 00:01:00;1;2;0.5;1\n",
        "timestamp,close,low,high,open,volume\n1772409600,1,0.5,2,1,0\n1772409660,1,0.5,2,1,0\n",
        "\ufeff<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\n2026-03-02T00:00:00\t1\t2\t0.5\t1\n2026-03-02T00:01:00\t1\t2\t0.5\t1\n",
    ],
)
def test_headers_in_any_order_and_case(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    found = read_candles(path)
    assert found.open_times.tolist() == [START, START + 60]
    assert found.ohlcv[0].tolist() == [1.0, 2.0, 0.5, 1.0, 0.0]


def test_times_without_a_zone_take_the_one_given(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("date,open,high,low,close\n2026-03-02 01:00:00,1,2,0.5,1\n")
    assert read_candles(path, zone="Europe/Berlin").open_times.tolist() == [START]


WRONG: list[tuple[str, bytes, str]] = [
    ("BTCUSDT.csv", b"", "is not a candle file we know"),
    ("binance_BTCUSDT.parquet", b"not parquet", "is not a candle file we know"),
    ("binance_BTCUSDT.feather", b"not feather", "is not a candle file we know"),
    ("binance_BTCUSDT.json", b"{", "is not a candle file we know"),
    ("binance_BTCUSDT.json", b'{"a": 1}', "wants a list of"),
    ("binance_BTCUSDT.json", b"[]", "holds no candle"),
    ("binance_BTCUSDT.zip", b"PK", "is not a candle file we know"),
    ("binance_BTCUSDT.gz", b"zz", "is not a candle file we know"),
    ("binance_BTCUSDT.csv", b"a,b\n1,2\n", "has no column for a time"),
    ("binance_BTCUSDT.csv", b"ts,open,high,low\n1,1,1,1\n", "has no column for close"),
    ("binance_BTCUSDT.csv", b"1,2,3\n", "3 columns without a header"),
    ("binance_BTCUSDT.csv", b"ts,open,high,low,close\nyesterday,1,1,1,1\n", "is not a candle file we know"),
    ("binance_BTCUSDT.csv", b"ts,open,high,low,close\n1772409600,one,1,1,1\n", "is not a candle file we know"),
    ("binance_BTCUSDT.csv", b"ts,open,high,low,close\n1772409600,1,1,1,1\n1772409900,1,1,1,1\n", "5-minute candles"),
    ("binance_BTCUSDT.csv", b"ts,open,high,low,close\n1772409600,3,1,2,1\n", "not one sound candle"),
    ("candles.csv", b"ts,open,high,low,close\n1772409600,1,1,1,1\n", "tells no instrument"),
    ("binance_BTCUSDT.csv", b"\x00\xff\x00" * 100, "candle file we know"),
]


@pytest.mark.parametrize(("name", "content", "says"), WRONG)
def test_a_wrong_file_gives_one_line_and_changes_nothing(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CandleFileError, match=says) as caught:
        import_file(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert not Candle.objects.exists()
    assert not Venue.objects.exists()
    assert not Refusal.objects.exists()


def test_other_timeframes_are_named(tmp_path: Path) -> None:
    with pytest.raises(CandleFileError, match="5m candles cannot be stored"):
        import_file(write(tmp_path, "binance_BTCUSDT.parquet"), timeframe="5m")


def test_recorded_candles_do_not_join_a_simulated_market(tmp_path: Path) -> None:
    make_venue("simulated")
    with pytest.raises(CandleFileError, match="cannot join simulated"):
        import_file(write(tmp_path, "binance_BTCUSDT.parquet"), venue="simulated")


def test_the_report_counts_every_row(tmp_path: Path) -> None:
    times, rows = walk(N)
    rows[3, 1] = 0.5
    keep = [t for t in range(N) if t not in (10, 11, 20)]
    text = ["ts,open,high,low,close,volume"]
    text += [f"{times[t]},{','.join(map(str, rows[t]))}" for t in [*keep, 5, 6]]
    path = tmp_path / "candles.csv"
    path.write_text("\n".join(text))
    out, err = StringIO(), StringIO()
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(CommandError, match="1 of 2 files"):
        call_command(
            "import_candles",
            path,
            tmp_path / "empty.csv",
            venue="kraken",
            symbol="BTC/USD",
            json=True,
            stdout=out,
            stderr=err,
        )
    report = json.loads(out.getvalue())
    (found,) = report["files"]
    assert (found["stored"], found["duplicates"], found["refused"]) == (26, 2, {"impossible": 1})
    assert (found["rows"], found["gaps"], found["missing"]) == (29, 3, 4)
    assert found["instrument"] == "BTC/USD@kraken"
    assert report["errors"][0]["file"].endswith("empty.csv")
    assert Venue.objects.get().kind == Venue.Kind.LIVE


def test_the_report_in_words(tmp_path: Path) -> None:
    out = StringIO()
    call_command("import_candles", write(tmp_path, "binance_BTCUSDT.parquet"), stdout=out)
    assert "BTC/USDT@binance: 30 stored, 0 duplicates, 0 corrected, 0 refused, 0 gaps (0 minutes)" in out.getvalue()


def test_a_recorded_month_is_imported(candor_data: Path) -> None:
    path = candor_data / "crypto_1m" / "binance_usdm_ETHUSDT_2025.parquet"
    report = import_file(path)
    assert report.stored == report.rows > 20_000
    assert (report.gaps, report.refused) == (0, {})


def test_a_recorded_currency_has_no_gaps_at_weekends(candor_data: Path) -> None:
    source = pyarrow.parquet.read_table(candor_data / "fx_1m" / "histdata_EURUSD.parquet")
    times = np.asarray(source["ts"].cast(pyarrow.timestamp("s")).cast("int64"))
    march = slice(*np.searchsorted(times, [1_520_000_000, 1_523_000_000]).tolist())  # over the change to summer time
    due = open_minutes("fx", int(times[march][0]), int(times[march][-1]) + 60)
    assert np.isin(times[march], due).mean() > 0.999
    assert np.isin(due, times[march]).mean() > 0.98
