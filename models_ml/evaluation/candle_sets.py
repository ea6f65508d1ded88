"""Candle files as the samples that live training would have made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lib.errors import CandorError
from markets.calendars import open_minutes
from markets.values import FloatArray, IntArray
from markets.venues.replay import Recording, read_recording
from models_ml.evaluation.sources import digest_of
from models_ml.evaluation.vector import rows_of, samples_of
from models_ml.features import FEATURES_HASH, LOOKBACK, VECTOR
from models_ml.samples import UNKNOWN_LABEL, Samples
from models_ml.validation.splits import PURGE_S

MINUTE_S, DAY_S = 60, 86_400
HOLE_S = {True: DAY_S, False: 7 * DAY_S}
"""A silence of all instruments longer than this is the join of two recordings; by whether trading never rests."""
FEATURES_CODE = Path(__file__).parents[1] / "features"
CHUNK = 1 << 14
"""Rows of features built at a time, which bounds the memory beside the result."""
UNSEEN = 0
"""Number of an instrument that the training part does not hold."""

Entry = Literal["next_open", "close"]
Say = Callable[[str, int, int], None]
"""Told (what, done, in all)."""


class BadSet(CandorError):
    """Files that make no set to be judged on; the message names them and the remedy."""


class CloseEntry(Samples):
    """The same rows, judged from close to close: an entry nobody gets, printed because others print it."""

    __slots__ = ()

    def labels(self) -> NDArray[np.int8]:
        """As `Samples.labels`, of sign(close[t+1] − close[t])."""
        return closing_labels(self)


@dataclass(frozen=True, slots=True)
class CandleSet:
    """Instruments on one time axis. `train_until` parts the decisions by time; rows of the test part come after it.

    `digest` names the content: files, span, entry and the code of the features.
    """

    samples: Samples
    symbols: tuple[str, ...]
    train: IntArray  # rows of `samples`
    test: IntArray
    digest: str
    files: tuple[str, ...]
    features: Path  # where they are kept

    @property
    def entry(self) -> Entry:
        """The question that is asked."""
        return "close" if isinstance(self.samples, CloseEntry) else "next_open"

    def part(self, rows: IntArray) -> Samples:
        """The samples of some rows."""
        return self.samples.pick(rows)


def load_set(
    train: Sequence[Path],
    test: Sequence[Path] = (),
    *,
    cache: Path,
    split: float = 0.8,
    within: float = 1.0,
    entry: Entry = "next_open",
    say: Say | None = None,
) -> CandleSet:
    """Read the files, build the features once, and part the decisions.

    Args:
        train: files to learn from; with no `test` the last 1 − `split` of their minutes is the test part.
        test: files to be judged on, of other minutes than those learned from.
        cache: folder where features are kept, one file a set.
        split: share of the minutes to learn from.
        within: use only this first share of the minutes: choices are made there, and the rest stays unopened.
        entry: the question, see docs/evaluation.md.
        say: told how far the features are.

    Raises:
        BadSet: nothing to learn from or to be judged on, or the parts overlap.
        RecordingError: a file that is no recording.
    """
    _check(train, test, split, within)
    learned, judged = [read_recording(path) for path in train], [read_recording(path) for path in test]
    span = _span(learned, judged)
    seen = sorted({_key(one) for one in learned})
    keys = [*seen, *sorted({_key(one) for one in judged} - set(seen))]
    names = tuple(key.split(" ", 1)[1] for key in keys)
    times, ohlcv = lay_out([*learned, *judged], keys)
    content = digest_of([path.name for path in (*train, *test)], *train, *test, FEATURES_HASH, FEATURES_CODE)
    kept = cache / f"{content}.npy"
    features = cached_features(times, ohlcv, names, kept, say)  # of all: a row knows nothing of those after it
    keep, digest = round(within * len(times)), digest_of(content, within)
    times, ohlcv, features = times[:keep], ohlcv[:, :keep], features[:, :keep]
    market = np.array([place + 1 if place < len(seen) else UNSEEN for place in range(len(keys))], dtype=np.int64)
    rows = np.argwhere(np.isfinite(ohlcv[..., 3]))
    samples = samples_of(CloseEntry if entry == "close" else Samples, times, ohlcv, features, market, rows, names)
    before, after = _parted(
        times[rows[:, 1]] + MINUTE_S, span or (int(times[round(split * len(times))]), int(times[-1]))
    )
    if not len(before) or not len(after):
        raise BadSet(f"{len(times)} minutes leave no decision to learn from or none to be judged on: give more candles")
    question = f"{digest}-{entry}" + ("" if span else f"-{split:g}")
    return CandleSet(samples, names, before, after, question, tuple(path.name for path in (*train, *test)), kept)


def _check(train: Sequence[Path], test: Sequence[Path], split: float, within: float) -> None:
    if not train:
        raise BadSet("no file to learn from: --train takes a pattern such as 'data/*_1m.parquet'")
    twice = {path.name for path in train} & {path.name for path in test}
    if twice:
        raise BadSet(f"{sorted(twice)[0]} is to be learned from and judged on: leave it out of --train or --test")
    if not 0 < split < 1 or not 0 < within <= 1 or (test and within < 1):
        raise BadSet("--split and --within are shares between 0 and 1, and --within needs --split instead of --test")


def _span(learned: Sequence[Recording], judged: Sequence[Recording]) -> tuple[int, int] | None:
    """First and last open time to be judged on, None without files for it; raises `BadSet` where both parts meet."""
    if not judged:
        return None
    start, end = min(int(one.open_times[0]) for one in judged), max(int(one.open_times[-1]) for one in judged)
    for one in learned:
        if one.open_times[0] <= end and one.open_times[-1] >= start:
            raise BadSet(
                f"{_key(one)} is learned from minutes that are to be judged: other instruments know them too, "
                "take --train and --test from different times, or use --split"
            )
    return start, end


def _parted(decided: IntArray, span: tuple[int, int]) -> tuple[IntArray, IntArray]:
    """Rows to learn from, purged before the span and a look-back away after it, and rows inside it."""
    start, end = span[0] + MINUTE_S, span[1] + MINUTE_S
    learn = (decided < start - PURGE_S) | (decided > end + LOOKBACK * MINUTE_S)
    return np.flatnonzero(learn), np.flatnonzero((decided >= start) & (decided <= end))


def _key(one: Recording) -> str:
    """Venue and symbol: the same instrument in several files is one row of the panel."""
    return f"{one.venue} {one.spec.symbol}"


def lay_out(recordings: Sequence[Recording], keys: Sequence[str]) -> tuple[IntArray, FloatArray]:
    """One time axis (T,) of due minutes and the candles on it (I, T, 5), NaN where missing.

    A minute is due when the calendar says so or anybody has a candle. Where everybody is silent for longer than
    `HOLE_S` two recordings meet: of such a hole the last `LOOKBACK` minutes stay, missing, so that no look-back reaches
    across.
    """
    found = np.unique(np.concatenate([one.open_times for one in recordings]))
    calendar = "always" if any(one.spec.calendar == "always" for one in recordings) else recordings[0].spec.calendar
    stretches = np.split(found, np.flatnonzero(np.diff(found) > HOLE_S[calendar == "always"]) + 1)
    parts = []
    for number, stretch in enumerate(stretches):
        due = open_minutes(calendar, int(stretch[0]), int(stretch[-1]) + MINUTE_S)
        if number:
            parts.append(stretch[0] + MINUTE_S * np.arange(-LOOKBACK, 0))
        parts.append(np.union1d(due, stretch))
    times = np.unique(np.concatenate(parts)).astype(np.int64)
    ohlcv = np.full((len(keys), len(times), 5), np.nan)
    for one in recordings:
        place, where = keys.index(_key(one)), np.searchsorted(times, one.open_times)
        if np.isfinite(ohlcv[place, where, 3]).any():
            raise BadSet(f"{_key(one)} has the same minutes in two files: leave one of them out")
        ohlcv[place, where] = one.ohlcv
    return times, ohlcv


def cached_features(
    times: IntArray, ohlcv: FloatArray, symbols: Sequence[str], path: Path, say: Say | None = None
) -> NDArray[np.float32]:
    """Features (I, T, F) in single precision, read from the disk as they are asked for; built once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        shape = (*ohlcv.shape[:2], len(VECTOR))
        table = np.lib.format.open_memmap(draft, mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, shape[1], CHUNK):
            seen = slice(max(start - LOOKBACK + 1, 0), start + CHUNK)
            rows = min(CHUNK, shape[1] - start)
            table[:, start : start + rows] = rows_of(times[seen], ohlcv[:, seen], rows, symbols)
            if say:
                say("features", start + rows, shape[1])
        table.flush()
        del table
        draft.rename(path)
    found: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return found


def moves(samples: Samples) -> FloatArray:
    """Log return (N,) from entry to exit of each decision's minute; NaN where it is unknown."""
    return _moves(samples, from_close=isinstance(samples, CloseEntry))


def closing_labels(samples: Samples) -> NDArray[np.int8]:
    """Labels (N,) as `Samples.labels`, of sign(close[t+1] − close[t])."""
    move = _moves(samples, from_close=True)
    return np.where(np.isfinite(move), np.sign(np.nan_to_num(move)) + 1, UNKNOWN_LABEL).astype(np.int8)


def _moves(samples: Samples, *, from_close: bool) -> FloatArray:
    instruments, now = samples.index.T
    then = np.minimum(now + 1, len(samples.open_times) - 1)
    exits = samples.ohlcv[instruments, then, 3]
    entries = samples.ohlcv[instruments, now, 3] if from_close else samples.ohlcv[instruments, then, 0]
    adjacent = samples.open_times[then] == samples.open_times[now] + MINUTE_S
    return np.where(adjacent, np.log(exits / entries), np.nan)
