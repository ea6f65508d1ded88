"""The bar that a volatility forecast has to clear: log-HAR with an hour profile, one instrument, fitted anew each day.

log RV(t, t+h) on a constant for each hour of the day and on the logarithms of realised variance over the last quarter,
hour, four hours and day (Corsi 2009, in logarithms), by least squares on all rows revealed so far. The exponential is
corrected by the mean ratio of what came to what was said on the same rows: the scale QLIKE itself would choose.
"""

import numpy as np

from markets.values import FloatArray, IntArray
from models_ml.agents.profile import local_minutes
from models_ml.agents.realised import MINUTE_S, Tape

DAY_S = 86_400
HOURS = 24
LAGS = (15, 60, 240)
STEADY = 1e-6
"""Added to the diagonal, so that an hour never traded takes no weight instead of any."""
LEAST_ROWS = 300


def har_inputs(tape: Tape, instrument: int, zone: str) -> FloatArray:
    """Inputs (N, 28) of one instrument at the rows of the tape; NaN where a window is not known."""
    day = np.log(tape.day[instrument])
    lags = [tape.over_day(tape.mean("square", length))[instrument] for length in LAGS]
    hours = local_minutes(tape.times + MINUTE_S, zone) // 60
    return np.column_stack([day, *lags, hours[:, None] == np.arange(HOURS)])


def har_daily(x: FloatArray, y: FloatArray, times: IntArray, horizon: int, start: int) -> FloatArray:
    """Forecasts (N,) of the variance `y` (N,) for rows from `start` on; NaN before, and where an input is not known.

    Args:
        x: inputs (N, K) of `har_inputs`.
        y: realised variance over the `horizon` minutes after each row, NaN where it is not known.
        times: open times (N,), rising; the forecast is made a minute later.
        start: first decision, epoch seconds. A UTC day's forecasts come from the rows revealed before it began.
    """
    known = np.isfinite(x).all(axis=1)
    learn = known & (y > 0)
    decided = times + MINUTE_S
    revealed = decided + horizon * MINUTE_S
    out = np.full(len(y), np.nan)
    for day in np.unique(decided[decided >= start] // DAY_S):
        now = max(int(day) * DAY_S, start)
        past = learn & (revealed <= now)
        today = known & (decided >= now) & (decided // DAY_S == day)
        if past.sum() >= LEAST_ROWS:
            out[today] = _forecast(x[past], np.log(y[past]), x[today])
    return out


def _forecast(x: FloatArray, u: FloatArray, asked: FloatArray) -> FloatArray:
    weights = np.linalg.solve(x.T @ x + STEADY * np.eye(x.shape[1]), x.T @ u)
    return np.asarray(np.exp(asked @ weights) * np.mean(np.exp(u - x @ weights)))
