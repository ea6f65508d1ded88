"""Recorded quotes as sessions, and what is asked of a book in them: frames before a decision, outcomes after it."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.errors import CandorError
from markets.values import BOOK_LEVELS, FloatArray, IntArray
from models_ml.features.book_frames import Frames, order_flow, queue_imbalance

DAY_S = 86_400
BREAK_S = 900.0
"""A silence this long ends a session: nothing is asked or answered across it."""
REACH_S = 120.0
"""Seconds of the book before a decision; earlier decisions of a session are not asked."""
CLOCK = (120.0, 100.0, 80.0, 60.0, 50.0, 40.0, 30.0, 25.0, 20.0, 15.0, 10.0, 7.5, 5.0, 3.0, 2.0, 1.0, 0.0)
"""Ages of the frames in clock time; those of the last `EVENTS` changes are put between them."""
EVENTS = 7
FRAMES = len(CLOCK) + EVENTS
HORIZONS: dict[str, float | None] = {"next": None, "10s": 10.0, "60s": 60.0}
"""Seconds from entry to the outcome; None is the next change of the mid."""
LATE_S = (0.0, 1.0)


class BadQuotes(CandorError):
    """A file that holds no quotes of the documented shape."""


@dataclass(frozen=True, slots=True)
class Session:
    """Quotes of one instrument without a break: N states, L levels a side."""

    instrument: str
    times: FloatArray  # (N,) epoch seconds, not unique
    prices: FloatArray  # (N, 2, L), bids first, NaN where a level is absent
    sizes: FloatArray  # (N, 2, L), 0 where a level is absent
    tick: float

    @property
    def mid(self) -> FloatArray:
        """Middle of the best prices (N,)."""
        middle: FloatArray = self.prices[..., 0].mean(axis=1)
        return middle

    @property
    def day(self) -> int:
        """UTC day number of its first quote."""
        return int(self.times[0] // DAY_S)

    def between(self, start: float, end: float) -> "Session":
        """The quotes of [start, end)."""
        first, last = np.searchsorted(self.times, [start, end])
        cut = slice(first, last)
        return Session(self.instrument, self.times[cut], self.prices[cut], self.sizes[cut], self.tick)


def read_sessions(path: Path) -> list[Session]:
    """The sessions of one parquet file, oldest first: level-1 (`bid_px`) or level-20 (`bid_px_1` ..) quotes.

    Raises `BadQuotes` for missing columns, no row, or times that run backwards.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    prices, sizes = (_sides(table, what, path) for what in ("px", "sz"))
    at = table["ts"].to_numpy().astype("datetime64[ms]").astype(np.int64) / 1000
    if not len(at) or (np.diff(at) < 0).any():
        raise BadQuotes(f"{path}: it holds no quotes, or they are not in order of time: sort it by `ts`")
    sizes = np.where(np.isfinite(prices), np.nan_to_num(sizes), 0.0)
    breaks = (np.diff(at) > BREAK_S) | (np.diff(at // DAY_S) > 0)
    tick = _tick(prices)
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(at)]
    return [
        Session(path.stem, at[start:end], prices[start:end], sizes[start:end], tick) for start, end in pairwise(edges)
    ]


def _sides(table: "object", what: str, path: Path) -> FloatArray:
    names = set(table.column_names)  # type: ignore[attr-defined]  # pyarrow carries no types
    one = {f"bid_{what}", f"ask_{what}"} <= names
    levels = [""] if one else [f"_{level}" for level in range(1, BOOK_LEVELS + 1) if f"bid_{what}_{level}" in names]
    if not levels or "ts" not in names:
        raise BadQuotes(f"{path}: needs `ts` and `bid_px`, `bid_sz`, `ask_px`, `ask_sz`, or those with _1 .. _20")
    return np.stack(
        [
            np.stack([table[f"{side}_{what}{level}"].to_numpy().astype(np.float64) for level in levels], axis=-1)  # type: ignore[index]
            for side in ("bid", "ask")
        ],
        axis=1,
    )


def _tick(prices: FloatArray) -> float:
    """The smallest step between best prices that is no rounding."""
    best = prices[..., 0]
    steps = np.abs(np.concatenate([np.diff(best, axis=0).ravel(), best[:, 1] - best[:, 0]]))
    steps = steps[steps > np.nanmedian(best) * 1e-9]
    return float(steps.min()) if len(steps) else 1.0


def decisions(session: Session, every_s: float) -> FloatArray:
    """Moments on the clock's grid with enough of the session before them."""
    first = np.ceil((session.times[0] + REACH_S) / every_s) * every_s
    return np.arange(first, session.times[-1] + 1e-9, every_s)


def frames_at(session: Session, at: FloatArray) -> Frames:
    """What was known of the book at each moment (n,): states by the clock, then the last changes, in order."""
    now = np.searchsorted(session.times, at, side="right") - 1
    clock = at[:, None] - np.array(CLOCK)
    events = np.maximum(now[:, None] - np.arange(EVENTS), 0)
    places = np.concatenate([np.searchsorted(session.times, clock, side="right") - 1, events], axis=1)
    places = np.maximum(places, 0)
    times = np.concatenate([clock, np.maximum(session.times[events], at[:, None] - REACH_S)], axis=1)
    order = np.lexsort((times, places), axis=1)
    places, times = np.take_along_axis(places, order, 1), np.take_along_axis(times, order, 1)
    times = np.maximum.accumulate(times, axis=1)
    prices, sizes = session.prices[places], session.sizes[places]
    flow, held = _running(session)
    flowed = np.diff(flow[places], axis=1, prepend=flow[places[:, :1]])
    now_lean = queue_imbalance(session.sizes[:, 0, 0], session.sizes[:, 1, 0])[places]
    area = held[places] + now_lean * (times - session.times[places])
    gap = np.diff(times, axis=1, prepend=times[:, :1])
    lean = np.where(gap > 0, np.diff(area, axis=1, prepend=area[:, :1]) / np.where(gap > 0, gap, 1), now_lean)
    return Frames(at[:, None] - times, prices, sizes, lean, flowed, np.full(len(at), session.tick))


def _running(session: Session) -> tuple[FloatArray, FloatArray]:
    """Order flow so far, and the time integral of the imbalance so far, at each state (N,)."""
    flow = np.cumsum(order_flow(session.prices[..., 0], session.sizes[..., 0]))
    imbalance = queue_imbalance(session.sizes[:, 0, 0], session.sizes[:, 1, 0])
    held = np.concatenate([[0.0], np.cumsum(imbalance[:-1] * np.diff(session.times))])
    return flow, held


def outcomes(session: Session, at: FloatArray, horizon_s: float | None, late_s: float) -> NDArray[np.int8]:
    """Outcome (n,) of an entry at the mid `late_s` after each moment: 0 down, 1 unchanged, 2 up, −1 unknown.

    The exit is the mid `horizon_s` after the entry, or the next other mid. Nothing is known past the session's end.
    """
    entry = at + late_s
    start = np.searchsorted(session.times, entry, side="right") - 1
    mid = np.round(session.mid / (session.tick / 2))  # whole half ticks: rounding is no change
    if horizon_s is None:
        end, known = _next_change(mid, start)
    else:
        end = np.searchsorted(session.times, entry + horizon_s, side="right") - 1
        known = entry + horizon_s <= session.times[-1]
    known &= entry <= session.times[-1]
    return np.where(known, np.sign(mid[end] - mid[start]) + 1, -1).astype(np.int8)


def _next_change(mid: FloatArray, start: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    changes = np.flatnonzero(np.diff(mid) != 0) + 1
    following = np.searchsorted(changes, start, side="right")
    known = following < len(changes)
    padded = np.append(changes, len(mid) - 1)
    return padded[following], known
