"""A decision on its way from the round to the record."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from markets.models import Instrument
from models_ml.lenses.base import Sight
from models_ml.outlook import Outlook
from signals.pipeline import Ballot, Decision
from signals.risk import Context


@dataclass(frozen=True, slots=True)
class Decided:
    """One instrument's decision with what it was taken on, ready to be saved."""

    instrument: Instrument
    close_time: int
    decision: Decision
    context: Context
    ballot: Ballot
    latency_ms: NDArray[np.float32]
    model_ids: NDArray[np.int64]
    observed_at: float
    late: bool
    decision_ms: float
    candle: tuple[float, ...]  # open high low close volume of the candle that closed
    lenses: tuple[Sight, ...] = ()  # in the order of LENS_KEYS; they have no part in the decision
    outlook: Outlook = field(default_factory=dict)  # what the agents say; the same
