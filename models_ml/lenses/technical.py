"""The technical lens: nine indicators vote, each by its common reading; seven must be known, and two thirds agree."""

from collections.abc import Callable
from contextlib import suppress

from models_ml.lenses.base import WORDS, Facts, Figures, Sight, joined, neutral, side

Reading = Callable[[Figures], int]


def above(column: str, least: float) -> Reading:
    """The sign of a column beyond `least`."""
    return lambda row: side(row[column], least)


def _directional(row: Figures) -> int:
    """DI+ against DI−, only where ADX says that there is a trend (Wilder: 25)."""
    return side(row["directional_balance_14"], 0.02) if row["adx_14"] >= 0.25 else 0


def _band(row: Figures) -> int:
    """Beyond a band is overdone, as a touch of it: against the move; inside the bands nothing."""
    return -side(row["band_place_20"], 1.0)


INDICATORS: dict[str, Reading] = {
    "EMA 20": above("ema_gap_20", 0.1),
    "EMA 50": above("ema_gap_50", 0.1),
    "MACD": above("macd_histogram", 0.02),
    "RSI": above("rsi_14", 0.1),
    "Bollinger": _band,
    "ADX": _directional,
    "stochastic": above("stochastic_k_14_3", 0.2),
    "Supertrend": above("supertrend_direction", 0.5),
    "Ichimoku": above("ichimoku_cloud", 0.0),
}
"""Title → how it is read; a reading of what is unknown raises KeyError."""

LEAST_KNOWN = 7


def _readings(row: Figures) -> dict[str, int]:
    """The readings of the indicators that are known."""
    known: dict[str, int] = {}
    for title, read in INDICATORS.items():
        with suppress(KeyError):
            known[title] = read(row)
    return known


def look(facts: Facts) -> Sight:
    """The side of two thirds of the indicators that are known."""
    known = _readings(facts.row)
    if len(known) < LEAST_KNOWN:
        return neutral(f"Only {len(known)} of {len(INDICATORS)} indicators are known.")
    up = [title for title, way in known.items() if way > 0]
    down = [title for title, way in known.items() if way < 0]
    most = max(up, down, key=len)
    direction = 0 if 3 * len(most) < 2 * len(known) else 1 if most is up else -1
    if direction == 0:
        return neutral(f"Of {len(known)} indicators {len(up)} point up and {len(down)} down.")
    return Sight(direction, f"{len(most)} of {len(known)} indicators point {WORDS[direction]}: {joined(most)}.")
