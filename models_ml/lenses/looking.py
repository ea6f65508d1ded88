"""All five lenses over the instruments of one minute."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_ml.lenses import LENS_KEYS, lens
from models_ml.lenses.base import LONGEST_REASON, Facts, Figures, Sight

READ: tuple[str, ...] = (
    *("swing_trend", "break_of_structure", "change_of_character", "swing_low_gap", "swing_high_gap"),
    *("score_60", "memory_1_60", "hurst_240", "variance_ratio_5_60", "deviation_ratio_60_240"),
    *("volume_sentiment_240", "volume_oscillator_5_20"),
    *("ema_gap_20", "ema_gap_50", "macd_histogram", "rsi_14", "band_place_20", "directional_balance_14", "adx_14"),
    *("stochastic_k_14_3", "supertrend_direction", "ichimoku_cloud"),
    *("return_5", "return_15", "return_30", "return_60"),
)
"""The columns that lenses read: of some three hundred, so that a minute does not pay for the rest."""


def look_at(
    columns: Sequence[str], features: NDArray[Any], text: Sequence[Figures] | Mapping[int, Figures] = ()
) -> list[tuple[Sight, ...]]:
    """The five verdicts on each instrument, in the order of `LENS_KEYS`.

    Args:
        columns: names of the features, F of them.
        features: (N, F) the row of the minute; NaN where unknown. Not changed.
        text: what is known beyond candles, by row number; nothing by default.
    """
    places = [number for number, column in enumerate(columns) if column in _WANTED]
    names = [columns[number] for number in places]
    values = np.asarray(features)[:, places].tolist()
    looks = [lens(key) for key in LENS_KEYS]
    beyond = text if isinstance(text, Mapping) else dict(enumerate(text))
    found = []
    for number, row in enumerate(values):
        known = {name: value for name, value in zip(names, row, strict=True) if isfinite(value)}
        facts = Facts(known, beyond.get(number, {}))
        found.append(tuple(_short(look(facts)) for look in looks))
    return found


_WANTED = frozenset(READ)


def _short(sight: Sight) -> Sight:
    if len(sight.reason) <= LONGEST_REASON:
        return sight
    return Sight(sight.direction, f"{sight.reason[: LONGEST_REASON - 1]}…")
