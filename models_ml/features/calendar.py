"""The clock at the moment of decision, UTC. These columns read no candle, so a gap leaves them known."""

import math

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.features.window import BASE_SECONDS, Feature, Formula, Window

HOUR, DAY = 3600, 86_400
WEEK = 7 * DAY
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""

FUNDING = 8 * HOUR
"""Most perpetual venues settle funding at 0, 8 and 16 o'clock UTC."""

SESSIONS = {"asia": (0, 9), "europe": (7, 16), "america": (13, 22)}
"""Usual hours of the big trading places, UTC, without daylight saving: [from, to)."""


def decided_at(w: Window) -> IntArray:
    """Epoch seconds of each row's close."""
    return w.wanted_times + BASE_SECONDS


def _everywhere(w: Window, values: FloatArray) -> FloatArray:
    return np.broadcast_to(values, (w.close.shape[0], len(values)))


def phase(period: int, wave: np.ufunc, start: int = 0) -> Formula:
    """Sine or cosine of the place in a period of seconds."""

    def of(w: Window) -> FloatArray:
        angle = (decided_at(w) + start) % period * (2 * math.pi / period)
        return _everywhere(w, wave(angle))

    return of


def in_session(first: int, last: int) -> Formula:
    """1 from hour `first` to before hour `last`, else 0."""

    def of(w: Window) -> FloatArray:
        hour = decided_at(w) % DAY // HOUR
        return _everywhere(w, ((hour >= first) & (hour < last)).astype(np.float64))

    return of


def weekend(w: Window) -> FloatArray:
    """1 on Saturday and Sunday, else 0."""
    day = (decided_at(w) // DAY + EPOCH_WEEKDAY) % 7
    return _everywhere(w, (day >= 5).astype(np.float64))


CYCLES = {"hour": (HOUR, 0), "day": (DAY, 0), "week": (WEEK, EPOCH_WEEKDAY * DAY), "funding": (FUNDING, 0)}
"""Cycle → period and shift of its start, seconds."""

FEATURES = (
    *(
        Feature(f"{name}_{word}", "−1..1", f"{word} of the place in the {name} cycle", 0, phase(period, wave, start))
        for name, (period, start) in CYCLES.items()
        for word, wave in (("sine", np.sin), ("cosine", np.cos))
    ),
    *(
        Feature(f"session_{name}", "0, 1", f"{first} to {last} o'clock UTC", 0, in_session(first, last))
        for name, (first, last) in SESSIONS.items()
    ),
    Feature("weekend", "0, 1", "Saturday, Sunday UTC", 0, weekend),
)
