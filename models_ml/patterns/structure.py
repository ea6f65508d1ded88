"""Market structure: closes through the last swing, and gaps that trading jumped over. Each confirms itself."""

from collections.abc import Iterator

import numpy as np

from models_ml.patterns.series import Found, Series, Swing

GAP = 0.5
"""A fair-value gap is at least so many mean true ranges high."""


def find(series: Series) -> Iterator[Found]:
    """Breaks of structure, changes of character and fair-value gaps."""
    yield from breaks(series)
    yield from value_gaps(series)


def breaks(series: Series) -> Iterator[Found]:
    """The first close beyond each last swing: of structure with the trend of the swings, of character against it.

    The trend is that of the last two tops and the last two bottoms known at the time; where they disagree there is none
    to speak against, and the break is one of structure.
    """
    turns = series.turns
    ends = [*(turn.known for turn in turns[1:]), len(series)]
    last: dict[int, list[Swing]] = {1: [], -1: []}
    stands = {1: False, -1: False}  # whether the last swing of a side still stands unbroken
    for turn, end in zip(turns, ends, strict=False):  # without a swing there is no end either
        if last[turn.kind] and not series.is_whole(last[turn.kind][-1].at, turn.known):
            last = {1: [], -1: []}
        last[turn.kind] = [*last[turn.kind][-1:], turn]
        stands[turn.kind] = True
        for side in (1, -1):
            standing = last[side] if stands[side] else []
            if found := _broken(series, standing, side, _trend(last), (turn.known, end)):
                stands[side] = False
                yield found


def _trend(last: dict[int, list[Swing]]) -> int:
    ways = [np.sign(swings[1].price - swings[0].price) if len(swings) == 2 else 0 for swings in last.values()]
    return int(ways[0]) if ways[0] == ways[1] else 0


def _broken(series: Series, swings: list[Swing], side: int, trend: int, span: tuple[int, int]) -> Found | None:
    if not swings:
        return None
    level, (start, end) = swings[-1], span
    with np.errstate(invalid="ignore"):
        beyond = np.flatnonzero(side * series.close[start:end] > side * level.price)
    if not len(beyond) or not series.is_whole(level.at, start + int(beyond[0])):
        return None
    known = start + int(beyond[0])
    key = "change_of_character" if trend == -side else "break_of_structure"
    points = (series.point(level.at, level.price), series.point(known, level.price))
    return Found(key, side, int(series.times[known]), points)


def value_gaps(series: Series) -> Iterator[Found]:
    """Three candles of which the first and the last do not overlap; known at the close of the third."""
    if len(series) < 3:
        return
    with np.errstate(invalid="ignore"):
        least = GAP * series.reach[2:]
        up, down = series.low[2:] - series.high[:-2], series.low[:-2] - series.high[2:]
        ways = (up >= least).astype(np.int64) * (up > 0) - ((down >= least) & (down > 0))
    for start in np.flatnonzero(ways):
        at, way = int(start), int(ways[start])
        if not series.is_whole(at, at + 2):
            continue
        near, far = (series.high[at], series.low[at + 2]) if way > 0 else (series.low[at], series.high[at + 2])
        points = (series.point(at, float(near)), series.point(at + 2, float(far)))
        yield Found("fair_value_gap", way, int(series.times[at + 2]), points)
