"""`build`: candles in, feature matrix out; the one function of training, replay and live."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lib.errors import CandorError
from markets.values import FloatArray, IntArray
from models_ml.features.registry import COLUMNS, FEATURES, LOOKBACK
from models_ml.features.window import BASE_SECONDS, PARENTS, Feature, Window

LENGTHS = (400,)
"""Look-backs at which windows of base candles are cut apart: few features read more than the first."""


def _tiers() -> list[dict[int, list[tuple[int, Feature]]]]:
    """Numbered features by look-back, those apart whose bars have one source or whose look-backs differ much."""
    tiers: dict[tuple[int, int], dict[int, list[tuple[int, Feature]]]] = {}
    for place, feature in _FROM_CANDLES:
        base = feature.minutes == 1
        length = bisect_left(LENGTHS, feature.lookback) if base else 0
        tier = tiers.setdefault((PARENTS.get(feature.minutes, feature.minutes), length), {})
        tier.setdefault(feature.lookback if base else 0, []).append((place, feature))
    return list(tiers.values())


_FROM_CANDLES = [(place, feature) for place, feature in enumerate(FEATURES) if not feature.parts]
_FROM_COLUMNS = [
    (place, feature.blend, [COLUMNS.index(part) for part in feature.parts])
    for place, feature in enumerate(FEATURES)
    if feature.blend
]


def _by_lookback() -> dict[tuple[int, float], list[int]]:
    """Columns by what spoils them: their look-back, and the share of it that may be missing."""
    places: dict[tuple[int, float], list[int]] = {}
    for place, feature in _FROM_CANDLES:
        places.setdefault((feature.lookback, feature.holes), []).append(place)
    return places


TIERS = _tiers()
_BY_LOOKBACK = _by_lookback()

CHUNK = 1 << 15
"""Rows worked on at a time: bounds the memory that a long history takes beside its result."""

PADDING = 72
"""Empty places after each column of a long block: columns a power of two apart share cache lines when transposed."""

BLOCK = 1 << 17
"""Candles of all instruments worked on at a time."""

TOGETHER = 200
"""Instruments worked on at a time when few rows are wanted: windows are short then, and calls cost more than data."""

FEW_ROWS = 64


class BadCandlesError(CandorError):
    """Candles that are no regular panel."""


def build(open_times: IntArray, ohlcv: FloatArray, rows: int | None = None) -> FloatArray:
    """Feature matrix of the last `rows` candles.

    Args:
        open_times: (T,) epoch seconds of candle open, strictly ascending whole minutes: the due minutes, a closed
            session left out, a missing candle left in.
        ohlcv: (I, T, 5) open, high, low, close, volume; a candle with a value that is not finite, a price that is not
            positive or a negative volume counts as missing. Not mutated.
        rows: rows wanted, from the end; None for all. Only their own look-back is computed.

    Returns:
        (I, rows, F) in the order of `COLUMNS`. Row t uses candles at or before t only. NaN where a candle of the
        feature's look-back is missing or was before the first, or where the formula has no answer; never infinite.

    Raises:
        BadCandlesError: shapes that do not fit, times off the grid, or more rows than candles.
    """
    _check(open_times, ohlcv, rows)
    instruments, steps = ohlcv.shape[:2]
    rows = steps if rows is None else rows
    out = np.empty((instruments, rows, len(FEATURES)))
    longest = min(rows, CHUNK)
    together = TOGETHER if longest <= FEW_ROWS else max(1, BLOCK // (longest + LOOKBACK))
    together = max(1, min(together, instruments))
    # One working space for all blocks, by column: touching fresh memory costs more than most formulas.
    space = np.empty((len(FEATURES), together, longest + (PADDING if longest > PADDING else 0)))
    # Unknown values arise as NaN and infinity on purpose and are masked at the end, once for all formulas.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        for some, start in product(range(0, instruments, together), range(0, rows, CHUNK)):
            block = out[some : some + together, start : start + CHUNK]
            end = steps - rows + start + block.shape[1]
            seen = slice(max(end - block.shape[1] - LOOKBACK + 1, 0), end)
            columns = space[:, : block.shape[0], : block.shape[1]]
            _fill(columns, open_times[seen], ohlcv[some : some + together, seen])
            block[...] = np.moveaxis(columns, 0, -1)
    return out


def _check(open_times: IntArray, ohlcv: FloatArray, rows: int | None) -> None:
    if ohlcv.ndim != 3 or ohlcv.shape[2] != 5:
        raise BadCandlesError(f"candles of shape {ohlcv.shape}: pass (instruments, minutes, 5)")
    if open_times.shape != (ohlcv.shape[1],):
        raise BadCandlesError(f"{open_times.shape} open times for {ohlcv.shape[1]} minutes: pass one for each")
    if np.any(open_times % BASE_SECONDS) or np.any(np.diff(open_times) <= 0):
        raise BadCandlesError("open times are not strictly ascending whole minutes: sort them and drop duplicates")
    if rows is not None and not 0 <= rows <= len(open_times):
        raise BadCandlesError(
            f"{rows} rows wanted of {len(open_times)} minutes: load more candles or ask for fewer rows"
        )


def _fill(columns: FloatArray, open_times: IntArray, ohlcv: FloatArray) -> None:
    """Write the features of the last rows of the candles into `columns` (F, I, rows)."""
    rows = columns.shape[2]
    fields, missing = known_fields(ohlcv)
    masks = _Masks(missing, rows)
    for window, tier in _windows(open_times, fields, rows):
        for place, feature in tier:
            columns[place] = feature.of(window)[..., -rows:]
        if rows >= LOOKBACK:  # a short window's memory is better kept: it is needed again a minute later
            window.forget()
    np.copyto(columns, np.nan, where=~np.isfinite(columns))
    for lookback, places in _BY_LOOKBACK.items():
        spoilt = masks.spoilt(*lookback)
        if spoilt is not None:
            for place in places:
                columns[place, spoilt] = np.nan
    for place, blend, parts in _FROM_COLUMNS:
        columns[place] = blend(columns[parts])


def known_fields(ohlcv: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Contiguous fields (5, I, T) with every missing candle NaN in all of them, and where they are missing (I, T)."""
    fields = np.array(np.moveaxis(ohlcv, -1, 0), dtype=np.float64, order="C")
    with np.errstate(invalid="ignore", over="ignore"):
        missing = ~(np.isfinite(fields.sum(axis=0)) & (fields[:4].min(axis=0) > 0) & (fields[4] >= 0))
    if missing.any():
        fields[:, missing] = np.nan
    return fields, missing


class _Masks:
    """For each look-back: the rows that miss a candle of it."""

    def __init__(self, missing: NDArray[np.bool_], rows: int) -> None:
        self.rows, self.holed = rows, bool(missing.any())
        self.before = np.zeros((missing.shape[0], missing.shape[1] + 1), dtype=np.int64)
        if self.holed:
            np.cumsum(missing, axis=1, out=self.before[:, 1:])

    def spoilt(self, lookback: int, holes: float) -> NDArray[np.bool_] | None:
        """Where (I, rows) more than a share of `holes` of the candles is missing; None where nowhere."""
        steps = self.before.shape[1] - 1
        if not self.holed and steps - self.rows + 1 >= lookback:
            return None
        ends = np.arange(steps - self.rows, steps) + 1
        starts = np.maximum(ends - lookback, 0)
        gaps = self.before[:, ends] - self.before[:, starts]
        spoilt = (gaps > int(lookback * holes)) | (ends < lookback)
        return spoilt if spoilt.any() else None


def _windows(open_times: IntArray, fields: FloatArray, rows: int) -> Iterator[tuple[Window, list[tuple[int, Feature]]]]:
    """Windows with the features to compute in each, numbered by column.

    Few rows: each look-back gets a window of its own, for most of a long one would be computed in vain. Many rows: one
    window for all, so that everything shared is computed once.
    """
    if rows >= LOOKBACK:
        yield Window(open_times, fields, rows), _FROM_CANDLES
        return
    for tier in TIERS:
        longest = max(1, *(feature.lookback for group in tier.values() for _, feature in group))
        first = max(len(open_times) - (longest - 1 + rows), 0)
        whole = Window(open_times[first:], fields[..., first:], rows)
        for lookback, group in tier.items():
            yield whole.cut(max(lookback, 1) - 1 + rows) if lookback else whole, group
