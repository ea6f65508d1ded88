"""What headlines, an index of mood and the calendar of events say at the moment of decision.

A headline is known from when it was observed, an index from when it was published, an event from when its calendar was
read. Without a source, before it was first read and after it fell silent a column is unknown: no news is news only
where somebody listens.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray

MINUTE, HOUR, DAY = 60, 3600, 86_400
SPANS = {"1h": HOUR, "6h": 6 * HOUR, "24h": DAY}
SILENT_S = HOUR
"""A source that was heard longer ago than this has fallen silent: what it did not say since is unknown."""
STALE_S = 3 * DAY
"""An index value older than this says nothing about today."""
INDEX_BACK = {"1d": DAY, "7d": 7 * DAY}
MIDDLE = 50.0
"""Balance of an index from 0 (fear) to 100 (greed)."""
FARTHEST = DAY // MINUTE
"""Minutes to or since an event beyond which it is far: a day."""


@dataclass(frozen=True, slots=True)
class Headlines:
    """N headlines in order of `times`, read from `since` until `until` (epoch seconds)."""

    times: FloatArray  # (N,) when each was observed
    scores: FloatArray  # (N,) −1..1
    about: NDArray[np.bool_]  # (N, I) which instruments each concerns
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Events:
    """N events of high impact in order of `times`, out of calendars that reach from `since` to `until`."""

    times: FloatArray  # (N,) epoch seconds
    known: FloatArray  # (N,) when each became known
    about: NDArray[np.bool_]  # (N, I)
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Moods:
    """Daily values, oldest first, of the index that fits each instrument; NaN where it has none."""

    known: FloatArray  # (I, K) epoch seconds of publication
    values: FloatArray  # (I, K) 0 to 100


WORD_FEATURES: dict[str, tuple[str, str]] = {
    **{f"headline_tone_{span}": ("−1..1", f"mean score of the headlines of {span}") for span in SPANS},
    **{f"headline_count_{span}": ("ln", f"ln(1 + headlines of {span})") for span in SPANS},
    "fear_greed": ("−1..1", "(index − 50) / 50, as last published"),
    **{f"fear_greed_change_{span}": ("−2..2", f"(index − the one {span} before) / 50") for span in INDEX_BACK},
    "event_next": ("min", "minutes to the next event of high impact, 1440 at most"),
    "event_last": ("min", "minutes since the last one, 1440 at most"),
}
"""Column → unit and source."""
WORD_COLUMNS: tuple[str, ...] = tuple(WORD_FEATURES)
WORD_VERSION = 1
WORD_HASH: str = hashlib.sha256("\n".join((str(WORD_VERSION), *WORD_COLUMNS)).encode()).hexdigest()
"""Names and order of these columns, for whoever learns from them."""

Columns = dict[str, FloatArray]


def build_words(
    instruments: int,
    at: IntArray,
    *,
    headlines: Headlines | None = None,
    moods: Moods | None = None,
    events: Events | None = None,
) -> FloatArray:
    """The columns of `WORD_COLUMNS` (I, R, W) at R moments of decision (epoch seconds); NaN where unknown.

    What became known after a moment does not change its row.
    """
    out: FloatArray = np.full((instruments, len(at), len(WORD_COLUMNS)), np.nan)
    for row, moment in enumerate(at.tolist()):
        known: Columns = {}
        if headlines is not None:
            known |= _tones(headlines, moment)
        if moods is not None:
            known |= _moods(moods, moment)
        if events is not None:
            known |= distances(events, moment)
        for name, values in known.items():
            out[:, row, WORD_COLUMNS.index(name)] = values
    return out


def _tones(headlines: Headlines, at: int) -> Columns:
    columns: Columns = {}
    last = int(np.searchsorted(headlines.times, at, side="right"))
    for name, span in SPANS.items():
        if headlines.since > at - span or headlines.until < at - SILENT_S:
            continue
        first = int(np.searchsorted(headlines.times, at - span, side="right"))
        about = headlines.about[first:last]
        count = about.sum(axis=0).astype(np.float64)
        total = (about * headlines.scores[first:last, None]).sum(axis=0)
        columns[f"headline_count_{name}"] = np.log1p(count)
        columns[f"headline_tone_{name}"] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return columns


def _moods(moods: Moods, at: int) -> Columns:
    now = _published(moods, at)
    changes = {
        f"fear_greed_change_{name}": (now - _published(moods, at - back)) / MIDDLE for name, back in INDEX_BACK.items()
    }
    return {"fear_greed": (now - MIDDLE) / MIDDLE, **changes}


def _published(moods: Moods, at: int) -> FloatArray:
    """The newest value (I,) published at or before `at`, NaN where that is too long ago."""
    known = (moods.known <= at) & (moods.known > at - STALE_S) & np.isfinite(moods.values)
    last = known.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    return np.where(known.any(axis=1), moods.values[np.arange(len(last)), last], np.nan)


def distances(events: Events, at: int) -> Columns:
    """Minutes (I,) to the next and since the last event that was known at `at`, `FARTHEST` at most.

    Unknown where the calendar does not reach far enough to say that there is none.
    """
    heard = events.about & (events.known <= at)[:, None]
    ahead, past = heard & (events.times >= at)[:, None], heard & (events.times <= at)[:, None]
    next_ = np.where(ahead, events.times[:, None], np.inf).min(axis=0, initial=np.inf)
    last = np.where(past, events.times[:, None], -np.inf).max(axis=0, initial=-np.inf)
    far = FARTHEST * MINUTE
    beyond = np.nan if events.until < at + far else FARTHEST
    before = np.nan if events.since > at - far else FARTHEST
    return {
        "event_next": np.where(next_ <= at + far, (next_ - at) / MINUTE, beyond),
        "event_last": np.where(last >= at - far, (at - last) / MINUTE, before),
    }
