"""Which assets a headline names, and what concerns an instrument."""

import pytest

from markets.intelligence.subjects import NAMES, concerned, currencies, subjects_of


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("Bitcoin tops $60,000", ["BTC"]),
        ("BTC, ETH and XRP slide", ["BTC", "ETH", "XRP"]),
        ("Bitcoin Cash forks again", ["BCH"]),
        ("Ethereum Classic miners move", ["ETC"]),
        ("Crypto markets calm", ["CRYPTO"]),
        ("Follow the link to the dot and the near sol", []),
        ("LINK and SOL lead, DOT lags", ["DOT", "LINK", "SOL"]),
        ("$SOL to the moon", ["SOL"]),
        ("SOL AND LINK ARE UP", []),
        ("Ethereal music and bitcoinish art", []),
        ("Dollar firms as Fed holds", ["USD"]),
        ("Australian dollar slips", ["AUD"]),
        ("ECB's Lagarde speaks on the euro", ["EUR"]),
        ("Golden retriever wins", []),
        ("Gold steady near record", ["XAU"]),
        ("S&P 500 ends higher", ["ES", "SPX"]),
        ("", []),
    ],
)
def test_the_assets_of_a_headline(title: str, found: list[str]) -> None:
    assert subjects_of(title) == found


def test_the_table_is_in_small_letters_and_names_nothing_twice() -> None:
    names = [name for asset, group in NAMES.items() for name in group if asset != "ES"]
    assert all(name == name.lower() for name in names)
    assert len(set(names)) == len(names)


def test_what_concerns_an_instrument() -> None:
    assert concerned("BTC", "USDT", "crypto") == {"BTC", "CRYPTO"}
    assert concerned("EUR", "USD", "forex") == {"EUR", "USD"}
    assert concerned("XAU", "USD", "metal") == {"XAU", "USD"}
    assert concerned("SPX", "USD", "index") == {"SPX"}


def test_whose_events_concern_an_instrument() -> None:
    assert currencies("BTC", "USDT") == {"BTC", "USD", "ALL"}
    assert currencies("EUR", "GBP") == {"EUR", "GBP", "ALL"}
