"""Candlestick patterns: TA-Lib's 61 and the eleven of the features, each confirmed by a later close.

A pattern with a direction is marked on its last candle and confirmed by the first close beyond that candle's high (up)
or low (down) within `WAIT` candles, unless a close beyond the other end comes first. One without a direction is known
as soon as it is there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from models_ml.features import candlesticks, talib_patterns
from models_ml.features.charts import whole
from models_ml.patterns.series import Found, Series

WAIT = 3
Signs = NDArray[np.int8]
Marks = Callable[[Series], Mapping[str, Signs]]


def own_key(name: str) -> str:
    """The key of one of the features' eleven."""
    return f"candle_{name}"


def talib_key(name: str) -> str:
    """The key of one of TA-Lib's 61."""
    return f"cdl_{name.lower()}"


PAUSES = frozenset(talib_key(name) for name in talib_patterns.PAUSE)
"""Patterns without a direction."""


def own_marks(series: Series) -> Mapping[str, Signs]:
    """What the eleven say at each candle, (T,) of −1, 0, 1; needs numpy only."""
    out: dict[str, Signs] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, (candles, rule, _) in candlesticks.PATTERNS.items():
            bull, bear = rule(candlesticks.Shapes.of(series.window, candles))
            sign = bull.astype(np.int8) - bear.astype(np.int8)
            sign[~whole(series.missing[None], candlesticks.pattern_lookback(candles))] = 0
            out[own_key(name)] = sign[0]
    return out


def talib_marks(series: Series) -> Mapping[str, Signs]:
    """What TA-Lib's 61 say at each candle; loads TA-Lib, so this is for workers."""
    if len(series) < talib_patterns.LOOKBACK:
        return {talib_key(name): np.zeros(len(series), np.int8) for name in talib_patterns.NAMES}
    rows = len(series) - talib_patterns.LOOKBACK + 1
    found = np.zeros((len(talib_patterns.NAMES), len(series)), np.int8)
    found[:, -rows:] = talib_patterns.marks(series.window, rows)[:, 0]
    found[:, ~whole(series.missing[None], talib_patterns.LOOKBACK)[0]] = 0
    return {talib_key(name): row for name, row in zip(talib_patterns.NAMES, found, strict=True)}


def confirmations(series: Series, sign: Signs) -> tuple[Signs, NDArray[np.int64]]:
    """Where marks (T,) are confirmed: the direction at the confirming candle (T,), and how many candles ago it stood.

    Of several marks that one candle confirms the youngest counts.
    """
    known, age = np.zeros_like(sign), np.zeros(len(sign), np.int64)
    waiting: Signs = sign.copy()
    with np.errstate(invalid="ignore"):
        for delay in range(1, min(WAIT, len(sign) - 1) + 1):
            marked, close = waiting[:-delay], series.close[delay:]
            up, down = close > series.high[:-delay], close < series.low[:-delay]
            gone = up | down | np.isnan(close)
            confirms = ((marked > 0) & up).astype(np.int8) - ((marked < 0) & down).astype(np.int8)
            fresh = (known[delay:] == 0) & (confirms != 0)
            known[delay:][fresh], age[delay:][fresh] = confirms[fresh], delay
            waiting[:-delay][gone] = 0
    return known, age


def find(series: Series, marks: Marks, since: int) -> Iterator[Found]:
    """The patterns of `marks` that a candle from number `since` on makes known."""
    for key, sign in marks(series).items():
        if key in PAUSES:
            yield from (_pause(series, key, int(at)) for at in np.flatnonzero(sign) if at >= since)
            continue
        known, age = confirmations(series, sign)
        for at in np.flatnonzero(known):
            if at >= since:
                yield _confirmed(series, key, int(at), int(known[at]), int(age[at]))


def signs(series: Series, marks: Marks, keys: Iterable[str] | None = None) -> Iterator[tuple[str, Signs]]:
    """For each pattern the direction that each candle makes known, (T,); patterns without a direction are left out."""
    wanted = None if keys is None else frozenset(keys)
    for key, sign in marks(series).items():
        if key not in PAUSES and (wanted is None or key in wanted):
            yield key, confirmations(series, sign)[0]


def _pause(series: Series, key: str, at: int) -> Found:
    return Found(key, 0, int(series.times[at]), (series.point(at, float(series.high[at])),))


def _confirmed(series: Series, key: str, at: int, direction: int, age: int) -> Found:
    start = at - age
    edge = series.low[start] if direction > 0 else series.high[start]
    points = (series.point(start, float(edge)), series.point(at, float(series.close[at])))
    return Found(key, direction, int(series.times[at]), points)
