"""One forecaster against others on the same rows and days, and what the best of many is worth."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray
from models_ml.evaluation.figures import Figures, Forecast, Outcomes, figures, sure_rows
from models_ml.validation.bootstrap import DAY_S, interval
from models_ml.validation.metrics import auc, error_correlation, wilson
from models_ml.validation.multiplicity import (
    LEAST_DAYS,
    benjamini_hochberg,
    better_ones,
    deflated_sharpe,
    overfitting,
    superior,
)

Bools = NDArray[np.bool_]
Seeds = Sequence[Forecast]
COIN = 0.5
CELL_ROWS = 100
"""Moved minutes under which an instrument is not tested."""


def paired(one: Seeds, other: Seeds, seen: Outcomes) -> Figures:
    """How much better `one` is than `other`: differences of AUC and accuracy with 95 % intervals over the same days.

    Rows are those where both spoke; the two are averaged over their seeds. `*_better` is the share of draws above zero.
    """
    found: Figures = {}
    use = seen.moved & np.all([np.isfinite(f.said) for f in (*one, *other)], axis=0)
    up = seen.labels == 2
    found["n"] = int(use.sum())
    for name in ("auc", "acc"):
        points, draws = [], []
        for group in (one, other):
            each = [_area(f, seen, use, up) if name == "auc" else _hit_rate(f, seen, use, up) for f in group]
            points.append(np.mean([point for point, _ in each]))
            draws.append(np.mean([drawn for _, drawn in each], axis=0))
        difference = draws[0] - draws[1]
        found[name] = float(points[0] - points[1])
        found[f"{name}_ci"] = interval(difference)
        found[f"{name}_better"] = float((difference > 0).mean())
    return found


def _area(forecast: Forecast, seen: Outcomes, use: Bools, up: Bools) -> tuple[float, FloatArray]:
    point = auc(forecast.said[use], up[use])
    return (np.nan if point is None else point), seen.draws.aucs(forecast.said, up, use)


def _hit_rate(forecast: Forecast, seen: Outcomes, use: Bools, up: Bools) -> tuple[float, FloatArray]:
    hits = ((forecast.said > COIN) == up).astype(np.float64)
    return float(hits[use].mean()) if use.any() else np.nan, seen.draws.means(hits, use)


def strongest(names: Sequence[str], table: Mapping[str, Figures]) -> str:
    """The one with the largest area on this part."""
    return max(names, key=lambda name: table[name]["auc"] or 0.0)


def errors(voters: Mapping[str, Forecast], seen: Outcomes) -> dict[str, Any]:
    """Pairwise correlation of errors on minutes that moved, and the mean over pairs of different voters."""
    names = list(voters)
    up = seen.labels == 2
    wrong = np.stack(
        [np.where(np.isfinite(f.said), (f.said > COIN) != up, np.nan)[seen.moved] for f in voters.values()]
    )
    table = error_correlation(wrong)
    apart = table[~np.eye(len(names), dtype=bool)]
    known = apart[np.isfinite(apart)]
    rows = [[None if np.isnan(value) else float(value) for value in row] for row in table]
    return {"seats": names, "table": rows, "mean": float(known.mean()) if len(known) else None}


def cells(
    forecasts: Mapping[str, Forecast], seen: Outcomes, groups: Mapping[str, Bools]
) -> dict[str, dict[str, Figures]]:
    """Group → forecaster → figures over its rows, without intervals."""
    sure = {name: sure_rows(forecast, seen) for name, forecast in forecasts.items()}
    return {
        group: {name: figures(forecast, seen, rows, sure[name]) for name, forecast in forecasts.items()}
        for group, rows in groups.items()
    }


def multiplicity(
    forecasts: Mapping[str, Forecast], benchmark: str, chosen: str, seen: Outcomes, tried: int, symbols: Sequence[str]
) -> dict[str, Any]:
    """What `chosen` is worth beside all others of the table and all configurations tried before.

    Losses are 1 − hit rate of each day, silent minutes a coin. `spa` is Hansen's p value that nobody beats the
    benchmark, `better` who does with a family-wise error of 5 %; the Sharpe ratio is that of the daily mean of
    side × move before costs, deflated by the spread of all of the table and the number of configurations `tried`;
    `pbo` the probability that picking the best of the table by accuracy overfits; `instruments` whose accuracy is
    above one half with a false discovery rate of 5 %.
    """
    days, place = np.unique(seen.times // DAY_S, return_inverse=True)
    hits = {name: _daily(_won(one, seen), place, len(days), seen.moved) for name, one in forecasts.items()}
    found: dict[str, Any] = {"benchmark": benchmark, "configurations": tried, "days": len(days)}
    others = {
        name: 1 - rate for name, rate in hits.items() if name != benchmark and not np.allclose(rate, hits[benchmark])
    }
    if len(days) >= LEAST_DAYS and others:
        found["spa"] = superior(1 - hits[benchmark], others)
        found["better"] = better_ones(1 - hits[benchmark], others)
    gains = {name: _daily(_gain(one, seen), place, len(days), seen.labels >= 0) for name, one in forecasts.items()}
    found["deflated_sharpe"] = deflated_sharpe(gains[chosen], _trials(list(gains.values()), tried))
    found["pbo"] = overfitting(np.column_stack(list(hits.values())))
    return found | {"instruments": _instruments(forecasts[chosen], seen, symbols)}


def _won(forecast: Forecast, seen: Outcomes) -> FloatArray:
    """1 right, 0 wrong, ½ silent."""
    return np.where(np.isfinite(forecast.said), (forecast.said > COIN) == (seen.labels == 2), 0.5)


def _gain(forecast: Forecast, seen: Outcomes) -> FloatArray:
    return np.nan_to_num(np.sign(forecast.said - COIN)) * np.nan_to_num(seen.moves)


def _daily(values: FloatArray, place: NDArray[np.int64], days: int, use: Bools) -> FloatArray:
    """Mean of each day (D,), ½-neutral zero where a day has no row."""
    rows = np.bincount(place[use], minlength=days)
    return np.asarray(np.bincount(place[use], weights=values[use], minlength=days) / np.maximum(rows, 1))


def _trials(gains: Sequence[FloatArray], tried: int) -> FloatArray:
    """Sharpe ratios a day of all that were tried: those of the table, repeated as often as there were more."""
    ratios = np.array([gain.mean() / gain.std(ddof=1) if gain.std() > 0 else 0.0 for gain in gains])
    return np.resize(ratios, max(tried, len(ratios)))


def _instruments(forecast: Forecast, seen: Outcomes, symbols: Sequence[str]) -> list[dict[str, Any]]:
    """n, accuracy and interval of each instrument, and whether it is above one half among all looked at."""
    rows = []
    for number, symbol in enumerate(symbols):
        use = (seen.instrument == number) & seen.moved & np.isfinite(forecast.said)
        n = int(use.sum())
        if n < CELL_ROWS:
            continue
        right = int(((forecast.said > COIN) == (seen.labels == 2))[use].sum())
        z = (right - n / 2) / np.sqrt(n / 4)
        rows.append({"instrument": symbol, "n": n, "acc": right / n, "ci": wilson(right, n), "p": _above(float(z))})
    passed = benjamini_hochberg(np.array([row["p"] for row in rows]))
    return [row | {"above_half": bool(good)} for row, good in zip(rows, passed, strict=True)]


def _above(z: float) -> float:
    """One-sided p value of a standard normal."""
    return 1 - NormalDist().cdf(z)
