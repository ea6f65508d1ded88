"""Find named patterns on the candles of one instrument."""

from collections.abc import Iterator

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.patterns import candles, shapes, structure
from models_ml.patterns.candles import Signs
from models_ml.patterns.registry import PATTERNS
from models_ml.patterns.series import Found, Series

FAMILIES = ("shape", "structure", "candle", "talib")
LIGHT = ("shape", "structure", "candle")
"""Families that need numpy only: what a web process may look for."""


def find(
    open_times: IntArray, ohlcv: FloatArray, *, families: tuple[str, ...] = FAMILIES, since: int = 0
) -> list[Found]:
    """All named patterns that become known at candle number `since` or later, in the order in which they do.

    Args:
        open_times: (T,) epoch seconds, ascending.
        ohlcv: (T, 5); a missing candle is NaN, and no pattern spans it. Not changed.
        families: which to look for; `talib` loads TA-Lib.
        since: number of the first candle of interest; earlier ones are read as history.

    Causal: what a prefix of the candles shows is exactly what the whole shows up to the same candle.
    """
    series = Series(open_times, ohlcv)
    found = [one for family in families for one in _of(series, family, since)]
    first = open_times[since] if since < len(open_times) else np.inf
    return sorted((one for one in found if one.known_at >= first), key=lambda one: (one.known_at, one.pattern))


def _of(series: Series, family: str, since: int) -> Iterator[Found]:
    match family:
        case "shape":
            return shapes.find(series)
        case "structure":
            return structure.find(series)
        case "candle":
            return candles.find(series, candles.own_marks, since)
        case _:
            return candles.find(series, candles.talib_marks, since)


def known_directions(
    open_times: IntArray, ohlcv: FloatArray, *, families: tuple[str, ...] = FAMILIES
) -> Iterator[tuple[str, Signs]]:
    """For each pattern with a direction: what each candle makes known, (T,) of −1, 0, 1.

    Where one candle confirms a pattern both ways, neither counts.
    """
    series = Series(open_times, ohlcv)
    if "candle" in families:
        yield from candles.signs(series, candles.own_marks)
    if "talib" in families:
        yield from candles.signs(series, candles.talib_marks)
    totals = {
        key: np.zeros(len(series), np.int64)
        for key, named in PATTERNS.items()
        if named.family in {"shape", "structure"}
    }
    for family in ("shape", "structure"):
        for one in _of(series, family, 0) if family in families else ():
            totals[one.pattern][np.searchsorted(open_times, one.known_at)] += one.direction
    for key, total in totals.items():
        if PATTERNS[key].family in families:
            yield key, np.sign(total).astype(np.int8)
