"""What words and calendars say of a group of instruments at one moment: asked once, for everybody who listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from lib import clock
from markets.intelligence import reading
from markets.intelligence.subjects import concerned, currencies
from markets.models import Instrument
from markets.values import FloatArray
from models_ml.agents.sentiment import Tone, tone
from models_ml.features.words import DAY, MINUTE, WORD_COLUMNS, Events, Headlines, Moods, build_words, distances
from models_ml.tone import scores_of

MOOD_OF = {"crypto": "crypto_fear_greed", "index": "stock_fear_greed"}
"""Market class → key of the index that speaks of it; others have none."""
MOOD_BACK = timedelta(days=14)
TONE_S = 6 * 3600
"""Headlines of so many seconds make the tone of now."""


@dataclass(frozen=True, slots=True)
class News:
    """What was known of I instruments at `at`.

    Attributes:
        titles: per instrument the headlines of the last day that concern it, the newest first.
        tone: count and mean score of those of the last six hours.
        to_event, since_event: (I,) minutes to the next and since the last event of high impact, NaN where unknown.
    """

    at: int
    titles: tuple[tuple[str, ...], ...]
    tone: Tone
    headlines: Headlines | None
    moods: Moods | None
    events: Events | None
    to_event: FloatArray
    since_event: FloatArray

    def columns(self) -> FloatArray:
        """The word columns (I, W) of the feature vector, in the order of `WORD_COLUMNS`."""
        parts = {"headlines": self.headlines, "moods": self.moods, "events": self.events}
        return build_words(len(self.titles), np.array([self.at]), **parts)[:, 0]  # type: ignore[arg-type]  # by name

    def figures(self, row: int) -> Mapping[str, float]:
        """What a reason may name of one instrument: `headlines`, `headline_tone`, `fear_greed` (0 to 100), if known."""
        found = {"headlines": float(self.tone.count[row]), "headline_tone": float(self.tone.mean[row])}
        level = build_words(len(self.titles), np.array([self.at]), moods=self.moods)[
            row, 0, WORD_COLUMNS.index("fear_greed")
        ]
        found["fear_greed"] = float(level * 50 + 50)
        return {name: value for name, value in found.items() if np.isfinite(value)}


def news_of(instruments: Sequence[Instrument], close_time: int) -> News:
    """Everything that was known at the close of a candle; a handful of queries for any number of instruments."""
    at = clock.from_epoch(close_time)
    titles, headlines = _headlines(instruments, at)
    events = _events(instruments, at)
    unknown = np.full(len(instruments), np.nan)
    away = distances(events, close_time) if events else {"event_next": unknown, "event_last": unknown}
    recent = headlines.times > close_time - TONE_S if headlines else np.zeros(0, dtype=bool)
    heard = (headlines.scores[recent], headlines.about[recent]) if headlines else _nothing(len(instruments))
    return News(
        close_time,
        titles,
        tone(*heard),
        headlines,
        _moods(instruments, at),
        events,
        away["event_next"],
        away["event_last"],
    )


def _nothing(instruments: int) -> tuple[FloatArray, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    return np.zeros(0), np.zeros((0, instruments), dtype=bool)


def _headlines(instruments: Sequence[Instrument], at: datetime) -> tuple[tuple[tuple[str, ...], ...], Headlines | None]:
    coverage = reading.headline_coverage(at)
    if coverage.since is None or coverage.until is None:
        return tuple(() for _ in instruments), None
    known = reading.headlines(at, timedelta(seconds=DAY))
    wanted = [concerned(one.base, one.quote, one.market_class) for one in instruments]
    about = np.array([[bool(line.subjects & each) for each in wanted] for line in known], dtype=bool)
    about = about.reshape(len(known), len(instruments))
    scored = scores_of({line.id: line.title for line, mine in zip(known, about, strict=True) if mine.any()})
    titles = tuple(
        tuple(dict.fromkeys(line.title for line, mine in zip(known, about, strict=True) if mine[row]))
        for row in range(len(instruments))
    )
    order = slice(None, None, -1)  # oldest first
    return titles, Headlines(
        np.array([line.observed_at.timestamp() for line in known])[order],
        np.array([scored.get(line.id, 0.0) for line in known])[order],
        about[order],
        coverage.since.timestamp(),
        coverage.until.timestamp(),
    )


def _events(instruments: Sequence[Instrument], at: datetime) -> Events | None:
    coverage = reading.event_coverage(at)
    if coverage.since is None or coverage.until is None:
        return None
    day = timedelta(seconds=DAY + MINUTE)
    known = reading.events(at, day, day)
    wanted = [currencies(one.base, one.quote) for one in instruments]
    about = np.array([[event.currency in each for each in wanted] for event in known], dtype=bool)
    return Events(
        np.array([event.time.timestamp() for event in known]),
        np.array([event.observed_at.timestamp() for event in known]),
        about.reshape(len(known), len(instruments)),
        coverage.since.timestamp(),
        coverage.until.timestamp(),
    )


def _moods(instruments: Sequence[Instrument], at: datetime) -> Moods | None:
    keys = [MOOD_OF.get(one.market_class, "") for one in instruments]
    found = reading.index_values(filter(None, keys), at, MOOD_BACK)
    if not found:
        return None
    longest = max(len(values) for values in found.values())
    known, values = np.full((2, len(instruments), longest), np.nan)
    for row, key in enumerate(keys):
        for place, (published, value) in enumerate(reversed(found.get(key, []))):
            known[row, longest - 1 - place], values[row, longest - 1 - place] = published.timestamp(), value
    return Moods(known, values)
