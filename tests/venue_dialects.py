"""The loopback venue's other tongues: Kraken's and Coinbase's public REST, and Kraken's candle channel.

Shapes as documented at https://docs.kraken.com/api-reference (AssetPairs, OHLC, Time; sockets v2: ohlc) and
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public (products, candles, time).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from markets.timeframes import aggregate
from markets.venues.replay import spec_of
from tests.venue_wire import Rows

KRAKEN_CODES = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD", "EUR": "ZEUR"}
GRANULARITY = {"ONE_MINUTE": 1, "FIVE_MINUTE": 5, "FIFTEEN_MINUTE": 15, "ONE_HOUR": 60, "ONE_DAY": 1440}


class Told(Protocol):
    """What a dialect needs of the server."""

    candles: dict[str, Rows]

    def now(self) -> float:
        """The venue's clock."""

    def seen(self, market_id: str) -> Rows:
        """Candles by now, the last one forming."""


def answer(server: Told, path: str, query: Mapping[str, str]) -> tuple[int, object] | None:
    """Status and body when `path` belongs to one of the dialects, else None."""
    if path.startswith("/0/public/"):
        return 200, _kraken(server, path.rpartition("/")[2], query)
    if path == "/v2/time":
        return 200, {"data": {"epoch": int(server.now()), "iso": _iso(server.now())}}
    if path.startswith("/api/v3/brokerage/market/products"):
        return 200, _coinbase(server, path, query)
    return None


def _kraken(server: Told, endpoint: str, query: Mapping[str, str]) -> dict[str, object]:
    if endpoint == "Time":
        return {"error": [], "result": {"unixtime": int(server.now()), "rfc1123": ""}}
    if endpoint == "AssetPairs":
        return {"error": [], "result": {market_id: _pair(market_id) for market_id in server.candles}}
    times, ohlcv = _folded(server, query["pair"], int(query.get("interval", 1)))
    # Kraken serves the latest 720 candles after `since`, whatever lies further back.
    chosen = np.flatnonzero(times > int(query.get("since", 0)))[-720:]
    rows = [
        [int(times[at]), *[f"{value:.5f}" for value in ohlcv[at, :4]], "0", f"{ohlcv[at, 4]:.8f}", 9] for at in chosen
    ]
    return {"error": [], "result": {query["pair"]: rows, "last": int(times[-1])}}


def _pair(market_id: str) -> dict[str, object]:
    spec = spec_of(market_id)
    names = {"altname": market_id, "wsname": f"{spec.base}/{spec.quote}", "status": "online"}
    codes = {"base": KRAKEN_CODES.get(spec.base, spec.base), "quote": KRAKEN_CODES.get(spec.quote, spec.quote)}
    sizes = {"pair_decimals": 2, "lot_decimals": 8, "ordermin": "0.0001", "costmin": "0.5", "tick_size": "0.01"}
    return names | codes | sizes | {"leverage_buy": [], "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]]}


def _coinbase(server: Told, path: str, query: Mapping[str, str]) -> dict[str, object]:
    parts = path.split("/")
    if parts[-1] != "candles":
        products = [] if query.get("product_type") == "FUTURE" else [_product(one) for one in server.candles]
        return {"products": products, "num_products": len(products)}
    market_id = parts[-2].replace("-", "")
    times, ohlcv = _folded(server, market_id, GRANULARITY[query["granularity"]])
    chosen = np.flatnonzero((times >= int(query["start"])) & (times < int(query["end"])))[:300]
    names = ("open", "high", "low", "close", "volume")
    rows = [
        {"start": str(int(times[at]))} | {name: f"{ohlcv[at, n]:.8f}" for n, name in enumerate(names)}
        for at in chosen[::-1]  # newest first
    ]
    return {"candles": rows}


def _product(market_id: str) -> dict[str, object]:
    spec = spec_of(market_id)
    names = {"product_id": f"{spec.base}-{spec.quote}", "base_currency_id": spec.base, "quote_currency_id": spec.quote}
    sizes = {
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "price_increment": "0.01",
        "base_min_size": "0.0001",
    }
    return names | sizes | {"product_type": "SPOT", "trading_disabled": False, "status": "online", "alias_to": []}


def _folded(server: Told, market_id: str, minutes: int) -> tuple[Rows, Rows]:
    rows = server.seen(market_id)
    times, ohlcv = aggregate(rows[:, 0].astype(np.int64), rows[:, 1:], minutes)
    return times.astype(np.float64), ohlcv


def kraken_stream(market_id: str) -> str:
    """The name under which a socket's subscription to a market's candles is kept."""
    spec = spec_of(market_id)
    return f"ohlc:{spec.base}/{spec.quote}"


def kraken_subscription(message: Mapping[str, object]) -> tuple[list[str], list[str]] | None:
    """Streams and acknowledgements of a Kraken request, None for a message in another tongue."""
    params = message.get("params")
    if not isinstance(params, dict):
        return None
    acks = [
        {
            "method": message["method"],
            "success": True,
            "req_id": message.get("req_id"),
            "result": params | {"symbol": one},
        }
        for one in params["symbol"]
    ]
    return [f"{params['channel']}:{one}" for one in params["symbol"]], [json.dumps(ack) for ack in acks]


def kraken_candle(market_id: str, row: Sequence[float], now: float) -> str:
    """A candle update; Kraken never says that one is closed."""
    spec = spec_of(market_id)
    names = ("open", "high", "low", "close", "volume")
    values = dict(zip(names, row[1:6], strict=True))
    span = {"interval_begin": _iso(row[0]), "interval": 1, "timestamp": _iso(row[0] + 60)}
    data = {"symbol": f"{spec.base}/{spec.quote}", "trades": 9, "vwap": row[1]} | values | span
    return json.dumps({"channel": "ohlc", "type": "update", "timestamp": _iso(now), "data": [data]})


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
