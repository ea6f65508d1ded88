"""The consensus over many rows at once, for the calibration of the panel."""

import numpy as np
from numpy.typing import NDArray

from models_ml.panel import PanelVotes
from signals.confidence import lean_of
from signals.consensus import SEVEN, PanelRule


def panel_score(votes: PanelVotes, rule: PanelRule = SEVEN) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Direction (N,) where the quorum is met, 0 elsewhere, and the panel's lean towards it (N,).

    The vectorised form of `consensus.count`; a test holds the two together.
    """
    voted = votes.abstained[:, : rule.seats] == 0
    side = np.where(voted, votes.direction[:, : rule.seats], 0)
    up, down = (side > 0).sum(axis=1), (side < 0).sum(axis=1)
    direction = ((up >= rule.quorum).astype(np.int8) - (down >= rule.quorum)).astype(np.int8)
    lean = lean_of(votes.probabilities[:, : rule.seats])
    return direction, np.nan_to_num(lean) * direction
