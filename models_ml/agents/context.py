"""What the stacker knows beside the votes: a few facts that say whom to believe, and the plainest signs themselves."""

from collections.abc import Sequence

import numpy as np

from lib.errors import CandorError
from markets.values import FloatArray
from models_ml.samples import Samples

NAMES: tuple[str, ...] = (
    "return_1",
    "return_2",
    "return_5",
    "return_15",
    "return_60",
    "body_size",
    "score_20",
    "score_60",
    "band_place_20",
    "memory_1_60",
    "variance_ratio_5_60",
    "range_score_240",
    "deviation_ratio_10_60",
    "deviation_ratio_60_240",
    "relative_volume_20",
    "volume_sentiment_30",
    "roll_spread_60",
    "ties_60",
    "day_sine",
    "day_cosine",
)
"""Feature columns. Signed returns let an instrument that simply goes on, or turns back, be seen as such; memory, size
of moves, spread and time of day say when."""


class NoContext(CandorError):
    """Samples without a column that the context is made of."""


def of(samples: Samples, columns: Sequence[str]) -> FloatArray:
    """Context (N, K) in the order of `NAMES`; NaN where unknown.

    Args:
        samples: rows to be decided, their features built.
        columns: names of the feature columns of `samples`.
    """
    places = {name: place for place, name in enumerate(columns)}
    lacking = [name for name in NAMES if name not in places]
    if lacking:
        raise NoContext(f"the features lack {', '.join(lacking)}, which the stack reads: build all columns")
    return samples.matrix(np.array([places[name] for name in NAMES])).astype(np.float64)
