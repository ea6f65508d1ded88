"""The UTC day so far, and the hour against the same hour yesterday."""

from collections.abc import Callable

import numpy as np

from markets.values import FloatArray
from models_ml.features.rolling import gap, padded, ratio, rolling_sum
from models_ml.features.window import Feature, Window

DAY = 1440
DAY_SECONDS = 86_400
HOLES = 0.05
HOUR = 60

Running = Callable[[FloatArray], FloatArray]


def days(w: Window) -> Window:
    """The UTC days of the wanted rows, whole."""

    def make() -> Window:
        first = int(np.searchsorted(w.open_times // DAY_SECONDS, w.wanted_times[0] // DAY_SECONDS))
        return Window(w.open_times[first:], w.fields[..., first:], len(w.wanted_times))

    return w.root.shared("days", make)


def since_midnight(w: Window, values: FloatArray, run: Running) -> FloatArray:
    """A running form of each UTC day of `days` by itself, up to each wanted row."""
    starts = np.flatnonzero(np.diff(w.open_times // DAY_SECONDS, prepend=-1))
    parts = [run(values[..., start:end]) for start, end in zip(starts, [*starts[1:], len(w.open_times)], strict=True)]
    return w.wanted(np.concatenate(parts, axis=-1))


def running_sum(values: FloatArray) -> FloatArray:
    """Sum so far; a missing value counts nothing."""
    return np.cumsum(np.where(np.isnan(values), 0.0, values), axis=-1)


def running_max(values: FloatArray) -> FloatArray:
    """Largest so far."""
    return np.fmax.accumulate(values, axis=-1)


def day_range(w: Window) -> tuple[FloatArray, FloatArray]:
    """High and low of the day so far."""

    def make() -> tuple[FloatArray, FloatArray]:
        day = days(w)
        return since_midnight(day, day.high, running_max), -since_midnight(day, -day.low, running_max)

    return w.shared("day", make)


def day_place(w: Window) -> FloatArray:
    """Place of the close in the range of the day so far."""
    high, low = day_range(w)
    close = w.wanted(w.close)
    return ratio((close - low) - (high - close), high - low)


def day_breadth(w: Window) -> FloatArray:
    """(high − low) of the day so far / (MTR √minutes of the day so far)."""
    high, low = day_range(w)
    passed = (w.wanted_times % DAY_SECONDS) / 60 + 1
    return ratio(high - low, w.wanted(w.near.reach) * np.sqrt(passed))


def vwap_gap(w: Window) -> FloatArray:
    """(close − volume-weighted mean price of the day so far) / MTR."""
    day = days(w)
    money = since_midnight(day, day.typical * day.volume, running_sum)
    level = money / since_midnight(day, day.volume, running_sum)
    return ratio(gap(w.wanted(w.close), level), w.wanted(w.near.reach))


def against_yesterday(w: Window, form: Callable[[Window], FloatArray]) -> FloatArray:
    """(Form of the last hour − the same a day of candles ago) / their sum."""
    rows, steps = len(w.wanted_times), max(len(w.open_times) - DAY, 0)
    ago = form(Window(w.open_times[:steps], w.fields[..., :steps], min(rows, steps)).near)
    now, ago = w.wanted(form(w.near)), padded(ago[..., -rows:], rows)
    return ratio(now - ago, now + ago)


def deviation(w: Window) -> FloatArray:
    """Root mean square of the hour's returns."""
    return w.deviation(HOUR)


def volume(w: Window) -> FloatArray:
    """The hour's volume; unknown where there is none."""
    total = rolling_sum(w.volume, HOUR)
    return np.where(total > 0, total, np.nan)


def hour_deviation(w: Window) -> FloatArray:
    """Volatility of the hour against the same hour yesterday."""
    return against_yesterday(w, deviation)


def hour_volume(w: Window) -> FloatArray:
    """Volume of the hour against the same hour yesterday."""
    return against_yesterday(w, volume)


FEATURES = (
    Feature("day_place", "−1..1", "place in the range of the UTC day so far", DAY, day_place, holes=HOLES),
    Feature("day_breadth", "ratio", "(high − low) of the day / (MTR 14 √minutes)", DAY, day_breadth, holes=HOLES),
    Feature(
        "day_deviation_ratio", "−1..1", "σ 60 against a day ago: (a − b) / (a + b)", DAY + HOUR + 1, hour_deviation
    ),
)

VOLUME = (
    Feature("session_vwap_gap", "MTR", "(close − VWAP since 0 o'clock UTC) / MTR 14", DAY, vwap_gap, holes=HOLES),
    Feature("day_volume_ratio", "−1..1", "volume of 60 against a day ago: (a − b) / (a + b)", DAY + HOUR, hour_volume),
)
