"""The other agents on recorded candles: does the band hold what it says, does the regime help, does sizing learn. Pure.

Each is fitted on the minutes before `start` and asked about those from it on. The first decisions of the test part may
look back into the part before; nothing of the test part is learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents.base import History
from models_ml.agents.moves import BASIS_POINTS, DAY_S, HORIZONS, ExpectedMove, coverage, moves_ahead
from models_ml.agents.realised import MINUTE_S
from models_ml.agents.regime import Regime
from models_ml.agents.sizing_rl import STEPS, Decisions, SizingPolicy, compare
from models_ml.agents.volatility_forecast import SHARE, STEP, Unseen, rows_of
from models_ml.features.rolling import rolling_rms
from models_ml.validation.metrics import auc, calibration_error, calibration_floor

COSTS_BPS = (2.0, 5.0, 10.0)
"""Costs of a round trip that a move has to be larger than."""
PAYOUT = 1.0
"""Even money: at the payouts of the trade, directions from candles leave nothing to size."""
RETURNS = 5
RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Asked:
    """The instruments judged, and the first decision of the test part (epoch seconds)."""

    places: Sequence[int]
    start: int


def judge_moves(names: Sequence[str], history: History, asked: Asked) -> list[dict[str, Any]]:
    """Coverage of the band and calibration of the chance, for each instrument and horizon.

    Bands are judged every fifth minute, chances on moves that do not overlap: one that comes again in twelve rows would
    look wrong twelve times.
    """
    cut = _cut(history, asked.start)
    agent = ExpectedMove()
    agent.fit(history.until(cut))
    read = _daily(agent, history, cut)
    rows = rows_of(history.open_times)
    rows = rows[rows >= cut] - cut
    out = []
    for place in asked.places:
        for horizon in HORIZONS:
            moved = moves_ahead(history, horizon)[place : place + 1, cut:]
            own = {name: values[place : place + 1] for name, values in read.items()}
            share, n = coverage(own, moved, horizon, rows)
            width = float(np.nanmedian(own[f"high_{horizon}"] - own[f"low_{horizon}"]) * BASIS_POINTS)
            apart = rows[:: max(horizon // STEP, 1)]
            chances = [_chance(own, moved, horizon, cost, apart) for cost in COSTS_BPS]
            out.append(
                {
                    "instrument": names[place],
                    "horizon_minutes": horizon,
                    "n": n,
                    "coverage": share,
                    "median_width_bps": width,
                    "chances": chances,
                }
            )
    return out


def _daily(agent: ExpectedMove, history: History, cut: int) -> dict[str, FloatArray]:
    """A reading of the rows from `cut` on, bands and chances learned anew before each UTC day, as every night does.

    The forecast stays that of the training part; past moves are standardised by one that saw its first `SHARE`.
    """
    unseen = Unseen.of(history, int(SHARE * cut))
    read = agent.volatility.read(history, len(history.open_times) - cut)
    days = (history.open_times[cut:] + MINUTE_S) // DAY_S
    starts = [cut, *(cut + np.flatnonzero(np.diff(days)) + 1).tolist(), len(history.open_times)]
    parts = []
    for start, end in pairwise(starts):
        past = {name: values[:, : start - unseen.first] for name, values in unseen.read.items()}
        agent.learn(Unseen(history.until(start), unseen.first, past))
        today = {name: values[:, start - cut : end - cut] for name, values in read.items()}
        parts.append(agent.bands(today) | _chances(agent, today, history.market))
    return read | {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def _chances(agent: ExpectedMove, read: dict[str, FloatArray], market: IntArray) -> dict[str, FloatArray]:
    return {
        f"larger_{horizon}_{cost:g}": agent.chance(read, market, horizon, cost)
        for horizon in HORIZONS
        for cost in COSTS_BPS
    }


def _chance(
    own: dict[str, FloatArray], moved: FloatArray, horizon: int, cost: float, rows: IntArray
) -> dict[str, float | None]:
    q = own[f"larger_{horizon}_{cost:g}"][:, rows].ravel()
    came = np.abs(moved[:, rows]).ravel()
    known = np.isfinite(q) & np.isfinite(came)
    large = came[known] > cost / BASIS_POINTS
    return {
        "cost_bps": cost,
        "n": int(known.sum()),
        "share": float(large.mean()),
        "auc": auc(q[known], large),
        "ece": calibration_error(q[known], large),
        "ece_floor": calibration_floor(q[known]),
    }


def judge_regime(history: History, asked: Asked, *, seed: int = 0) -> dict[str, Any]:
    """What the regime saves in the test part, beside what its own training said of it."""
    cut = _cut(history, asked.start)
    agent = Regime()
    agent.fit(history.until(cut), seed=seed)
    mean, low, high = agent.judged(Unseen.of(history, cut))
    return {"stored_gain": list(agent.gain), "shown": agent.shown, "gain": mean, "low": low, "high": high}


def judge_sizing(history: History, asked: Asked, *, seed: int = 0, steps: int = STEPS) -> dict[str, Any]:
    """The learned policy against volatility-targeted Kelly on next-minute decisions of the test part.

    Directions come from a logistic regression on the last five returns, fitted on the first three quarters of the
    training part; the policy learns on the rest of it.
    """
    cut = _cut(history, asked.start)
    early = int(SHARE * cut)
    decisions = directions(history, asked.places, early)
    middle, end = np.searchsorted(decisions.times, history.open_times[[early, cut]] + MINUTE_S)
    policy = SizingPolicy.fit(decisions.part(slice(int(middle), int(end))), seed=seed, steps=steps)
    return compare(policy, decisions.part(slice(int(end), None)))


def directions(history: History, places: Sequence[int], early: int) -> Decisions:
    """A decision each five minutes and instrument, in order of time, fitted on rows before `early`."""
    close = np.log(history.ohlcv[list(places), :, 3])
    returns = np.diff(close, axis=1, prepend=np.nan)
    spread = _running_deviation(returns)
    moved = moves_ahead(history, 1)[list(places)]
    rows = rows_of(history.open_times)
    lagged = np.stack([np.roll(returns, lag, axis=1) for lag in range(RETURNS)], axis=-1) / spread[..., None]
    x = np.clip(lagged[:, rows], -5, 5)
    usual = np.nanmedian(spread[:, :early], axis=1, keepdims=True)
    came, sigma = moved[:, rows], (spread / usual)[:, rows]
    known = np.isfinite(x).all(axis=-1) & np.isfinite(came) & np.isfinite(sigma)
    learn = known & (rows < early) & (came != 0)
    weights = _logistic_fit(x[learn], came[learn] > 0)
    p = 1 / (1 + np.exp(-(np.nan_to_num(x) @ weights[:-1] + weights[-1])))
    times = np.broadcast_to(history.open_times[rows] + MINUTE_S, came.shape)
    side = np.where(p >= 0.5, 1.0, -1.0)
    order = np.argsort(times[known], kind="stable")
    return Decisions(
        times[known][order],
        np.maximum(p, 1 - p)[known][order],
        np.full(len(order), PAYOUT),
        sigma[known][order],
        (side * np.sign(np.nan_to_num(came)))[known][order],
    )


def _running_deviation(returns: FloatArray) -> FloatArray:
    """Root mean square of the last hour of returns (I, T), NaN where one of them is not known."""
    found = rolling_rms(returns, 60)
    return np.where(found > 0, found, np.nan)


def _logistic_fit(x: FloatArray, up: NDArray[np.bool_]) -> FloatArray:
    """Weights (K + 1,), the intercept last, by Newton's method."""
    z = np.column_stack([x, np.ones(len(x))])
    weights = np.zeros(z.shape[1])
    for _ in range(8):
        p = 1 / (1 + np.exp(-z @ weights))
        bend = (z * (p * (1 - p))[:, None]).T @ z / len(z) + RIDGE * np.eye(z.shape[1])
        weights = weights + np.linalg.solve(bend, z.T @ (up - p) / len(z) - RIDGE * weights)
    return weights


def _cut(history: History, start: int) -> int:
    """Rows whose candle has closed by `start`."""
    return int(np.searchsorted(history.open_times + MINUTE_S, start, side="right"))
