"""Payloads to values: the documented shapes, recorded ones, and anything at all."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from markets.values import Ohlcv
from markets.venues.base import VenueError
from markets.venues.ccxt_venue import parse
from markets.venues.ccxt_venue.breaker import Breaker
from markets.venues.ccxt_venue.exchange import FrameCount, build
from markets.venues.ccxt_venue.parse import PayloadError
from tests.payloads import payload
from tests.venue_wire import listing

SETTINGS = {"timeout_s": 1}
MARKETS = "BTCUSDT"


class Heard:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.candles: list[Ohlcv] = []
        self.reasons: list[str] = []

    def kline(self, candle: Ohlcv) -> None:
        self.candles.append(candle)

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)


class Offline:
    """Binance of ccxt with our hooks, its markets set by hand, unconnected: frames go in where its socket would."""

    def __init__(self, symbols: list[dict[str, object]]) -> None:
        self.heard, self.frames = Heard(), FrameCount()
        self.exchange = build("binance", Breaker("binance"), self.frames, settings=SETTINGS, sink=self.heard)
        self.exchange.options |= {"crossMarginPairsData": [], "isolatedMarginPairsData": []}
        self.exchange.set_markets([self.exchange.parse_market(one) for one in symbols])
        self.client = self.exchange.client("wss://stream.binance.com:9443/ws/1")

    def frame(self, message: object) -> None:
        self.client.handle_text_or_binary_message(message if isinstance(message, str) else json.dumps(message))


# -- the documented shapes


def test_a_kline_carries_the_venues_own_flag() -> None:
    market_id, interval, candle = parse.kline_event(payload("binance/kline_closed"))
    assert (market_id, interval) == ("BTCUSDT", "1m")
    assert candle == Ohlcv("BTCUSDT", 1748000100, 101.5, 102.0, 101.25, 101.75, 3.5, closed=True)
    assert not parse.kline_event(payload("binance/kline_forming"))[2].closed


async def test_documented_frames_pass_through_ccxt_unharmed() -> None:
    venue = Offline([listing(MARKETS)])
    for name in ("kline_forming", "kline_closed", "trade"):
        venue.frame(payload(f"binance/{name}"))
    assert [(candle.symbol, candle.closed) for candle in venue.heard.candles] == [
        ("BTC/USDT", False),
        ("BTC/USDT", True),
    ]
    (trade,) = (parse.trade(one) for one in venue.exchange.trades["BTC/USDT"])
    assert (trade.symbol, trade.at, trade.price, trade.size, trade.buy) == (
        "BTC/USDT",
        1748000131.498,
        101.61,
        0.025,
        True,
    )
    assert venue.frames.bad == 0
    await venue.exchange.close()


async def test_a_book_of_snapshot_and_update() -> None:
    venue = Offline([listing(MARKETS)])
    book = venue.exchange.order_book({}, 100)
    book.reset(venue.exchange.parse_order_book(payload("binance/depth_snapshot"), "BTC/USDT"))
    book["nonce"], venue.exchange.orderbooks["BTC/USDT"] = 1000, book
    venue.frame(payload("binance/depth_update"))
    found = parse.book("BTC/USDT", book.limit(), now=0.0)
    assert found.at == 1748000131.0
    assert found.bids == ((101.59, 0.75), (101.58, 2.0))
    assert found.asks == ((101.61, 1.25), (101.62, 1.0), (101.70, 3.0))
    await venue.exchange.close()


async def test_klines_of_rest() -> None:
    venue = Offline([listing(MARKETS)])
    found = parse.candles("BTC/USDT", venue.exchange.parse_ohlcvs(payload("binance/klines")))
    assert found[1] == Ohlcv("BTC/USDT", 1748000100, 101.5, 102.0, 101.25, 101.75, 3.5)
    with pytest.raises(PayloadError, match="not a list"):
        venue.exchange.parse_ohlcvs("<html>")
    await venue.exchange.close()


# -- recorded ones


async def test_a_recorded_session_is_understood(candor_data: Path) -> None:
    lines = gzip.decompress((candor_data / "api_sessions/BINANCE.0.txt.gz").read_bytes()).decode().splitlines()
    info = json.loads(lines[0][lines[0].index("{") :])
    venue = Offline([one for one in info["symbols"] if one["symbol"] in {"NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"}])
    specs = [parse.instrument(market) for market in venue.exchange.markets.values()]
    assert {spec.symbol for spec in specs} == {"NKN/USDT", "BLZ/ETH", "LRC/BTC", "RUNE/EUR"}
    assert all(spec.tick_size > 0 for spec in specs)
    frames = gzip.decompress((candor_data / "api_sessions/BINANCE.ws.1.0.txt.gz").read_bytes()).decode().splitlines()
    for line in frames[1:]:
        venue.frame(line.partition(": ")[2])
    assert len(venue.heard.candles) == 2
    assert all(candle.low <= candle.close <= candle.high for candle in venue.heard.candles)
    assert sum(len(found) for found in venue.exchange.trades.values()) == 2
    assert venue.frames.bad == 0
    await venue.exchange.close()


def test_recorded_payloads_of_binance(candor_data: Path) -> None:
    folder = candor_data / "api_fixtures/binance/futures/market_data_json"
    closed = parse.kline_event(json.loads((folder / "kline_stream_closed.json").read_text()))[2]
    forming = parse.kline_event(json.loads((folder / "kline_stream_open.json").read_text()))[2]
    assert (closed.closed, forming.closed) == (True, False)
    for other in ("trade_stream.json", "mark_price_stream.json", "depth_update_stream.json"):
        with pytest.raises(PayloadError, match="kline is None"):
            parse.kline_event(json.loads((folder / other).read_text()))


def test_recorded_unified_payloads(candor_data: Path) -> None:
    folder = candor_data / "api_fixtures/_multi"
    for path in sorted(folder.glob("*_ob_ccxt.json")):
        content = json.loads(path.read_text())
        book = parse.book(content["symbol"], content, now=7.0)
        assert len(book.bids) == min(20, len(content["bids"])), path.name
        assert book.bids[0][0] < book.asks[0][0]
    rates = [parse.funding(json.loads(path.read_text())) for path in sorted(folder.glob("*_funding_ccxt.json"))]
    assert len(rates) >= 4
    assert all(abs(rate.rate) < 0.01 for rate in rates)


async def test_recorded_klines_and_depth_of_rest(candor_data: Path) -> None:
    folder = candor_data / "api_fixtures/binance/spot/http_json"
    venue = Offline([listing(MARKETS)])
    rows = venue.exchange.parse_ohlcvs(json.loads((folder / "klines_response.json").read_text()))
    assert parse.candles("X/Y", rows)[0].open == 0.0163479
    depth = venue.exchange.parse_order_book(json.loads((folder / "depth_response.json").read_text()), "X/Y")
    assert parse.book("X/Y", depth, now=7.0).at == 7.0
    await venue.exchange.close()


# -- what must be refused


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "NaN",
        "Infinity",
        "-inf",
        math.nan,
        math.inf,
        1e300,
        "1e999",
        10**400,
        "1_000",
        " 7",
        "٧",
        [],
        {},
        "9" * 99,
    ],
)
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(PayloadError, match="price is"):
        parse.number(value, "price")


@pytest.mark.parametrize("value", [-1, 1.5, "1748000100000", 10**18, None, math.nan, True])
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(PayloadError, match="time is"):
        parse.stamp_ms(value, "time")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x": 1}, "flag x"),
        ({"x": "true"}, "flag x"),
        ({"t": 1748000100001}, "not on a second"),
        ({"t": "1748000100000"}, "candle time"),
        ({"h": "NaN"}, "high"),
        ({"v": None}, "volume"),
        ({"s": ""}, "kline symbol"),
        ({"i": 1}, "kline interval"),
    ],
)
def test_a_kline_with_one_wrong_field(change: dict[str, object], says: str) -> None:
    event: Any = payload("binance/kline_closed")
    with pytest.raises(PayloadError, match=says):
        parse.kline_event(event | {"k": event["k"] | change})


@pytest.mark.parametrize(
    ("book", "says"),
    [
        ({"bids": [[2, 1]], "asks": [[2, 1]]}, "crossed"),
        ({"bids": [[1, 1], [2, 1]], "asks": []}, "not ordered"),
        ({"bids": [], "asks": [[2, 1], [2, 1]]}, "not ordered"),
        ({"bids": [[1, 0]], "asks": []}, "size in bids"),
        ({"bids": [[1]], "asks": []}, "1 fields"),
        ({"bids": None, "asks": []}, "bids is None"),
        ({"bids": [], "asks": [], "timestamp": "now"}, "book time"),
        ([], "order book is list"),
    ],
)
def test_a_book_that_cannot_be(book: object, says: str) -> None:
    with pytest.raises(PayloadError, match=says):
        parse.book("X/Y", book, now=0.0)


def test_trades_need_a_side_and_interest_a_number() -> None:
    good = {"symbol": "X/Y", "timestamp": 1000, "price": 1, "amount": "2"}
    assert parse.trade(good | {"side": "sell"}).buy is False
    with pytest.raises(PayloadError, match="side is None"):
        parse.trade(good)
    with pytest.raises(PayloadError, match="neither an amount nor a value"):
        parse.open_interest({"symbol": "X/Y", "timestamp": 1000})
    interest = parse.open_interest({"symbol": "X/Y", "timestamp": 1000, "openInterestValue": 5})
    assert (interest.amount, interest.value) == (None, 5.0)


def test_markets_of_currencies_are_forex() -> None:
    market = {"symbol": "EUR/USD", "base": "EUR", "quote": "USD", "precision": {"price": 0.0001}}
    assert parse.instrument(market).market_class == "forex"
    assert parse.instrument(market | {"base": "BTC", "precision": None}).tick_size == 0.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5.0),
        (" 7 ", 7.0),
        ("999999999", parse.LONGEST_BAN_S),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        (None, None),
        ("soon", None),
        ("-3", None),
        ("9" * 50, None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(header: str | None, seconds: float | None) -> None:
    assert parse.retry_after(header, now=1000.0) == seconds


# -- anything at all

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["NaN", "Infinity", "1e999", "0", "1", "-1", 10**400, "BTCUSDT", 1748000100000, "buy", True]),
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=4), inner), max_leaves=20
)
FIELDS = ["k", "s", "i", "x", "t", "o", "h", "l", "c", "v", "symbol", "timestamp", "price", "amount", "side", "bids"]
FIELDS += [
    "asks",
    "base",
    "quote",
    "precision",
    "fundingRate",
    "fundingTimestamp",
    "openInterestAmount",
    "openInterestValue",
]
SHAPED = st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=len(FIELDS))
PARSERS: list[Callable[[object], object]] = [
    lambda found: parse.candle("X/Y", found, closed=True),
    lambda found: parse.candles("X/Y", found),
    lambda found: parse.book("X/Y", found, 0.0),
    parse.kline_event,
    lambda found: parse.kline_event({"k": found}),
    parse.trade,
    parse.instrument,
    parse.funding,
    parse.open_interest,
    lambda found: parse.number(found, "n"),
    lambda found: parse.stamp_ms(found, "t"),
    lambda found: parse.retry_after(found if isinstance(found, str) else None, 0.0),
]


@pytest.mark.parametrize("parser", PARSERS)
@settings(max_examples=100, deadline=None)
@given(found=ANYTHING | SHAPED | st.lists(LEAVES, min_size=5, max_size=8))
def test_only_the_declared_error_escapes(parser: Callable[[object], object], found: object) -> None:
    try:
        parser(found)
    except VenueError as error:
        said = str(error)
    else:
        said = ""
    assert len(said) < 400, "an error quotes no whole frame"


@given(found=st.lists(LEAVES, min_size=6, max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_candle_that_passes_is_finite(found: list[object]) -> None:
    try:
        candle = parse.candle("X/Y", found, closed=True)
    except PayloadError:
        return
    assert all(math.isfinite(value) for value in (candle.open, candle.high, candle.low, candle.close, candle.volume))
    assert 0 <= candle.open_time < 5_000_000_000


async def test_any_frame_leaves_the_socket_alive() -> None:
    venue = Offline([listing(MARKETS)])

    @settings(max_examples=200, deadline=None)
    @given(message=st.text(max_size=60) | (ANYTHING | SHAPED).map(lambda found: json.dumps(found, default=str)))
    def run(message: str) -> None:
        before = venue.client
        venue.frames.streak = 0
        venue.frame(message)
        assert venue.client is before

    run()
    venue.frame(payload("binance/kline_closed"))
    assert venue.heard.candles[-1].closed
    await venue.exchange.close()
