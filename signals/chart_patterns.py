"""Named patterns for the chart: coordinates to draw, and the same in words for the table below it."""

from typing import Any, Final

from lib.clock import MINUTE_S
from markets.models import Instrument
from markets.values import FloatArray, IntArray
from models_ml.patterns.named import LIGHT, find
from models_ml.patterns.registry import PATTERNS
from models_ml.patterns.series import Found
from signals.wording import ARROWS, DIRECTIONS, price_text

HISTORY: Final = 80
"""Candles before the first one shown that a pattern may reach back to."""
NEWEST: Final = 4
"""Patterns drawn of each family: more of them hide the candles."""
LABELS: Final = {"break_of_structure": "BOS", "change_of_character": "CHoCH", "fair_value_gap": "FVG"}
"""Short names for the drawing; shapes have their whole one, candlesticks none. The table names them all."""


def chart_patterns(instrument: Instrument, times: IntArray, ohlcv: FloatArray, shown: int) -> list[dict[str, Any]]:
    """The newest patterns that the last `shown` candles made known, newest first.

    TA-Lib's are not among them: a web process does not load it.

    Args:
        times: (T,) open times of the chart's timeframe.
        ohlcv: (T, 5); a missing candle is NaN.
    """
    times, ohlcv = times[-shown - HISTORY :], ohlcv[-shown - HISTORY :]
    if len(times) < 2:
        return []
    found = find(times, ohlcv, families=LIGHT, since=max(len(times) - shown, 0))
    step, first = int(times[-1] - times[-2]), int(times[max(len(times) - shown, 0)])
    drawable = [one for one in found if one.direction and one.points[0][0] >= first]
    newest = [
        one for family in LIGHT for one in [one for one in drawable if PATTERNS[one.pattern].family == family][-NEWEST:]
    ]
    return [_drawn(instrument, one, step) for one in sorted(newest, key=lambda one: -one.known_at)]


def _drawn(instrument: Instrument, found: Found, step: int) -> dict[str, Any]:
    named = PATTERNS[found.pattern]
    prices = [price for _, price in found.points]
    low, high = (price_text(price, instrument.tick_size) for price in (min(prices), max(prices)))
    return {
        "key": found.pattern,
        "title": named.title,
        "family": named.family,
        "label": LABELS.get(found.pattern, named.title if named.family == "shape" else ""),
        "direction": DIRECTIONS[found.direction],
        "says": f"{ARROWS[found.direction]}\u00a0{DIRECTIONS[found.direction]}",
        "points": [[at, price] for at, price in found.points],
        "began": found.points[0][0],
        "known": found.known_at + max(step, MINUTE_S),
        "between": low if low == high else f"{low} – {high}",
    }
