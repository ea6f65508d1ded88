"""How variance runs through the day: a multiplicative profile of five-minute slots, shrunk and smoothed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.agents.realised import DAY, MINUTE_S, Tape

SLOT = 5
SLOTS = DAY // SLOT
HOUR_S = 3600
OWN_DAYS = 20.0
"""After this many days an instrument's own profile counts as much as that of its market class."""
WILD = 50.0
"""A minute counts as at most this many ordinary ones: one announcement makes no profile."""
SHORT_DAYS = 60.0
"""Under this much history the slots are smoothed over their neighbours twice as far."""
LEAST = 0.02
"""The quietest slot, as a share of the mean one."""


def local_minutes(times: IntArray, zone: str) -> IntArray:
    """Minute of the day, 0..1439, of each instant (epoch seconds) on the clock of `zone`."""
    return (times + _offsets(times, zone)) // MINUTE_S % DAY


def _offsets(times: IntArray, zone: str) -> IntArray:
    if zone == "UTC":
        return np.zeros_like(times)
    hours, place = np.unique(times // HOUR_S, return_inverse=True)
    clock = ZoneInfo(zone)
    shifts = [datetime.fromtimestamp(int(hour) * HOUR_S, UTC).astimezone(clock).utcoffset() for hour in hours]
    return np.array([shift.total_seconds() if shift else 0 for shift in shifts], dtype=np.int64)[place]


@dataclass(frozen=True, slots=True)
class DayProfile:
    """Variance of each slot over the day's mean: `pooled` (S,), and `own` (M, S) of the instruments `market` (M,).

    `level` (M,) is the mean logarithm of the days' variance, which calm and wild days return to.
    """

    zone: str
    pooled: FloatArray
    own: FloatArray
    market: IntArray
    level: FloatArray

    @classmethod
    def fit(cls, tape: Tape, market: IntArray, zone: str) -> Self:
        """Learn from every minute of the tape: squared returns against the variance of the day before."""
        before = np.concatenate([np.full((len(market), 1), np.nan), tape.day[:, :-1]], axis=1)
        with np.errstate(invalid="ignore"):
            shares = np.minimum(tape.series["square"] / before, WILD)
        slots = local_minutes(tape.open_times, zone) // SLOT
        known = np.isfinite(shares)
        counts = np.stack([np.bincount(slots[row], minlength=SLOTS).astype(np.float64) for row in known])
        sums = np.stack(
            [np.bincount(slots[k], s[k], SLOTS).astype(np.float64) for k, s in zip(known, shares, strict=True)]
        )
        days = counts.sum(axis=1) / DAY
        wide = 2.0 if days.mean() < SHORT_DAYS else 1.0
        pooled = _smooth(_shares(sums.sum(axis=0), counts.sum(axis=0)), wide)
        own = _smooth(_shares(sums, counts), 1.5 * wide)
        trust = (days / (days + OWN_DAYS))[:, None]
        blended = np.exp((1 - trust) * np.log(pooled) + trust * np.log(own))
        return cls(zone, pooled, blended, market, _levels(tape.day))

    def ahead(self, market: IntArray, open_times: IntArray, horizon: int) -> FloatArray:
        """Log of the mean profile over the `horizon` minutes after each candle, (I, R)."""
        return self._mean(market, local_minutes(open_times + MINUTE_S, self.zone), horizon)

    def past(self, market: IntArray, open_times: IntArray, length: int) -> FloatArray:
        """The same over the `length` minutes up to and with each candle."""
        return self._mean(market, (local_minutes(open_times + MINUTE_S, self.zone) - length) % DAY, length)

    def above_level(self, market: IntArray, day: FloatArray) -> FloatArray:
        """Log of the last day's variance (I, R) over the instrument's usual level; NaN for an unknown instrument."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(day) - self.levels(market)[:, None])

    def levels(self, market: IntArray) -> FloatArray:
        """Log of each instrument's usual variance (I,); NaN for an unknown one."""
        return np.array([self.level[row] if row is not None else np.nan for row in self._places(market)])

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "zone": self.zone,
            "pooled": self.pooled.tolist(),
            "own": self.own.tolist(),
            "market": self.market.tolist(),
            "level": [None if np.isnan(level) else level for level in self.level.tolist()],
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """What `as_json` wrote."""
        own = np.array(found["own"], dtype=np.float64).reshape(-1, SLOTS)
        market, level = np.array(found["market"], dtype=np.int64), np.array(found["level"], dtype=np.float64)
        return cls(found["zone"], np.array(found["pooled"]), own, market, level)

    def _mean(self, market: IntArray, starts: IntArray, length: int) -> FloatArray:
        slots = np.stack([self.pooled if row is None else self.own[row] for row in self._places(market)])
        slots = np.concatenate([slots, slots, slots[:, :1]], axis=1)  # two days, and the slot after them
        before = np.pad(SLOT * np.cumsum(slots, axis=1), ((0, 0), (1, 0)))

        def until(minutes: IntArray) -> FloatArray:
            """The sum over the minutes before each of `minutes`."""
            return np.asarray(before[:, minutes // SLOT] + minutes % SLOT * slots[:, minutes // SLOT])

        return np.asarray(np.log((until(starts + length) - until(starts)) / length))

    def _places(self, market: IntArray) -> list[int | None]:
        known = {int(number): row for row, number in enumerate(self.market)}
        return [known.get(int(number)) for number in market]


def _levels(day: FloatArray) -> FloatArray:
    """Mean logarithm of each row's known values, NaN where it has none."""
    known = np.isfinite(day)
    logs = np.log(np.where(known, day, 1.0))
    with np.errstate(invalid="ignore"):
        return np.asarray(logs.sum(axis=1) / known.sum(axis=1))


def _shares(sums: FloatArray, counts: FloatArray) -> FloatArray:
    """Mean of each slot over the mean of all; a slot never seen is an ordinary one."""
    seen = counts > 0
    means = sums / np.maximum(counts, 1)
    overall = (means * seen).sum(axis=-1, keepdims=True) / np.maximum(seen.sum(axis=-1, keepdims=True), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(seen, means / overall, 1.0)
    return np.asarray(np.maximum(np.nan_to_num(shares, nan=1.0), LEAST))


def _smooth(values: FloatArray, wide: float) -> FloatArray:
    """Gaussian weights over neighbouring slots, `wide` slots of standard deviation, midnight not a border."""
    away = np.minimum(np.arange(SLOTS), SLOTS - np.arange(SLOTS))
    weights = np.exp(-0.5 * (away / wide) ** 2)
    spectrum = np.fft.rfft(values, axis=-1) * np.fft.rfft(weights / weights.sum())
    return np.asarray(np.maximum(np.fft.irfft(spectrum, SLOTS, axis=-1), LEAST))
