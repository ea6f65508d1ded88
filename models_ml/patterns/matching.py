"""What the newest candles complete, of the patterns that somebody waits for."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.patterns.named import known_directions
from models_ml.patterns.registry import PATTERNS
from models_ml.patterns.windows import LOOKBACK, Descriptor, codes

NAMED_LOOKBACK = 300
"""Candles in which a named pattern is looked for: several shapes long."""

Wanted = tuple[str, int]
"""A pattern's key and its direction."""


def window_of(descriptor: Mapping[str, object]) -> Descriptor:
    """The descriptor of a stored row."""
    moves = descriptor["moves"]
    assert isinstance(moves, Sequence)  # noqa: S101  # a row as `Descriptor.as_json` wrote it
    return Descriptor(
        int(str(descriptor["length"])),
        tuple(str(move) for move in moves),
        *(str(descriptor[name]) for name in ("rsi", "volume", "level")),
    )


def mined_matches(
    open_times: IntArray, ohlcv: FloatArray, wanted: Sequence[Descriptor], rows: int = 1
) -> NDArray[np.bool_]:
    """Whether each wanted window ends at each of the last `rows` candles: (W, I, rows).

    Args:
        open_times: (T,) epoch seconds.
        ohlcv: (I, T, 5); only the last `LOOKBACK` + rows are read.
        wanted: windows to look for; only their lengths are computed.
    """
    found = np.zeros((len(wanted), len(ohlcv), rows), bool)
    if not wanted:
        return found
    steps = LOOKBACK + rows - 1
    lengths = tuple(sorted({window.length for window in wanted}))
    named = dict(codes(open_times[-steps:], ohlcv[:, -steps:], lengths))
    for place, window in enumerate(wanted):
        part = named[window.length][:, -rows:] == window.code
        found[place, :, rows - part.shape[1] :] = part
    return found


def named_matches(
    open_times: IntArray, ohlcv: FloatArray, wanted: Sequence[Wanted], rows: int = 1
) -> NDArray[np.bool_]:
    """Whether the last `rows` candles make each wanted named pattern known: (W, I, rows). May load TA-Lib."""
    found = np.zeros((len(wanted), len(ohlcv), rows), bool)
    families = tuple(sorted({PATTERNS[key].family for key, _ in wanted if key in PATTERNS}))
    steps = NAMED_LOOKBACK + rows
    for place, candles in enumerate(ohlcv[:, -steps:] if families else ()):
        known = dict(known_directions(open_times[-steps:], candles, families=families))
        for number, (key, direction) in enumerate(wanted):
            part = known[key][-rows:] == direction if key in known else np.zeros(0, bool)
            found[number, place, rows - len(part) :] = part
    return found


def confirmation(open_times: IntArray, ohlcv: FloatArray, wanted: Sequence[tuple[Descriptor, int]]) -> NDArray[np.int8]:
    """The side that promoted windows take at the last candle, (I,); 0 where none ends there or they disagree."""
    matches = mined_matches(open_times, ohlcv, [window for window, _ in wanted])[..., 0]
    ways = np.array([direction for _, direction in wanted], np.int64)
    return np.sign(ways @ matches if len(wanted) else np.zeros(len(ohlcv))).astype(np.int8)
