"""Forecast of realised variance over the next quarter and the next hour: one pooled linear model in logarithms.

The logarithm of the variance ahead over the last day's is a linear function of `realised.inputs` and of the day's
profile, with the same weights for every instrument of a market class. Weights are the mean of two ridge fits: least
squares of the logarithm, corrected for its bias, and the fit that makes QLIKE itself smallest (Newton's method; it is
the gamma likelihood with a log link). The first is steadier, the second is nearer to what is judged.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.base import Agent, History, TooLittleHistory
from models_ml.agents.profile import DayProfile
from models_ml.agents.realised import DAY, TWO_DAYS, Tape, inputs, neutral, target

HORIZONS = (15, 60)
STEP = 5
"""Every fifth minute is learned from: windows of neighbours are all but the same."""
MOST_ROWS = 150_000
LEAST_ROWS = 500
PENALTY_DAYS = 1.0
"""Ridge, per row and in units of each input's own variance: this over the days learned from. Rows of one day tell much
the same, so it is days that count."""
NEWTON_STEPS = 6
WILD = 30.0
"""A minute of this many times its forecast counts as this in the QLIKE fit."""
PAST = (15, 60, 240)
SHARE = 0.75
"""Of a history, for the forecast that others are judged by on the rest."""
FILE = "volatility.json"


@dataclass(frozen=True, slots=True)
class Linear:
    """u ≈ weights · (x − mean) / scale + level."""

    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    level: float

    def __call__(self, x: NDArray[np.float32] | FloatArray) -> FloatArray:
        """Values (...,) at inputs (..., K)."""
        slope = self.weights / self.scale
        return np.asarray(x @ slope + (self.level - self.mean @ slope), dtype=np.float64)


def fit_linear(x: FloatArray, u: FloatArray, penalty: float) -> Linear:
    """The mean of both ridge fits to `u` (N,), log variance ratios, at inputs `x` (N, K); none may be unknown."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.column_stack([(x - mean) / scale, np.ones(len(x))])
    ridge = penalty * np.eye(z.shape[1])
    ridge[-1, -1] = 0.0
    squares = np.linalg.solve(z.T @ z / len(z) + ridge, z.T @ u / len(z))
    squares[-1] += np.log(np.mean(np.exp(u - z @ squares)))
    both = (squares + _qlike_fit(z, u, ridge, squares)) / 2
    return Linear(mean, scale, both[:-1], float(both[-1]))


def _qlike_fit(z: FloatArray, u: FloatArray, ridge: FloatArray, start: FloatArray) -> FloatArray:
    """Weights that make mean(e^(u − zw) + zw) + ½ penalty |w|² smallest."""
    weights = start.copy()
    for _ in range(NEWTON_STEPS):
        ratio = np.minimum(np.exp(u - z @ weights), WILD)
        slope = z.T @ (ratio - 1) / len(z) - ridge @ weights
        bend = (z * np.maximum(ratio, 0.2)[:, None]).T @ z / len(z) + ridge  # bounded below: a whole step stays safe
        weights = weights + np.linalg.solve(bend, slope)
    return weights


@dataclass(frozen=True, slots=True)
class Design:
    """Inputs (I, R, K) of chosen minutes `times` (R,), which no profile was needed for, and the last day's variance."""

    x: NDArray[np.float32]
    times: IntArray
    day: FloatArray

    @classmethod
    def of(cls, tape: Tape, horizon: int) -> Self:
        """Inputs of the rows that the tape answers for."""
        columns = [neutral(values).astype(np.float32) for _, values in inputs(tape, horizon)]
        return cls(np.stack(columns, axis=-1), tape.times, tape.day)

    def with_profile(self, profile: DayProfile, market: IntArray, horizon: int) -> NDArray[np.float32]:
        """Inputs (I, R, K + 5) with those of the profile behind."""
        columns = [neutral(profile.above_level(market, self.day)), profile.ahead(market, self.times, horizon)]
        columns += [profile.past(market, self.times, length) for length in PAST]
        return np.concatenate([self.x, np.stack(columns, axis=-1).astype(np.float32)], axis=-1)


class VolatilityForecast(Agent):
    """Variance a minute over the next `HORIZONS`, as it is used live."""

    key: ClassVar[str] = "volatility"
    lookback: ClassVar[int] = TWO_DAYS + 1
    says: ClassVar[tuple[str, ...]] = (*(f"variance_{horizon}" for horizon in HORIZONS), "usual")

    def __init__(self, profile: DayProfile | None = None, models: dict[int, Linear] | None = None) -> None:
        """Empty until `fit` or `load`."""
        self.profile, self.models = profile, models or {}

    def fit(self, history: History, *, seed: int = 0) -> None:
        """Learn profile and weights; nothing is drawn, `seed` changes nothing."""
        tape = Tape(history)
        chosen = rows_of(history.open_times)
        some = tape.at(chosen)
        self.profile = DayProfile.fit(tape, history.market, history.zone)
        for horizon in HORIZONS:
            design = Design.of(some, horizon)
            with np.errstate(divide="ignore", invalid="ignore"):
                u = np.log(target(tape, horizon)[:, chosen] / some.day)
            self.models[horizon] = fit_rows(design.with_profile(self.profile, history.market, horizon), u)

    def read(self, history: History, rows: int = 1, *, tape: Tape | None = None) -> dict[str, FloatArray]:
        """`variance_15` and `variance_60`, each a minute's, and `usual`, that of the instrument's usual day.

        NaN where the last day or hour is not known, and `usual` for an instrument that was not learned from.
        """
        if self.profile is None:
            raise TooLittleHistory("the volatility forecast has not learned yet: train it first")
        tape = tape.last(rows) if tape else Tape(_last(history, rows + self.lookback), rows)
        known = np.isfinite(tape.day) & np.isfinite(tape.mean("square", 60))
        out = {}
        for horizon, model in self.models.items():
            x = Design.of(tape, horizon).with_profile(self.profile, history.market, horizon)
            out[f"variance_{horizon}"] = np.where(known, tape.day * np.exp(model(x)), np.nan)
        out["usual"] = np.where(known, np.exp(self.profile.levels(history.market))[:, None], np.nan)
        return out

    def save(self, folder: Path) -> None:
        """One JSON file."""
        models = {str(horizon): _plain(model) for horizon, model in self.models.items()}
        profile = self.profile.as_json() if self.profile else None
        (folder / FILE).write_text(json.dumps({"profile": profile, "models": models}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it again."""
        found = json.loads((folder / FILE).read_text())
        models = {int(horizon): _linear(model) for horizon, model in found["models"].items()}
        return cls(DayProfile.from_json(found["profile"]) if found["profile"] else None, models)


def rows_of(open_times: IntArray) -> IntArray:
    """Rows whose candle closes on a `STEP` of the clock, after the first day."""
    closes = open_times // 60 + 1
    return np.flatnonzero((closes % STEP == 0) & (np.arange(len(open_times)) >= DAY))


def fit_rows(x: NDArray[np.float32], u: FloatArray) -> Linear:
    """Fit to the known rows of `u` (I, R), thinned evenly to `MOST_ROWS`; raises `TooLittleHistory`."""
    rows = np.argwhere(np.isfinite(u).T)  # by time, so that thinning takes evenly from all instruments
    if len(rows) < LEAST_ROWS:
        raise TooLittleHistory(f"{len(rows)} known windows are too few for a volatility forecast: load more candles")
    days = len(np.unique(rows[:, 0])) * STEP / DAY
    rows = rows[:: -(-len(rows) // MOST_ROWS)]
    chosen = rows[:, 1], rows[:, 0]
    return fit_linear(x[chosen].astype(np.float64), u[chosen], PENALTY_DAYS / days)


@dataclass(frozen=True, slots=True)
class Unseen:
    """The rest of a history, from row `first` on, with the `read` of a forecast that was fitted on what lies before."""

    history: History
    first: int
    read: dict[str, FloatArray]

    @classmethod
    def of(cls, history: History, first: int | None = None) -> Self:
        """After the first `SHARE` of the history by default; raises `TooLittleHistory`."""
        first = int(SHARE * len(history.open_times)) if first is None else first
        forecast = VolatilityForecast()
        forecast.fit(history.until(first))
        return cls(history, first, forecast.read(history, len(history.open_times) - first))

    def rows(self, step: int) -> tuple[IntArray, FloatArray, FloatArray]:
        """Every `step`-th row, the variance (I, N) that came over the next quarter, and what had been said."""
        rows = np.arange(self.first, len(self.history.open_times), step)
        came = target(Tape(self.history), HORIZONS[0])[:, rows]
        return rows, came, self.read[f"variance_{HORIZONS[0]}"][:, rows - self.first]

    def figures(self) -> dict[str, float | int | None]:
        """Mean QLIKE of each horizon with its number of cases, and that of taking the last day's variance instead."""
        tape, rows = Tape(self.history), rows_of(self.history.open_times)
        rows = rows[rows >= self.first]
        found: dict[str, float | int | None] = {}
        for horizon in HORIZONS:
            came, day = target(tape, horizon)[:, rows], tape.day[:, rows]
            said = self.read[f"variance_{horizon}"][:, rows - self.first]
            known = np.isfinite(came) & np.isfinite(said)
            found[f"n_{horizon}"] = n = int(known.sum())
            for name, forecast in (("qlike", said), ("day_qlike", day)):
                found[f"{name}_{horizon}"] = float(qlike(came[known], forecast[known]).mean()) if n else None
        return found


def qlike(y: FloatArray, f: FloatArray) -> FloatArray:
    """Loss of the variance forecast `f` where `y` came (Patton 2011)."""
    ratio = y / f
    return np.asarray(ratio - np.log(ratio) - 1)


def _last(history: History, minutes: int) -> History:
    return History(history.open_times[-minutes:], history.ohlcv[:, -minutes:], history.market, history.zone)


def _plain(model: Linear) -> dict[str, Any]:
    return {
        "mean": model.mean.tolist(),
        "scale": model.scale.tolist(),
        "weights": model.weights.tolist(),
        "level": model.level,
    }


def _linear(found: dict[str, Any]) -> Linear:
    mean, scale, weights = (np.array(found[name]) for name in ("mean", "scale", "weights"))
    return Linear(mean, scale, weights, found["level"])
