"""Outcomes and forecasts made here, whose worth is known."""

import numpy as np

from models_ml.agents.logistic import sigmoid
from models_ml.evaluation.figures import Forecast, Outcomes

MONDAY = 1_704_067_200


def outcomes(rows: int = 10_000, *, days: int = 10, seed: int = 0, ties: float = 0.03) -> tuple[Outcomes, np.ndarray]:
    """Outcomes of two instruments and the log-odds (N,) that they were drawn from."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 0.3, rows)
    up = rng.random(rows) < sigmoid(truth)
    labels = np.where(rng.random(rows) < ties, 1, np.where(up, 2, 0)).astype(np.int8)
    size = np.abs(rng.normal(0, 1e-3, rows)) + 1e-6
    times = MONDAY + np.sort(rng.integers(0, days * 1440, rows)) * 60
    return Outcomes.of(labels, times, rng.integers(0, 2, rows), size * (labels - 1.0)), truth


def knowing(truth: np.ndarray, noise: float = 0.0, seed: int = 1) -> Forecast:
    """A forecaster that knows the truth as well as `noise` lets it."""
    return Forecast(sigmoid(truth + np.random.default_rng(seed).normal(0, noise, len(truth)) if noise else truth))
