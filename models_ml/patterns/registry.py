"""Every named pattern: its title, family, direction, what confirms it, and where it is described."""

from dataclasses import dataclass
from typing import Final

from models_ml.features.candlesticks import PATTERNS as OWN
from models_ml.patterns.candles import PAUSES, own_key, talib_key

EDWARDS_MAGEE: Final = "Edwards, Magee: Technical Analysis of Stock Trends (1948)"
AFTER: Final = "the first close beyond the marked candle's high or low in its direction, within 3 candles"
ITSELF: Final = "nothing more: known at the close of its last candle"


@dataclass(frozen=True, slots=True)
class NamedPattern:
    """One pattern that had its name before our data.

    Attributes:
        direction: `up`, `down`, `either` (read from the case) or `none`.
        family: `shape`, `structure`, `candle` (our own code) or `talib` (workers only).
        confirmation: what makes it known.
    """

    title: str
    direction: str
    family: str
    confirmation: str
    source: str


TITLES: Final = {
    "2CROWS": "Two crows",
    "3BLACKCROWS": "Three black crows",
    "3INSIDE": "Three inside up or down",
    "3LINESTRIKE": "Three-line strike",
    "3OUTSIDE": "Three outside up or down",
    "3STARSINSOUTH": "Three stars in the south",
    "3WHITESOLDIERS": "Three advancing white soldiers",
    "ABANDONEDBABY": "Abandoned baby",
    "ADVANCEBLOCK": "Advance block",
    "BELTHOLD": "Belt hold",
    "BREAKAWAY": "Breakaway",
    "CLOSINGMARUBOZU": "Closing marubozu",
    "CONCEALBABYSWALL": "Concealing baby swallow",
    "COUNTERATTACK": "Counterattack",
    "DARKCLOUDCOVER": "Dark-cloud cover",
    "DOJI": "Doji",
    "DOJISTAR": "Doji star",
    "DRAGONFLYDOJI": "Dragonfly doji",
    "ENGULFING": "Engulfing",
    "EVENINGDOJISTAR": "Evening doji star",
    "EVENINGSTAR": "Evening star",
    "GAPSIDESIDEWHITE": "Side-by-side white lines after a gap",
    "GRAVESTONEDOJI": "Gravestone doji",
    "HAMMER": "Hammer",
    "HANGINGMAN": "Hanging man",
    "HARAMI": "Harami",
    "HARAMICROSS": "Harami cross",
    "HIGHWAVE": "High wave",
    "HIKKAKE": "Hikkake",
    "HIKKAKEMOD": "Modified hikkake",
    "HOMINGPIGEON": "Homing pigeon",
    "IDENTICAL3CROWS": "Identical three crows",
    "INNECK": "In neck",
    "INVERTEDHAMMER": "Inverted hammer",
    "KICKING": "Kicking",
    "KICKINGBYLENGTH": "Kicking, by the longer marubozu",
    "LADDERBOTTOM": "Ladder bottom",
    "LONGLEGGEDDOJI": "Long-legged doji",
    "LONGLINE": "Long line",
    "MARUBOZU": "Marubozu",
    "MATCHINGLOW": "Matching low",
    "MATHOLD": "Mat hold",
    "MORNINGDOJISTAR": "Morning doji star",
    "MORNINGSTAR": "Morning star",
    "ONNECK": "On neck",
    "PIERCING": "Piercing line",
    "RICKSHAWMAN": "Rickshaw man",
    "RISEFALL3METHODS": "Rising or falling three methods",
    "SEPARATINGLINES": "Separating lines",
    "SHOOTINGSTAR": "Shooting star",
    "SHORTLINE": "Short line",
    "SPINNINGTOP": "Spinning top",
    "STALLEDPATTERN": "Stalled pattern",
    "STICKSANDWICH": "Stick sandwich",
    "TAKURI": "Takuri",
    "TASUKIGAP": "Tasuki gap",
    "THRUSTING": "Thrusting",
    "TRISTAR": "Tristar",
    "UNIQUE3RIVER": "Unique three river",
    "UPSIDEGAP2CROWS": "Upside gap two crows",
    "XSIDEGAP3METHODS": "Gap three methods",
}
"""TA-Lib's functions without their prefix → a title."""


def _shape(title: str, direction: str, confirmation: str) -> NamedPattern:
    return NamedPattern(title, direction, "shape", confirmation, EDWARDS_MAGEE)


def _structure(title: str, confirmation: str) -> NamedPattern:
    return NamedPattern(title, "either", "structure", confirmation, "swing structure")


PATTERNS: dict[str, NamedPattern] = {
    "head_and_shoulders": _shape("Head and shoulders", "down", "a close below the neckline"),
    "inverse_head_and_shoulders": _shape("Inverse head and shoulders", "up", "a close above the neckline"),
    "double_top": _shape("Double top", "down", "a close below the bottom between the tops"),
    "double_bottom": _shape("Double bottom", "up", "a close above the top between the bottoms"),
    "triple_top": _shape("Triple top", "down", "a close below both bottoms between the tops"),
    "triple_bottom": _shape("Triple bottom", "up", "a close above both tops between the bottoms"),
    "ascending_triangle": _shape("Ascending triangle", "up", "a close above the level tops"),
    "descending_triangle": _shape("Descending triangle", "down", "a close below the level bottoms"),
    "symmetrical_triangle": _shape("Symmetrical triangle", "either", "a close beyond the line that gives way first"),
    "rising_wedge": _shape("Rising wedge", "down", "a close below the line of the bottoms"),
    "falling_wedge": _shape("Falling wedge", "up", "a close above the line of the tops"),
    "bull_flag": _shape("Bull flag", "up", "a close above the rest, within 10 candles"),
    "bear_flag": _shape("Bear flag", "down", "a close below the rest, within 10 candles"),
    "break_of_structure": _structure(
        "Break of structure (BOS)", "the first close beyond a known swing, with the trend"
    ),
    "change_of_character": _structure(
        "Change of character (CHoCH)", "the first close beyond a swing, against the trend"
    ),
    "fair_value_gap": _structure("Fair-value gap (FVG)", "the close of the third candle, which leaves the gap open"),
    **{
        own_key(name): NamedPattern(name.replace("_", " ").capitalize(), "either", "candle", AFTER, source)
        for name, (_, _, source) in OWN.items()
    },
    **{
        talib_key(name): NamedPattern(title, "none", "talib", ITSELF, f"TA-Lib: CDL{name}")
        if talib_key(name) in PAUSES
        else NamedPattern(title, "either", "talib", AFTER, f"TA-Lib: CDL{name}")
        for name, title in TITLES.items()
    },
}
"""Key → pattern. Adding one is a rule in its family's module and a line here."""
