"""Search for patterns in the earlier part of a history, and ask the later part whether any of them is one.

Whoever looks at tens of thousands of windows finds hundreds that were right three times of four by luck alone: of coin
flips every eighteenth pattern with ten occurrences is right eight times or more. So what the search finds is a
candidate and nothing else. The gate is the later part, which took no part in the search: an exact one-sided binomial
test against the base rate of the direction, corrected by Benjamini and Hochberg over *every* candidate tried, those
that the search dropped included.

A tie says nothing of a direction, so hits and base rates are shares of the minutes that moved. Were a tie a miss,
whatever goes with a busy market would seem to know both directions at once, for a busy market ties less often.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.patterns.named import FAMILIES, known_directions
from models_ml.patterns.windows import LENGTHS, NAMES, NONE, codes, described
from models_ml.validation.multiplicity import at_least, q_values
from models_ml.validation.splits import time_ordered

LEAST, SHARE = 10, 0.75
"""A candidate occurred so often in the earlier part and was right so often there."""
EARLIER = 0.6
"""Share of the history in which is searched."""
FDR = 0.05
"""Expected share of false ones among the promoted."""
STEP_S = 60
BP = 1e4


@dataclass(frozen=True, slots=True)
class Record:
    """What followed the occurrences in one part. Times are open times of the last candle of the first and last one.

    `n` counts the occurrences after which price moved, `ties` the others; the mean result is over both.
    """

    n: int
    hits: int
    ties: int = 0
    result_bps: float | None = None
    risk_reward: float | None = None
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate with its record in both parts.

    Attributes:
        key: name of the window, or key in `PATTERNS`.
        base: share of the direction among moving minutes of the later part, on the instruments it occurred on.
        p, q: exact one-sided tail in the later part, and the same adjusted for everything that was tried.
    """

    kind: str
    key: str
    direction: int
    descriptor: dict[str, object]
    earlier: Record
    later: Record
    base: float
    p: float
    q: float = 1.0

    @property
    def is_promoted(self) -> bool:
        """Whether it passed the gate."""
        return self.q <= FDR


@dataclass(frozen=True, slots=True)
class Mined:
    """What a search found. `tried` counts every (pattern, direction) that occurred often enough to be looked at."""

    trials: tuple[Trial, ...]
    tried: int
    split_at: int  # open time at which the later part begins
    windows: int
    base_up: float
    base_down: float

    @property
    def promoted(self) -> tuple[Trial, ...]:
        """Those that passed the gate."""
        return tuple(trial for trial in self.trials if trial.is_promoted)


@dataclass(frozen=True, slots=True)
class _Market:
    """Outcomes of every candle, and the two parts of time."""

    times: IntArray
    moves: FloatArray  # (I, T) ln(close / open) of the next candle, NaN where it is missing
    earlier: NDArray[np.bool_]  # (T,)
    later: NDArray[np.bool_]
    base: dict[int, FloatArray] = field(default_factory=dict)  # direction → (I,) base rate in the later part


@dataclass(frozen=True, slots=True)
class _Sightings:
    """Occurrences, one a minute for each name: instruments move together, so those of one minute are one."""

    names: IntArray
    instruments: IntArray
    steps: IntArray


def mine(
    open_times: IntArray, ohlcv: FloatArray, *, families: tuple[str, ...] = FAMILIES, lengths: tuple[int, ...] = LENGTHS
) -> Mined:
    """Search, and put every candidate through the gate.

    Named patterns had their name before this history: they need no record in its earlier part to be tested, and count
    among the tried like any other.

    Args:
        open_times: (T,) epoch seconds of one market class's time axis.
        ohlcv: (I, T, 5); a missing candle is NaN. Not changed.
        families: of named patterns to test beside the mined ones.
        lengths: of windows.

    Raises:
        BadSplit: a history too short to be split.
    """
    market = _market(open_times, ohlcv)
    trials, tried, windows = [], 0, 0
    for length, names in codes(open_times, ohlcv, lengths):
        windows += int((names != NONE).sum())
        found, looked = _search(market, names, length)
        trials += found
        tried += looked
    for key, directions in _named(open_times, ohlcv, families):
        for direction in (1, -1):
            if trial := _test_named(market, key, directions, direction):
                trials.append(trial)
                tried += 1
    return _gated(market, trials, tried, windows)


def _market(open_times: IntArray, ohlcv: FloatArray) -> _Market:
    moves = np.full(ohlcv.shape[:2], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        moves[:, :-1] = np.log(ohlcv[:, 1:, 3] / ohlcv[:, 1:, 0])
    moves[:, :-1][:, np.diff(open_times) != STEP_S] = np.nan  # the next candle belongs to another session
    first, second = time_ordered(open_times + STEP_S, (EARLIER, 1 - EARLIER))
    parts = np.zeros((2, len(open_times)), bool)
    parts[0, first], parts[1, second] = True, True
    base = {way: _rates(moves[:, parts[1]], way) for way in (1, -1)}
    return _Market(open_times, moves, parts[0], parts[1], base)


def _rates(moves: FloatArray, direction: int) -> FloatArray:
    """How often each instrument moved that way, of the minutes in which it moved."""
    moved = (np.abs(moves) > 0).sum(axis=1)
    return np.asarray((direction * moves > 0).sum(axis=1) / np.maximum(moved, 1))


def _sightings(market: _Market, names: IntArray, part: NDArray[np.bool_]) -> _Sightings:
    """The occurrences (I, T → N) in a part whose outcome is known."""
    who, when = np.nonzero((names != NONE) & np.isfinite(market.moves) & part)
    found = names[who, when]
    _, place = np.unique(found * len(market.times) + when, return_index=True)
    return _Sightings(found[place], who[place], when[place])


def _search(market: _Market, names: IntArray, length: int) -> tuple[list[Trial], int]:
    """Candidates of one length, and how many (name, direction) were looked at."""
    seen, later = (_sightings(market, names, part) for part in (market.earlier, market.later))
    moves = market.moves[seen.instruments, seen.steps]
    n = np.bincount(seen.names, weights=moves != 0, minlength=NAMES)
    enough = n >= LEAST
    trials = []
    for direction in (1, -1):
        hits = np.bincount(seen.names, weights=direction * moves > 0, minlength=NAMES)
        for name in np.flatnonzero(enough & (hits >= SHARE * n)):
            descriptor = described(length, int(name))
            records = _pick(seen, int(name)), _pick(later, int(name))
            trials.append(_trial(market, "mined", descriptor.key, direction, descriptor.as_json(), records))
    return trials, 2 * int(enough.sum())


def _pick(sightings: _Sightings, name: int) -> tuple[IntArray, IntArray]:
    """Instruments and steps of one name; sightings are sorted by name."""
    first, end = np.searchsorted(sightings.names, [name, name + 1])
    return sightings.instruments[first:end], sightings.steps[first:end]


def _named(
    open_times: IntArray, ohlcv: FloatArray, families: tuple[str, ...]
) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """Each named pattern with what every candle of every instrument makes known, (I, T)."""
    if families:
        each = [known_directions(open_times, candles, families=families) for candles in ohlcv]
        for row in zip(*each, strict=True):
            yield row[0][0], np.stack([signs for _, signs in row])


def _test_named(market: _Market, key: str, directions: NDArray[np.int8], direction: int) -> Trial | None:
    names = np.where(directions == direction, 0, NONE)
    seen, later = (_sightings(market, names, part) for part in (market.earlier, market.later))
    if (market.moves[seen.instruments, seen.steps] != 0).sum() < LEAST:
        return None
    records = (seen.instruments, seen.steps), (later.instruments, later.steps)
    return _trial(market, "named", key, direction, {}, records)


Places = tuple[IntArray, IntArray]


def _trial(
    market: _Market,
    kind: str,
    key: str,
    direction: int,
    descriptor: dict[str, object],
    records: tuple[Places, Places],
) -> Trial:
    earlier, later = (_record(market, places, direction) for places in records)
    who, when = records[1]
    base = market.base[direction][who[market.moves[who, when] != 0]]
    rate = float(base.mean()) if len(base) else float(market.base[direction].mean())
    p = at_least(np.array([later.hits]), np.array([later.n]), np.array([rate]))
    return Trial(kind, key, direction, descriptor, earlier, later, rate, float(p[0]))


def _record(market: _Market, places: Places, direction: int) -> Record:
    who, when = places
    if not len(who):
        return Record(0, 0)
    moves = direction * market.moves[who, when] * BP
    won, lost = moves[moves > 0], moves[moves < 0]
    reward = float(won.mean() / -lost.mean()) if len(won) and len(lost) else None
    first, last = int(market.times[when.min()]), int(market.times[when.max()])
    moved = len(won) + len(lost)
    return Record(moved, len(won), len(moves) - moved, float(moves.mean()), reward, first, last)


def _gated(market: _Market, trials: list[Trial], tried: int, windows: int) -> Mined:
    q = q_values(np.array([trial.p for trial in trials]), tried)
    judged = [replace(trial, q=float(value)) for trial, value in zip(trials, q, strict=True)]
    later = market.moves[:, market.later]
    moved = max(int((np.abs(later) > 0).sum()), 1)
    return Mined(
        trials=tuple(sorted(judged, key=lambda trial: (trial.p, trial.key, trial.direction))),
        tried=tried,
        split_at=int(market.times[market.later][0]),
        windows=windows,
        base_up=float((later > 0).sum() / moved),
        base_down=float((later < 0).sum() / moved),
    )
