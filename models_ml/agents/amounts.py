"""Amounts in a sentence and which way they went: "EUR 13.1 mn, compared to EUR 8.7 mn" rose, a smaller loss rose too.

Only what stands in the sentence is compared: two amounts of one unit with a word between them that says which one is
the earlier. A loss counts as a negative amount.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

CURRENCIES = {
    "eur": "EUR", "euro": "EUR", "euros": "EUR", "€": "EUR", "x20ac": "EUR", "usd": "USD", "us$": "USD", "$": "USD",
    "dollar": "USD", "dollars": "USD", "gbp": "GBP", "£": "GBP", "pounds": "GBP", "pence": "GBP", "p": "GBP",
    "sek": "SEK", "nok": "NOK", "dkk": "DKK", "chf": "CHF", "jpy": "JPY", "yen": "JPY", "¥": "JPY", "kroons": "EEK",
    "kronor": "SEK",
    "crowns": "SEK", "rubles": "RUB", "btc": "BTC", "eth": "ETH",
}  # fmt: skip
SCALES = {
    "k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "mln": 1e6, "mio": 1e6, "million": 1e6, "millions": 1e6, "b": 1e9,
    "bn": 1e9, "bln": 1e9, "billion": 1e9, "billions": 1e9, "tn": 1e12, "trillion": 1e12,
}  # fmt: skip
PERCENT = frozenset({"%", "pct", "percent", "pc"})

_MARKS = "|".join(sorted(map(re.escape, {key for key in CURRENCIES if key not in {"p"}}), key=len, reverse=True))
_SUFFIXES = {*SCALES, *PERCENT, *(key for key in CURRENCIES if key.isalpha())}
_UNITS = "|".join(sorted(map(re.escape, _SUFFIXES), key=len, reverse=True))
_AMOUNT = re.compile(
    rf"(?:(?P<mark>{_MARKS})\s?)?(?P<sign>[-−])?(?P<number>\d{{1,3}}(?:[ ,]\d{{3}})+(?:\.\d+)?|\d+(?:[.,]\d+)?)"
    rf"(?P<units>(?:\s?(?:{_UNITS})(?![\w]))*)",
    re.IGNORECASE,
)
_BROKEN = re.compile(r"(\d) ([.,])(\d)")
_ASIDE = re.compile(
    r"\([^()]*\)|\bper share\b|\b(?:before|after|excluding|incl\.|including) (?:value added )?tax(?:es)?\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d$")
_EARLIER = re.compile(r"\b(?:from|compared|comparison|versus|vs|against|than|instead of)\b")
_FROM = re.compile(r"\bfrom\W*$")
_OR = re.compile(r"\bor\W*$")
_BESIDE = re.compile(r"\b(?:from|to|with|versus|vs|against)\W*$")
_MORE_THAN = re.compile(r"\b(?:more|less|fewer) than\W*$")
_LOSS = re.compile(r"\b(?:loss|losses|deficit|shortfall)\b")
_MINUS = re.compile(r"\b(?:negative|minus)\W*$")
_AFTER = re.compile(r"\s*(?:net |operating |pretax |pre-tax )?(?:(?P<loss>loss|deficit)|profit|surplus)\b")
_RANGE = re.compile(r"\s*to\b")
_GAIN = re.compile(r"\b(?:profit|profits|earnings|eps|income|surplus|sales|revenue|turnover|ebit|ebitda)\b")
_COSTLY = re.compile(r"\b(?:costs?|expenses?|debt|unemployment|inflation|expenditures?|taxes|liabilities|fees?)\b")


@dataclass(frozen=True, slots=True)
class Amount:
    """One figure with its unit (`EUR`, `%`, empty for a bare number) and where it stands."""

    value: float
    unit: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Change:
    """What went from `before` to `after`, losses below zero; `costly` where less is better."""

    before: float
    after: float
    costly: bool = False

    @property
    def side(self) -> int:
        """1 for the better, −1 for the worse, 0 where nothing changed."""
        moved = (self.after > self.before) - (self.after < self.before)
        return -moved if self.costly else moved


def repaired(text: str) -> str:
    """The text in lower case, split figures joined; asides in brackets and "before taxes" left out."""
    return _ASIDE.sub(" ", _BROKEN.sub(r"\1\2\3", text)).lower()


def amounts(text: str) -> list[Amount]:
    """Every amount of a repaired text; years, numbers inside words and the same sum said again are left out."""
    found: list[Amount] = []
    for match in _AMOUNT.finditer(text):
        amount = _amount(match, text)
        if amount is None or _OR.search(text[: match.start()]) or (found and _said_again(text, found[-1], amount)):
            continue
        if not amount.unit and match["units"].strip() and found:
            amount = replace(amount, unit=found[-1].unit)  # "EUR 1.5 million … a 1.7 million profit"
        found.append(amount)
    return found


def changes(text: str) -> list[Change]:
    """Every comparison of two neighbouring amounts of one unit, in the order of the text."""
    text = repaired(text)
    found = amounts(text)
    return [change for a, b in _pairs(found) if (change := _change(text, found, a, b)) is not None]


def _said_again(text: str, last: Amount, amount: Amount) -> bool:
    """Whether nothing stands between two sums of different currencies: "5 mln euro $ 6.9 mln"."""
    both = "%" not in {last.unit, amount.unit} and last.unit and amount.unit
    return bool(both) and last.unit != amount.unit and not text[last.end : amount.start].strip(" ,/-")


def _amount(match: re.Match[str], text: str) -> Amount | None:
    number, units = match["number"], match["units"].lower().split()
    before = text[match.start() - 1 : match.start()]
    if before.isalnum() or text[match.end() : match.end() + 1].isalpha():
        return None
    if not match["mark"] and not units and _YEAR.match(number):
        return None
    try:
        value = float(_plain(number))
    except ValueError:
        return None
    unit = CURRENCIES[match["mark"].lower()] if match["mark"] else ""
    for word in units:
        value *= SCALES.get(word, 1.0)
        unit = unit or ("%" if word in PERCENT else CURRENCIES.get(word, ""))
    return Amount(-value if match["sign"] and match["mark"] else value, unit, match.start(), match.end())


def _plain(number: str) -> str:
    """`1,047.4` and `36 000` without their separators; `37,7` with a decimal point."""
    if re.fullmatch(r"\d+,\d{1,2}", number):
        return number.replace(",", ".")
    return re.sub(r"[ ,]", "", number)


def _pairs(found: list[Amount]) -> Iterator[tuple[Amount, Amount]]:
    """Neighbours of one unit; the same sum in another currency between them is passed over."""
    last: dict[str, Amount] = {}
    for amount in found:
        if amount.unit in last:
            yield last[amount.unit], amount
        last[amount.unit] = amount


def _change(text: str, found: list[Amount], a: Amount, b: Amount) -> Change | None:
    between, before = text[a.end : b.start], text[: a.start]
    stretch = before[max((one.end for one in found if one.end <= a.start and one.unit == a.unit), default=0) :]
    first = _sign(stretch, text[a.end :], 1)
    second = _sign(between, text[b.end :], first)
    values = _signed(a, first, before), _signed(b, second, text[: b.start])
    costly = bool(_COSTLY.search(stretch)) and first > 0
    if _FROM.search(before) and re.search(r"\bto\b", between):
        return Change(*values, costly=costly)
    of_its_own = _FROM.search(between) and _RANGE.match(text[b.end :])  # "10 offices, open from 9 to 5"
    bare = not b.unit and not _BESIDE.search(between)
    if _EARLIER.search(between) and not (of_its_own or bare or _MORE_THAN.search(between)):
        return Change(values[1], values[0], costly=costly)
    return None


def _sign(before: str, after: str, otherwise: int) -> int:
    """−1 where the last word about an amount is a loss, 1 where it is a gain, else as the amount before it."""
    if match := _AFTER.match(after):
        return -1 if match["loss"] else 1
    losses = [match.start() for match in _LOSS.finditer(before)]
    gains = [match.start() for match in _GAIN.finditer(before)]
    if not losses and not gains:
        return otherwise
    return -1 if max(losses, default=-1) > max(gains, default=-1) else 1


def _signed(amount: Amount, sign: int, before: str) -> float:
    """A "negative EUR 3 mn" is below zero by itself, and says nothing about the amount after it."""
    return -abs(amount.value) if _MINUS.search(before) else sign * amount.value
