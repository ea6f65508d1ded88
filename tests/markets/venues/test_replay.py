"""Recordings: what is history, what is told, and what a wrong file says."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from markets.values import Ohlcv
from markets.venues import VenueError
from markets.venues.replay import RecordingError, ReplayVenue, read_recording, spec_of, split_name

START = 1_748_000_040


def write(path: Path, times: np.ndarray, columns: dict[str, np.ndarray] | None = None) -> Path:
    """A recording of made-up candles at `times` (epoch seconds)."""
    close = 100 + np.arange(len(times), dtype=float)
    rows = {"open": close - 1, "high": close + 1, "low": close - 2, "close": close, "volume": close * 0 + 5}
    stamps = pa.array(times * 1000, pa.timestamp("ms", "UTC"))
    pq.write_table(pa.table({"ts": stamps, **(rows if columns is None else columns)}), path)
    return path


def minutes(count: int, start: int = START) -> np.ndarray:
    return start + 60 * np.arange(count, dtype=np.int64)


async def history(venue: ReplayVenue, symbol: str, start: int, end: int, timeframe: str = "1m") -> list[int]:
    return [candle.open_time async for page in venue.history(symbol, start, end, timeframe) for candle in page]


@pytest.mark.parametrize(
    ("name", "venue", "symbol", "market_class", "calendar"),
    [
        ("binance_usdm_BTCUSDT_2025.parquet", "binance_usdm", "BTC/USDT", "crypto", "always"),
        ("bitfinex_BTCUSD.parquet", "bitfinex", "BTC/USD", "crypto", "always"),
        ("binance_spot_ETHBTC.parquet", "binance_spot", "ETH/BTC", "crypto", "always"),
        ("ftx_BTC-PERP_2022-01.parquet", "ftx", "BTC-PERP", "crypto", "always"),
        ("histdata_EURUSD.parquet", "histdata", "EUR/USD", "forex", "fx"),
        ("histdata_USDJPY.parquet", "histdata", "USD/JPY", "forex", "fx"),
        ("histdata_XAUUSD.parquet", "histdata", "XAU/USD", "metal", "fx"),
        ("histdata_SPXUSD.parquet", "histdata", "SPX/USD", "index", "fx"),
        ("cme_ES_front.parquet", "cme", "ES", "index", "fx"),
        ("deriv_BOOM500.parquet", "deriv", "BOOM500", "synthetic", "always"),
    ],
)
def test_file_names_name_instruments(name: str, venue: str, symbol: str, market_class: str, calendar: str) -> None:
    assert split_name(Path(name))[0] == venue
    spec = spec_of(split_name(Path(name))[1])
    assert (spec.symbol, spec.market_class, spec.calendar) == (symbol, market_class, calendar)


async def test_last_part_is_told_and_the_rest_is_history(tmp_path: Path) -> None:
    path = write(tmp_path / "test_BTCUSDT.parquet", minutes(600))
    venue = ReplayVenue("replay-1", paths=[path], live_s=3600)
    assert venue.span.minutes == 60
    assert venue.span.end == START + 600 * 60
    assert await history(venue, "BTC/USDT", 0, venue.span.end) == minutes(540).tolist()
    told = list(venue.minutes())
    assert [open_time for open_time, _ in told] == minutes(600)[540:].tolist()
    assert all(candle.open_time == open_time for open_time, [candle] in told)
    assert await history(venue, "BTC/USDT", 0, venue.span.end + 9999) == minutes(600).tolist()


async def test_nothing_is_seen_before_it_is_told(tmp_path: Path) -> None:
    venue = ReplayVenue("replay-1", paths=[write(tmp_path / "test_BTCUSDT.parquet", minutes(600))], live_s=3600)
    telling = venue.minutes()
    for _ in range(7):
        open_time, _ = next(telling)
        assert (await history(venue, "BTC/USDT", open_time - 120, venue.span.end))[-1] == open_time
        hours = await history(venue, "BTC/USDT", 0, venue.span.end, "1h")
        assert hours[-1] + 3600 <= open_time + 60


async def test_files_share_the_span_they_have_in_common_and_gaps_stay_gaps(tmp_path: Path) -> None:
    holed = np.delete(minutes(300, START + 6000), [290, 291])
    paths = [write(tmp_path / "a_BTCUSDT.parquet", minutes(400)), write(tmp_path / "b_ETHUSDT.parquet", holed)]
    venue = ReplayVenue("replay-1", paths=paths, live_s=1200)
    assert (venue.span.start, venue.span.end) == (START + 22800, START + 24000)
    assert venue.facts.title == "Recording (a, b)"
    told = {open_time: [candle.symbol for candle in candles] for open_time, candles in venue.minutes()}
    assert told[START + 6000 + 290 * 60] == ["BTC/USDT"]
    assert told[START + 6000 + 289 * 60] == ["BTC/USDT", "ETH/USDT"]
    assert len(told) == 20


async def test_stream_tells_the_same_and_ends(tmp_path: Path) -> None:
    venue = ReplayVenue("replay-1", paths=[write(tmp_path / "a_BTCUSDT.parquet", minutes(40))], live_s=600)
    assert [event.open_time async for event in venue.stream(["BTC/USDT"]) if isinstance(event, Ohlcv)] == minutes(40)[
        30:
    ].tolist()
    assert list(venue.minutes()) == []


def test_recorded_files_load(candor_data: Path) -> None:
    venue = ReplayVenue(
        "replay-1",
        paths=[candor_data / f"crypto_1m/binance_usdm_{name}_2025.parquet" for name in ("BTCUSDT", "ETHUSDT")],
    )
    assert venue.span.minutes == 360
    assert sum(len(candles) for _, candles in venue.minutes()) == 720


def test_a_five_minute_recording_is_refused(candor_data: Path) -> None:
    path = next((candor_data / "crypto_5m").glob("*.parquet"))
    with pytest.raises(RecordingError, match="5-minute candles"):
        read_recording(path)


@pytest.mark.parametrize(
    ("times", "columns", "says"),
    [
        (minutes(1), None, "at least 2"),
        (minutes(5)[::-1], None, "ascend"),
        (minutes(5) + 7, None, "minute grid"),
        (minutes(5), {"open": np.ones(5)}, "needs parquet columns"),
        (minutes(5), dict.fromkeys(["open", "high", "low", "close", "volume"], np.full(5, np.nan)), "missing"),
        (minutes(5), dict.fromkeys(["open", "high", "low", "close", "volume"], np.array(["x"] * 5)), "needs parquet"),
    ],
)
def test_wrong_files_give_one_clear_error(
    tmp_path: Path, times: np.ndarray, columns: dict[str, np.ndarray] | None, says: str
) -> None:
    path = write(tmp_path / "test_BTCUSDT.parquet", times, columns)
    with pytest.raises(RecordingError, match=says) as raised:
        ReplayVenue("replay-1", paths=[path])
    assert "test_BTCUSDT.parquet" in str(raised.value)
    assert raised.value.permanent


def test_files_that_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "test_BTCUSDT.parquet").write_text("hello")
    with pytest.raises(RecordingError, match="test_BTCUSDT"):
        ReplayVenue("replay", paths=[tmp_path / "test_BTCUSDT.parquet"])
    with pytest.raises(RecordingError, match="no such file"):
        ReplayVenue("replay", paths=[tmp_path / "test_ETHUSDT.parquet"])
    with pytest.raises(RecordingError, match="no symbol in the file name"):
        ReplayVenue("replay", paths=[write(tmp_path / "candles.parquet", minutes(5))])


def test_sets_that_do_not_fit_together(tmp_path: Path) -> None:
    first = write(tmp_path / "a_BTCUSDT.parquet", minutes(50))
    with pytest.raises(RecordingError, match="no recording given"):
        ReplayVenue("replay")
    with pytest.raises(RecordingError, match="a second file of BTC/USDT"):
        ReplayVenue("replay", paths=[first, write(tmp_path / "b_BTCUSDT.parquet", minutes(50))])
    with pytest.raises(RecordingError, match="no minute in common"):
        ReplayVenue("replay", paths=[first, write(tmp_path / "b_ETHUSDT.parquet", minutes(50, START + 90_000))])
    with pytest.raises(VenueError, match="live part of 5 s"):
        ReplayVenue("replay", paths=[first], live_s=5)
