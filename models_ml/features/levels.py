"""Prices that a market is known to turn at: retracements, pivots, round numbers, touched extremes, quantiles."""

from collections.abc import Callable

import numpy as np

from markets.values import FloatArray
from models_ml.features.rolling import gap, padded, ratio, steps_since_max
from models_ml.features.window import Feature, Formula, Window

FIBONACCI = {"236": 0.236, "382": 0.382, "500": 0.5, "618": 0.618}
LEG = 240
"""Candles whose high and low make the leg that is retraced."""

BARS, BAR_MINUTES = 48, 5
"""Four hours of complete 5-minute bars."""

TOUCH = 0.25
"""A bar that ends within this many MTR of an extreme has touched it."""

QUANTILES = (10, 25, 50, 75, 90)

DAY, HOLES = 1440, 0.05
"""Candles of a day, and the share of them that a daily level can do without."""

TWO_DAYS = 2 * DAY - 1
"""Yesterday is complete, wherever in today the row stands."""

Day = tuple[FloatArray, FloatArray, FloatArray]


def leg(w: Window) -> tuple[FloatArray, FloatArray, FloatArray]:
    """High and low of the leg, and 1 where the high is the younger of the two, −1 where the low is."""

    def make() -> tuple[FloatArray, FloatArray, FloatArray]:
        age_of_high = steps_since_max(w.tail(w.high, LEG), LEG)
        age_of_low = steps_since_max(w.tail(-w.low, LEG), LEG)
        rows = len(w.wanted_times)
        young = np.where(age_of_high <= age_of_low, 1.0, -1.0)[..., -rows:]
        return w.highest(LEG)[..., -rows:], w.lowest(LEG)[..., -rows:], young

    return w.shared("leg", make)


def leg_direction(w: Window) -> FloatArray:
    """1 where the high of the leg is younger than its low, else −1; 0 where the market stood still."""
    high, low, young = leg(w)
    return young * (high > low)


def retracement(w: Window) -> FloatArray:
    """Share of the leg that price has come back: 0 at its end, 1 at its start."""
    high, low, young = leg(w)
    close = w.wanted(w.close)
    return ratio(np.where(young > 0, high - close, close - low), high - low)


def fibonacci_gap(share: float) -> Formula:
    """(close − price at which `share` of the leg is retraced) / MTR."""

    def of(w: Window) -> FloatArray:
        high, low, young = leg(w)
        level = np.where(young > 0, high - share * (high - low), low + share * (high - low))
        return ratio(w.wanted(w.close) - level, w.wanted(w.reach))

    return of


def yesterday(w: Window) -> Day:
    """High, low and close of the last complete UTC day with candles, per wanted row."""

    def make() -> Day:
        bars = w.bars(DAY)
        high, low, close = (bars.at_steps(part) for part in (bars.window.high, bars.window.low, bars.window.close))
        return high, low, close

    return w.shared("yesterday", make)


def pivot_gap(level: Callable[[Day], FloatArray]) -> Formula:
    """(close − level) / yesterday's range."""

    def of(w: Window) -> FloatArray:
        day = yesterday(w)
        return ratio(gap(w.wanted(w.close), level(day)), day[0] - day[1])

    return of


def pivot(day: Day) -> FloatArray:
    """Floor traders' pivot: (high + low + close) / 3."""
    return (day[0] + day[1] + day[2]) / 3


def off_pivot(share: float) -> Callable[[Day], FloatArray]:
    """Fibonacci level: the pivot and a share of the range."""
    return lambda day: pivot(day) + share * (day[0] - day[1])


def off_close(share: float) -> Callable[[Day], FloatArray]:
    """Camarilla level (Stott 1989): the close and 1.1 times a share of the range."""
    return lambda day: day[2] + 1.1 * share * (day[0] - day[1])


PIVOTS: dict[str, tuple[Callable[[Day], FloatArray], str]] = {
    "pivot": (pivot, "P = (H + L + C) / 3 of yesterday"),
    "pivot_standard_r1": (lambda day: 2 * pivot(day) - day[1], "R1 = 2 P − L"),
    "pivot_standard_s1": (lambda day: 2 * pivot(day) - day[0], "S1 = 2 P − H"),
    "pivot_fibonacci_r1": (off_pivot(0.382), "P + 0.382 (H − L)"),
    "pivot_fibonacci_s1": (off_pivot(-0.382), "P − 0.382 (H − L)"),
    "pivot_fibonacci_r2": (off_pivot(0.618), "P + 0.618 (H − L)"),
    "pivot_fibonacci_s2": (off_pivot(-0.618), "P − 0.618 (H − L)"),
    "pivot_camarilla_r3": (off_close(1 / 4), "Camarilla R3 = C + 1.1 (H − L) / 4"),
    "pivot_camarilla_s3": (off_close(-1 / 4), "Camarilla S3 = C − 1.1 (H − L) / 4"),
    "pivot_camarilla_r4": (off_close(1 / 2), "Camarilla R4 = C + 1.1 (H − L) / 2"),
    "pivot_camarilla_s4": (off_close(-1 / 2), "Camarilla S4 = C − 1.1 (H − L) / 2"),
    "yesterday_high": (lambda day: day[0], "H of yesterday"),
    "yesterday_low": (lambda day: day[1], "L of yesterday"),
}
"""Column → the level, and its formula."""


def round_place(digits: int) -> Formula:
    """Place between two neighbouring prices of so many leading digits: 0 on one, ±1 half way to the next."""

    def of(w: Window) -> FloatArray:
        step = 10.0 ** (np.floor(np.log10(w.close)) + 1 - digits)
        steps = w.close / step
        return 2 * (steps - np.rint(steps))

    return of


def windows(w: Window, values: FloatArray) -> FloatArray:
    """The last `BARS` values of each wanted bar: (I, wanted, BARS), NaN where they are not there."""
    seen, wanted = w.tail(values, BARS), len(w.wanted_times)
    return np.lib.stride_tricks.sliding_window_view(padded(seen, wanted + BARS - 1), BARS, axis=-1)


def resistance_gap(w: Window) -> FloatArray:
    """(close − highest high of the four hours) / MTR of the bars."""
    return ratio(w.close - w.highest(BARS), w.reach)


def support_gap(w: Window) -> FloatArray:
    """(close − lowest low of the four hours) / MTR of the bars."""
    return ratio(w.close - w.lowest(BARS), w.reach)


def resistance_touches(w: Window) -> FloatArray:
    """Share of the bars whose high comes within 0.25 MTR of the highest."""
    near = w.wanted(w.highest(BARS) - TOUCH * w.reach)
    touched: FloatArray = (windows(w, w.high) >= near[..., None]).mean(axis=-1)
    return touched


def support_touches(w: Window) -> FloatArray:
    """Share of the bars whose low comes within 0.25 MTR of the lowest."""
    near = w.wanted(w.lowest(BARS) + TOUCH * w.reach)
    touched: FloatArray = (windows(w, w.low) <= near[..., None]).mean(axis=-1)
    return touched


def quantile_gap(percent: int) -> Formula:
    """(close − percentile of the last `BARS` closes, interpolated linearly) / MTR."""

    def of(w: Window) -> FloatArray:
        ordered = w.shared("ordered closes", lambda: np.sort(windows(w, w.close), axis=-1))
        place = percent / 100 * (BARS - 1)
        lower, share = int(place), place - int(place)
        level = ordered[..., lower] + share * (ordered[..., min(lower + 1, BARS - 1)] - ordered[..., lower])
        return ratio(w.wanted(w.close) - level, w.wanted(w.reach))

    return of


ON_BARS = (
    Feature("resistance_gap_48", "MTR", "(close − highest high of 48) / MTR 14", BARS, resistance_gap),
    Feature("support_gap_48", "MTR", "(close − lowest low of 48) / MTR 14", BARS, support_gap),
    Feature("resistance_touches_48", "share", "highs within ¼ MTR of the highest of 48", BARS, resistance_touches),
    Feature("support_touches_48", "share", "lows within ¼ MTR of the lowest of 48", BARS, support_touches),
    *(
        Feature(
            f"quantile_gap_{percent}",
            "MTR",
            f"(close − {percent} % quantile of 48) / MTR 14",
            BARS,
            quantile_gap(percent),
        )
        for percent in QUANTILES
    ),
)

FEATURES = (
    Feature("leg_direction_240", "−1, 0, 1", "whether the high or the low of 240 is younger", LEG, leg_direction),
    Feature("retracement_240", "share", "way back from the end of the leg of 240", LEG, retracement),
    *(
        Feature(f"fibonacci_gap_{name}", "MTR", f"(close − {share:.1%} retraced) / MTR 14", LEG, fibonacci_gap(share))
        for name, share in FIBONACCI.items()
    ),
    *(
        Feature(
            f"{name}_gap",
            "days' ranges",
            f"(close − level) / (H − L) of yesterday, {text}",
            TWO_DAYS,
            pivot_gap(level),
            minutes=DAY,
            holes=HOLES,
        )
        for name, (level, text) in PIVOTS.items()
    ),
    Feature("round_place_2", "−1..1", "place between prices of 2 leading digits", 1, round_place(2)),
    Feature("round_place_3", "−1..1", "place between prices of 3 leading digits", 1, round_place(3)),
    *(feature.on(BAR_MINUTES, "5m") for feature in ON_BARS),
)
