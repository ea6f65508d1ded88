"""Is every number of a text one that was told?"""

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_NUMBER = re.compile(r"(\d[\d,_' ]*\d|\d)(\.\d+)?(e[-+]?\d+)?\s?(%|percent|bps?|[kmb](?![a-z]))?", re.I)
_TOLD = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.I)
_GROUPED = re.compile(r"\d{1,3}([,_' ]\d{3})+")
_WORDS = re.compile(r"\b(hundred|thousand|million|billion|trillion|dozen)s?\b", re.I)
"""Numbers written out; small ones are words of the trade (three white soldiers) and stay."""
UNITS = {
    "%": (1.0, 100.0), "percent": (1.0, 100.0), "bp": (1.0, 1e4), "bps": (1.0, 1e4),
    "k": (1e-3,), "m": (1.0, 1e-6), "b": (1e-9,),
}  # fmt: skip
"""Unit → what a fact may have been multiplied with to be stated in it; "m" is minutes as well as millions."""
FEWEST_DIGITS = 3
"""A whole number that ends in zeros is read as rounded, down to this many digits: 61200 may stand for 61204.5."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A number as a text states it: its size, half of its last stated digit, and its unit."""

    text: str
    value: float
    slack: float
    unit: str


def told(text: str) -> frozenset[float]:
    """Sizes of all numbers in the snapshot's text, those inside names and times as well."""
    return frozenset(float(word) for word in _TOLD.findall(text))


def quoted(text: str) -> list[Quoted]:
    """The numbers that a text states, without their signs."""
    found = []
    for match in _NUMBER.finditer(unicodedata.normalize("NFKC", text)):
        whole, fraction, power, unit = (part or "" for part in match.groups())
        *words, last = [whole] if _GROUPED.fullmatch(whole) else re.split(r"[,_' ]+", whole)
        found += [_quoted(word) for word in words] + [_quoted(last, fraction, power, unit)]
    return found


def invented(text: str, facts: Iterable[float]) -> list[str]:
    """What a text states in numbers without having been told it, in the order of the text; empty is honest.

    A stated number is one of the facts when it equals it as far as it is written out. "%" may also stand for a
    hundredth, "bp" for a ten-thousandth. A number written out in words of hundreds or more cannot be checked and
    counts as invented.
    """
    sizes = [abs(value) for value in facts]
    wrong = [number.text for number in quoted(text) if not any(_same(number, size) for size in sizes)]
    return wrong + _WORDS.findall(text)


def _quoted(whole: str, fraction: str = "", power: str = "", unit: str = "") -> Quoted:
    digits = re.sub(r"\D", "", whole)
    scale = _power(power)
    value = _float(f"{digits}{fraction}") * scale
    if fraction:
        slack = 0.5 * 10.0 ** -(len(fraction) - 1)
    else:
        zeros = len(digits) - max(len(digits.rstrip("0")), FEWEST_DIGITS)
        slack = 0.5 * 10.0 ** min(max(zeros, 0), 300)
    return Quoted(f"{whole}{fraction}{power}{unit}", value, slack * scale, unit.lower())


def _power(power: str) -> float:
    try:
        return 10.0 ** int(power[1:]) if power else 1.0
    except (OverflowError, ValueError):  # more digits than Python turns into a number
        return math.inf


def _float(word: str) -> float:
    return float(word) if len(word) < 300 else math.inf


def _same(number: Quoted, size: float) -> bool:
    if not math.isfinite(number.value):
        return False
    units = UNITS.get(number.unit, (1.0,))
    return any(abs(number.value - size * unit) <= number.slack * (1 + 1e-9) + 1e-12 for unit in units)
