"""Which assets a headline speaks of, by a small table of names; and which headlines and events concern an instrument.

Names are looked for as whole words. Those that are words of their own (LINK, DOT, NEAR, SOL) count in capitals only.
"""

import re

NAMES: dict[str, tuple[str, ...]] = {
    "BTC": ("bitcoin", "bitcoins", "btc", "xbt"),
    "ETH": ("ethereum", "ether", "eth"),
    "BNB": ("binance coin", "bnb"),
    "SOL": ("solana",),
    "XRP": ("xrp", "ripple"),
    "ADA": ("cardano",),
    "DOGE": ("dogecoin", "doge"),
    "AVAX": ("avalanche token", "avax"),
    "DOT": ("polkadot",),
    "MATIC": ("polygon", "matic"),
    "LINK": ("chainlink",),
    "LTC": ("litecoin", "ltc"),
    "BCH": ("bitcoin cash", "bch"),
    "TRX": ("tron network", "trx"),
    "XLM": ("stellar lumens", "xlm"),
    "ETC": ("ethereum classic",),
    "EOS": ("eos",),
    "SUI": ("sui network",),
    "DASH": ("dash coin",),
    "NEAR": ("near protocol",),
    "CRYPTO": ("crypto", "cryptos", "cryptocurrency", "cryptocurrencies", "altcoin", "altcoins", "stablecoin",
               "stablecoins", "digital assets"),
    "USD": ("dollar", "greenback", "usd", "federal reserve", "fed", "fomc", "powell", "nonfarm payrolls",
            "u.s. inflation",
            "us inflation", "treasury yields"),
    "EUR": ("euro", "eur", "ecb", "european central bank", "eurozone", "euro zone"),
    "GBP": ("sterling", "british pound", "gbp", "bank of england", "boe"),
    "JPY": ("yen", "jpy", "bank of japan", "boj"),
    "CHF": ("swiss franc", "chf", "swiss national bank"),
    "AUD": ("australian dollar", "aussie dollar", "aud", "reserve bank of australia"),
    "NZD": ("new zealand dollar", "kiwi dollar", "nzd"),
    "CAD": ("canadian dollar", "loonie", "cad", "bank of canada"),
    "XAU": ("gold", "bullion", "xau"),
    "XAG": ("silver", "xag"),
    "SPX": ("s&p 500", "wall street"),
    "NSX": ("nasdaq",),
    "ES": ("s&p 500", "wall street"),
}  # fmt: skip
"""Asset → the names that headlines call it by, in small letters."""

CAPITALS = frozenset(
    {"SOL", "ADA", "DOT", "LINK", "NEAR", "SUI", "DASH", "ETC", "TRX", "BNB", "UNI", "ATOM", "APT", "ARB", "OP", "TON"}
)
"""Tickers that are read in capitals only."""

DOLLARS = frozenset({"USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "USDP", "PYUSD"})
"""Coins that stand for a dollar: an event of the dollar is theirs."""
EVERYBODY = "ALL"
"""Currency of an event that concerns every instrument."""

_BY_NAME = {name: asset for asset, names in NAMES.items() for name in names}
_ALSO = {name: [asset for asset, names in NAMES.items() if name in names] for name in _BY_NAME}
_NAME = re.compile(
    r"(?<![\w$&])(?:" + "|".join(map(re.escape, sorted(_BY_NAME, key=len, reverse=True))) + r")(?![\w&])"
)
_TICKER = re.compile(r"(?<![\w&])\$?(" + "|".join(sorted(CAPITALS)) + r")(?![\w&])")


def subjects_of(title: str) -> list[str]:
    """The assets that a headline names, in alphabetical order."""
    named = {asset for match in _NAME.finditer(title.lower()) for asset in _ALSO[match[0]]}
    shouted = title.isupper()  # then capitals say nothing
    return sorted(named | (set() if shouted else {match[1] for match in _TICKER.finditer(title)}))


def concerned(base: str, quote: str, market_class: str) -> frozenset[str]:
    """The subjects that concern an instrument: its base, for currencies the quote too, for coins all of crypto."""
    if market_class == "crypto":
        return frozenset({base, "CRYPTO"})
    return frozenset({base, quote} if market_class in {"forex", "metal"} else {base})


def currencies(base: str, quote: str) -> frozenset[str]:
    """The currencies whose events concern an instrument; coins that stand for a dollar count as one."""
    return frozenset({"USD" if code in DOLLARS else code for code in (base, quote)} | {EVERYBODY})
