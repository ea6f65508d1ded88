"""The words and number shapes that pages, events and CSV share. Pure: values in, text out."""

import math
from collections.abc import Iterable

ARROWS = {1: "▲", -1: "▼", 0: "●"}
"""A shape per direction, so that none is told by colour alone."""
DIRECTIONS = {1: "up", -1: "down", 0: "neutral"}

ABSTENTIONS = {
    "untrained": "untrained: it has no model yet",
    "no_key": "no key is set for it",
    "no_book": "no order book on this instrument",
    "too_old": "its model is past the age limit, or of an earlier release",
    "deadline": "did not answer in time",
    "failed": "failed on this minute",
    "bad_input": "its input was incomplete",
    "corrupt": "its model file is damaged",
    "muted": "muted by the operator",
    "rate_limited": "its calls of this minute are used up",
    "over_budget": "today's budget for language models is used up",
    "bad_answer": "its answer could not be read",
    "invented_number": "its reason named a number that it was not given",
    "refused": "its provider declined to answer",
    "resting": "left alone for a while after several failures",
}
TAINTS = {
    "gap": "missing candles",
    "stale": "stale feed",
    "filled": "filled candles",
    "out_of_order": "candles out of order",
    "clock_skew": "clock skew",
    "repaired": "repaired data",
    "suspect": "suspect prices",
}
VETOES = {"news_window": "close to an event of high impact"}
"""Vetoes that their names do not explain."""
OUTCOMES = {"won": ("✓", "Won"), "lost": ("✕", "Lost"), "tie": ("=", "Tie"), "void": ("∅", "Void")}
STATES = {
    "issued": "Signal",
    "silent": "No consensus",
    "vetoed": "Blocked",
    "tainted": "Tainted data",
    "late": "Late",
    "missed": "Missed",
}

MINUS = "−"


def phrase(name: str, known: dict[str, str]) -> str:
    """The sentence for a stored name; a name without one is shown as it is stored, with spaces."""
    return known.get(name, name.replace("_", " "))


def listed(words: Iterable[str]) -> str:
    """`a, b, c`."""
    return ", ".join(words)


def decimals_of(tick_size: float | None, price: float) -> int:
    """Decimals to print a price with: the tick's own, else enough for six significant digits (0 to 8)."""
    if tick_size:
        return max(0, min(8, len(f"{tick_size:.10f}".rstrip("0").partition(".")[2])))
    whole = len(str(int(abs(price)))) if abs(price) >= 1 else 0
    return max(0, min(8, 6 - whole))


def price_text(price: float | None, tick_size: float | None = None) -> str:
    """A price with thousands separators; empty where there is none."""
    if price is None:
        return ""
    return f"{price:,.{decimals_of(tick_size, price)}f}"


def percent(share: float, digits: int = 0) -> str:
    """`57 %` from 0.57."""
    return f"{share * 100:.{digits}f} %"


def signed(value: float, digits: int, unit: str) -> str:
    """`+1.4 bp`, with a real minus sign."""
    text = f"{abs(value):,.{digits}f} {unit}"
    return f"+{text}" if value >= 0 else f"{MINUS}{text}"


def clock_text(seconds: float) -> str:
    """`0:42` or `12:05`, rounded up so that zero is the end; never negative."""
    whole = max(0, math.ceil(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def duration_text(seconds: float) -> str:
    """`12 s`, `4 min`, `3 h`, `2 d`: one unit, rounded down."""
    whole = max(0, int(seconds))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
