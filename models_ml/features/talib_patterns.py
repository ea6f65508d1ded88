"""All candle patterns of TA-Lib, counted by what they announce.

One by one they would be 61 columns that are 0 on almost every row; the counts of turning, onward and undecided patterns
say the same in six that a model can split on. TA-Lib keeps running totals, whose rounding depends on where they began:
prices are handed over as whole numbers, so that every total is exact and every start gives the same marks.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.features.rolling import rolling_sum
from models_ml.features.window import Feature, Formula, Window

LOOKBACK = 15
"""The longest of TA-Lib's own look-backs for these functions, and the row itself."""

RECENT = 5

PRECISION = 30
"""Bits that a price keeps: below a billionth of it."""

HIGHEST = 2.0**45
"""Ten whole numbers up to this size sum exactly."""

ONWARD = (
    "3LINESTRIKE",
    "CLOSINGMARUBOZU",
    "GAPSIDESIDEWHITE",
    "INNECK",
    "KICKING",
    "KICKINGBYLENGTH",
    "LONGLINE",
    "MARUBOZU",
    "MATHOLD",
    "ONNECK",
    "RISEFALL3METHODS",
    "SEPARATINGLINES",
    "TASUKIGAP",
    "THRUSTING",
    "XSIDEGAP3METHODS",
)
"""Patterns that say that the move goes on."""

PAUSE = ("DOJI", "HIGHWAVE", "LONGLEGGEDDOJI", "RICKSHAWMAN", "SHORTLINE", "SPINNINGTOP")
"""Patterns without a direction."""

TURN = (
    "2CROWS",
    "3BLACKCROWS",
    "3INSIDE",
    "3OUTSIDE",
    "3STARSINSOUTH",
    "3WHITESOLDIERS",
    "ABANDONEDBABY",
    "ADVANCEBLOCK",
    "BELTHOLD",
    "BREAKAWAY",
    "CONCEALBABYSWALL",
    "COUNTERATTACK",
    "DARKCLOUDCOVER",
    "DOJISTAR",
    "DRAGONFLYDOJI",
    "ENGULFING",
    "EVENINGDOJISTAR",
    "EVENINGSTAR",
    "GRAVESTONEDOJI",
    "HAMMER",
    "HANGINGMAN",
    "HARAMI",
    "HARAMICROSS",
    "HIKKAKE",
    "HIKKAKEMOD",
    "HOMINGPIGEON",
    "IDENTICAL3CROWS",
    "INVERTEDHAMMER",
    "LADDERBOTTOM",
    "MATCHINGLOW",
    "MORNINGDOJISTAR",
    "MORNINGSTAR",
    "PIERCING",
    "SHOOTINGSTAR",
    "STALLEDPATTERN",
    "STICKSANDWICH",
    "TAKURI",
    "TRISTAR",
    "UNIQUE3RIVER",
    "UPSIDEGAP2CROWS",
)
"""Patterns that say that the move ends."""

TURNED = {"GRAVESTONEDOJI": -1}
"""TA-Lib marks any doji 100; this one is bearish by its name."""

NAMES = (*ONWARD, *PAUSE, *TURN)
"""The 61 in the order of `marks`, without TA-Lib's prefix."""

Marks = NDArray[np.int8]


def marks(w: Window, rows: int) -> Marks:
    """What each pattern of `NAMES` says at the last `rows` candles: (61, I, rows) of −1 bearish, 0, 1 bullish.

    Pure of what lies before `LOOKBACK` candles; meaningless where one of them is missing.
    """
    seen = np.nan_to_num(w.fields[:4, :, -(rows + LOOKBACK - 1) :], posinf=HIGHEST)
    rows = min(rows, seen.shape[2])
    sizes = np.frexp(seen[3, :, seen.shape[2] - rows :])[1]
    out: Marks = np.zeros((len(NAMES), *sizes.shape), np.int8)
    todo = np.ones(sizes.shape, bool)
    while todo.any():  # once for each power of two that a price crosses: mostly once
        size = np.take_along_axis(sizes, todo.argmax(axis=1)[:, None], 1)
        now = todo & (sizes == size)
        found = _asked(np.clip(np.rint(np.ldexp(seen, PRECISION - size)), 0, HIGHEST), rows)
        out[:, now] = found[:, now]
        todo &= ~now
    return out


def _asked(prices: FloatArray, rows: int) -> Marks:
    """TA-Lib's answers to whole prices (4, I, n): one call per pattern for all instruments behind one another.

    What straddles two instruments lies in the look-back of the second one and is cut off with it.
    """
    import talib  # only who computes features pays for it

    parts = [np.ascontiguousarray(part).reshape(-1) for part in prices]
    answers = [
        getattr(talib, f"CDL{name}")(*parts).reshape(prices.shape[1:])[:, prices.shape[2] - rows :] for name in NAMES
    ]
    found: Marks = np.sign(np.stack(answers)).astype(np.int8)
    for name, sign in TURNED.items():
        found[NAMES.index(name)] *= sign
    return found


def _recent(w: Window) -> Marks:
    """The marks of the wanted rows and of those just before, once for all columns."""
    root = w.root
    return root.shared("talib marks", lambda: marks(root, len(w.wanted_times) + RECENT - 1))


def count(names: tuple[str, ...], where: Callable[[Marks], NDArray[np.bool_]]) -> Formula:
    """How many of these patterns say so at the row."""
    places = [NAMES.index(name) for name in names]

    def of(w: Window) -> FloatArray:
        now = _recent(w)[places, :, -len(w.wanted_times) :]
        counted: FloatArray = where(now).sum(axis=0).astype(np.float64)
        return counted

    return of


def balance(w: Window) -> FloatArray:
    """Bullish − bearish patterns of five candles, undecided ones left out."""
    places = [NAMES.index(name) for name in (*ONWARD, *TURN)]
    return rolling_sum(_recent(w)[places].sum(axis=0).astype(np.float64), RECENT)


def bullish(found: Marks) -> NDArray[np.bool_]:
    """Where a pattern points up."""
    return np.greater(found, 0)


def bearish(found: Marks) -> NDArray[np.bool_]:
    """Where a pattern points down."""
    return np.less(found, 0)


def any_way(found: Marks) -> NDArray[np.bool_]:
    """Where a pattern is there."""
    return np.not_equal(found, 0)


FEATURES = (
    Feature("candles_turn_up", "count", "TA-Lib: bullish turning patterns", LOOKBACK, count(TURN, bullish)),
    Feature("candles_turn_down", "count", "TA-Lib: bearish turning patterns", LOOKBACK, count(TURN, bearish)),
    Feature("candles_onward_up", "count", "TA-Lib: bullish onward patterns", LOOKBACK, count(ONWARD, bullish)),
    Feature("candles_onward_down", "count", "TA-Lib: bearish onward patterns", LOOKBACK, count(ONWARD, bearish)),
    Feature("candles_pause", "count", "TA-Lib: undecided patterns", LOOKBACK, count(PAUSE, any_way)),
    Feature(
        f"candles_balance_{RECENT}",
        "count",
        f"TA-Lib: bullish − bearish patterns of {RECENT} candles",
        LOOKBACK + RECENT - 1,
        balance,
    ),
)
