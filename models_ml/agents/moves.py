"""How far the price may move: a quantile band of the next move, and the probability of a large one.

Moves are log returns from the next candle's open to the close `horizon` minutes later, divided by the square root of
the forecast variance, so that one table of quantiles serves calm and wild hours. The table is learned on the last
quarter of the history, by a volatility forecast that has not seen it (split conformal, Vovk 2005): the band holds what
it says as long as standardised moves stay alike. The chance of a move over a threshold is a logistic regression on how
many deviations away the threshold stands, fitted on the same quarter.
"""

import json
import math
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.agents.base import Agent, History, TooLittleHistory
from models_ml.agents.realised import MINUTE_S, Tape
from models_ml.agents.volatility_forecast import LEAST_ROWS, Unseen, VolatilityForecast, rows_of

HORIZONS = (1, 15, 60)
"""Minutes; a minute uses the forecast of the quarter."""
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
BAND = 0.8
"""Share of moves that the band shown is to hold: between the levels 0.1 and 0.9."""
THRESHOLDS_BPS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Sizes that the classifier learns from, in basis points."""
RIDGE, NEWTON_STEPS = 1e-3, 12
BASIS_POINTS = 1e4
FILE = "moves.json"


def moves_ahead(history: History, horizon: int) -> FloatArray:
    """log(close after `horizon` minutes / next open), (I, T); NaN where it is not known or hours are closed between."""
    opened, closed = history.ohlcv[..., 0], history.ohlcv[..., 3]
    out = np.full(closed.shape, np.nan)
    if closed.shape[1] > horizon:
        whole = history.open_times[horizon:] - history.open_times[:-horizon] == horizon * MINUTE_S
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.log(closed[:, horizon:] / opened[:, 1 : closed.shape[1] - horizon + 1])
        out[:, :-horizon] = np.where(whole, moved, np.nan)
    return out


def deviation(read: dict[str, FloatArray], horizon: int) -> FloatArray:
    """Forecast standard deviation of a log return over `horizon` minutes."""
    return np.sqrt(read["variance_60" if horizon > 15 else "variance_15"] * horizon)


class ExpectedMove(Agent):
    """A band for the move over each of `HORIZONS`, and the chance that it is larger than a threshold."""

    key: ClassVar[str] = "moves"
    lookback: ClassVar[int] = VolatilityForecast.lookback
    says: ClassVar[tuple[str, ...]] = (
        *VolatilityForecast.says,
        *(f"{side}_{horizon}" for horizon in HORIZONS for side in ("low", "high")),
    )

    def __init__(self, volatility: VolatilityForecast | None = None) -> None:
        """Empty until `fit` or `load`."""
        self.volatility = volatility or VolatilityForecast()
        self.quantiles: dict[int, list[float]] = {}
        self.weights: dict[int, list[float]] = {}

    def fit(self, history: History, *, seed: int = 0) -> None:
        """Learn the quantiles on the last quarter, then the forecast on everything; `seed` changes nothing."""
        self.learn(Unseen.of(history))
        self.volatility.fit(history)

    def learn(self, unseen: Unseen) -> None:
        """Quantiles and chances from moves after everything that the forecast of them was fitted on."""
        for horizon, (_, moved, said) in _standing(unseen).items():
            self._learn(horizon, moved, said)

    def _learn(self, horizon: int, moved: FloatArray, said: FloatArray) -> None:
        use = np.isfinite(moved) & (said > 0)
        if use.sum() < LEAST_ROWS:
            raise TooLittleHistory(f"{int(use.sum())} moves are too few for quantiles: load more candles")
        self.quantiles[horizon] = np.quantile(moved[use] / said[use], LEVELS).tolist()
        self.weights[horizon] = fit_large(np.abs(moved[use]), said[use]).tolist()

    def read(self, history: History, rows: int = 1, *, tape: Tape | None = None) -> dict[str, FloatArray]:
        """The forecast's values, and `low_H`, `high_H`: the band of the log return over H minutes, `BAND` inside."""
        read = self.volatility.read(history, rows, tape=tape)
        out = dict(read)
        for horizon, quantiles in self.quantiles.items():
            said = deviation(read, horizon)
            out[f"low_{horizon}"] = said * quantiles[LEVELS.index(0.1)]
            out[f"high_{horizon}"] = said * quantiles[LEVELS.index(0.9)]
        return out

    def chance(self, read: dict[str, FloatArray], horizon: int, threshold_bps: float) -> FloatArray:
        """Probability that the move over `horizon` minutes is larger than `threshold_bps`, either way."""
        return large(np.array(self.weights[horizon]), deviation(read, horizon), threshold_bps / BASIS_POINTS)

    def save(self, folder: Path) -> None:
        """The forecast's files and one more."""
        self.volatility.save(folder)
        plain: dict[str, Any] = {"quantiles": self.quantiles, "weights": self.weights}
        (folder / FILE).write_text(json.dumps(plain))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them again."""
        agent = cls(VolatilityForecast.load(folder))
        found = json.loads((folder / FILE).read_text())
        agent.quantiles = {int(horizon): values for horizon, values in found["quantiles"].items()}
        agent.weights = {int(horizon): values for horizon, values in found["weights"].items()}
        return agent


def _standing(unseen: Unseen) -> dict[int, tuple[IntArray, FloatArray, FloatArray]]:
    """Horizon → rows (N,), moves (I, N) and their forecast deviations, every fifth minute."""
    rows = rows_of(unseen.history.open_times)
    rows = rows[rows >= unseen.first]
    return {
        horizon: (
            rows,
            moves_ahead(unseen.history, horizon)[:, rows],
            deviation(unseen.read, horizon)[:, rows - unseen.first],
        )
        for horizon in HORIZONS
    }


def held(unseen: Unseen) -> dict[str, float | int | None]:
    """Share of moves in the later half of the unseen rows that a band learned on the earlier half holds."""
    found: dict[str, float | int | None] = {}
    for horizon, (rows, moved, said) in _standing(unseen).items():
        known = np.isfinite(moved) & (said > 0)
        early = rows + horizon < (unseen.first + len(unseen.history.open_times)) // 2  # its move has ended by then
        late = known & (rows >= (unseen.first + len(unseen.history.open_times)) // 2)
        found[f"n_{horizon}"] = n = int(late.sum())
        found[f"coverage_{horizon}"] = None
        if n >= LEAST_ROWS and (known & early).sum() >= LEAST_ROWS:
            low, high = np.quantile((moved / said)[known & early], (0.1, 0.9))
            found[f"coverage_{horizon}"] = float(((moved >= low * said) & (moved <= high * said))[late].mean())
    return found


def fit_large(sizes: FloatArray, said: FloatArray) -> FloatArray:
    """Weights of P(size > c) at c/said, for the log and the square of the distance, by Newton's method; (3,)."""
    away = np.concatenate([bps / BASIS_POINTS / said for bps in THRESHOLDS_BPS])
    larger = np.concatenate([sizes > bps / BASIS_POINTS for bps in THRESHOLDS_BPS]).astype(np.float64)
    x = _distances(away)
    weights = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        p = _logistic(x @ weights)
        bend = (x * (p * (1 - p))[:, None]).T @ x / len(x) + RIDGE * np.eye(x.shape[1])
        weights = weights + np.linalg.solve(bend, x.T @ (larger - p) / len(x) - RIDGE * weights)
    return weights


def large(weights: FloatArray, said: FloatArray, threshold: float) -> FloatArray:
    """P(|move| > threshold) where the deviation `said` is forecast; NaN where that is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(_logistic(_distances(threshold / said) @ weights))


def _distances(away: FloatArray) -> FloatArray:
    """1, log of the distance in deviations, and the distance itself (up to 6), (..., 3)."""
    near = np.clip(away, math.exp(-6), math.exp(6))
    return np.stack([np.ones_like(near), np.log(near), np.minimum(near, 6.0)], axis=-1)


def _logistic(values: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))))


def coverage(read: dict[str, FloatArray], moved: FloatArray, horizon: int, rows: IntArray) -> tuple[float, int]:
    """Share of known moves (I, T) at `rows` that fell into the band, and how many there were; NaN for none."""
    low, high, came = read[f"low_{horizon}"][:, rows], read[f"high_{horizon}"][:, rows], moved[:, rows]
    known = np.isfinite(came) & np.isfinite(low)
    if not known.any():
        return float("nan"), 0
    return float(((came >= low) & (came <= high))[known].mean()), int(known.sum())
