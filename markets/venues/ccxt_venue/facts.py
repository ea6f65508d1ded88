"""What we know of an exchange before opening it; no exchange library is loaded here."""

from markets.venues.base import Capability, VenueFacts

LICENCE = "public market data of the exchange, under its terms"
REDISTRIBUTION = "ask the exchange: showing its data to others is usually licensed"

STREAMED = frozenset({Capability.HISTORY, Capability.STREAM_CANDLES, Capability.STREAM_BOOK, Capability.STREAM_TRADES})
DERIVATIVES = frozenset({Capability.FUNDING, Capability.OPEN_INTEREST})

KNOWN: dict[str, VenueFacts] = {
    "binance": VenueFacts(
        title="Binance",
        capabilities=STREAMED | DERIVATIVES,
        terms_url="https://www.binance.com/en/terms",
        licence=LICENCE,
        redistribution=REDISTRIBUTION,
        limits="REST by request weight a minute; 5 messages a second to a socket; a socket lives 24 hours",
        market_classes=("crypto",),
    ),
    "kraken": VenueFacts(
        title="Kraken",
        capabilities=STREAMED,
        terms_url="https://www.kraken.com/legal",
        licence=LICENCE,
        redistribution=REDISTRIBUTION,
        limits="REST about one request a second; history reaches back 720 candles",
        market_classes=("crypto", "forex"),
    ),
    "coinbase": VenueFacts(
        title="Coinbase",
        capabilities=STREAMED - {Capability.STREAM_CANDLES},
        terms_url="https://www.coinbase.com/legal",
        licence=LICENCE,
        redistribution=REDISTRIBUTION,
        limits="REST 10 requests a second, 300 candles a page; minutes are polled, its stream has none",
        market_classes=("crypto",),
    ),
}
"""Exchanges that have been looked at; the rest is described by `generic`."""


def generic(exchange_id: str) -> VenueFacts:
    """Facts of an exchange nobody has looked at: history is certain, the rest shows once it is open."""
    return VenueFacts(
        title=exchange_id,
        capabilities=frozenset({Capability.HISTORY}),
        terms_url="",
        licence=LICENCE,
        redistribution=REDISTRIBUTION,
        limits="as ccxt paces it",
        market_classes=("crypto",),
    )


def offered(has: dict[str, object]) -> frozenset[Capability]:
    """Capabilities according to ccxt's own `has` table (method name → True, False, None or "emulated")."""
    needs = {
        Capability.HISTORY: "fetchOHLCV",
        Capability.STREAM_CANDLES: "watchOHLCV",
        Capability.STREAM_BOOK: "watchOrderBook",
        Capability.STREAM_TRADES: "watchTrades",
        Capability.FUNDING: "fetchFundingRate",
        Capability.OPEN_INTEREST: "fetchOpenInterest",
    }
    return frozenset(capability for capability, method in needs.items() if has.get(method) is True)
