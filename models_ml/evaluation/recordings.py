"""Sets of recorded candle files on one axis, for evaluations that need no database."""

from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import numpy as np

from lib.errors import CandorError
from markets.files import check_minutes, read_candles
from markets.venues.replay import spec_of, split_name
from models_ml.agents.base import History, zone_of


class BadSet(CandorError):
    """Files that make no set to learn from or to test on."""


@dataclass(frozen=True, slots=True)
class RecordedSet:
    """Instruments `names` (I,), as `venue_SYMBOL_tag` of their files, of one market class, and their candles."""

    names: tuple[str, ...]
    market_class: str
    history: History


def read_set(patterns: Sequence[str]) -> RecordedSet:
    """Every file that the patterns name, on the axis of minutes that any of them has.

    Raises:
        BadSet: no file, or instruments of several market classes.
    """
    paths = sorted({Path(found) for pattern in patterns for found in glob(pattern)})
    if not paths:
        raise BadSet(
            f"no file matches {' '.join(patterns)}: give candle files, such as 'data/crypto_1m/*_2025.parquet'"
        )
    classes = {spec_of(split_name(path)[1]).market_class for path in paths}
    if len(classes) > 1:
        raise BadSet(f"files of {', '.join(sorted(classes))}: one set holds one market class, give them one by one")
    parts = []
    for path in paths:
        found = read_candles(path)
        check_minutes(path, found, None)
        parts.append(found)
    axis = np.unique(np.concatenate([part.open_times for part in parts]))
    ohlcv = np.full((len(parts), len(axis), 5), np.nan)
    for row, part in enumerate(parts):
        ohlcv[row, np.searchsorted(axis, part.open_times)] = part.ohlcv
    market_class = classes.pop()
    history = History(axis, ohlcv, np.arange(len(parts)), zone_of(market_class))
    return RecordedSet(tuple(path.stem for path in paths), market_class, history)
