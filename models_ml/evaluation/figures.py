"""The protocol's row of one forecaster on one part: every figure with its n, none where n = 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.validation.bootstrap import DayDraws, interval
from models_ml.validation.costs import COSTS_BPS, net_at_payout, net_bps, turnover
from models_ml.validation.coverage import surest
from models_ml.validation.metrics import (
    area_under_risk_coverage,
    auc,
    balanced_accuracy,
    brier_skill,
    calibration_error,
    calibration_floor,
    cross_entropy,
    matthews,
    reliability_line,
    threshold_for,
)

COVERAGES = {"20": 0.2, "5": 0.05}
EDGE = 1e-6
"""Probabilities nearer to certainty than this count as this in a log loss."""

Figures = dict[str, Any]
Bools = NDArray[np.bool_]
Sure = dict[str, Bools]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of N decisions; `draws` are the days of all intervals."""

    labels: NDArray[np.int8]
    times: IntArray
    instrument: IntArray
    moves: FloatArray  # log return from entry to exit
    draws: DayDraws

    @classmethod
    def of(
        cls, labels: NDArray[np.int8], times: IntArray, instrument: IntArray, moves: FloatArray, seed: int = 0
    ) -> "Outcomes":
        """With the days drawn."""
        return cls(labels, times, instrument, moves, DayDraws.of(times, seed=seed))

    @property
    def moved(self) -> Bools:
        """Decisions of a known outcome that is no tie."""
        return np.asarray((self.labels == 0) | (self.labels == 2))


@dataclass(frozen=True, slots=True)
class Forecast:
    """P(up | moved) (N,) of one forecaster, NaN where silent.

    `late` are its confidences and their times on the slice before the test, where it has one: frozen thresholds come
    from there. `outcomes` are P(down, tie, up), where it says them. `held` positions are entered once.
    """

    said: FloatArray
    late: tuple[FloatArray, IntArray] | None = None
    outcomes: FloatArray | None = None
    held: bool = False

    @property
    def confidence(self) -> FloatArray:
        """Distance from one half."""
        return np.abs(self.said - 0.5)


def figures(forecast: Forecast, seen: Outcomes, use: Bools | None = None, sure: Sure | None = None) -> Figures:
    """All figures over the rows in `use`, without intervals; see docs/evaluation.md for each key.

    `sure` are the forecast's `sure_rows`, where the caller has them already.
    """
    sure = sure or sure_rows(forecast, seen)
    chosen = np.isfinite(forecast.said) & (seen.labels >= 0)
    chosen &= True if use is None else use
    moved = chosen & seen.moved
    q, up, when = forecast.said[moved], seen.labels[moved] == 2, seen.times[moved]
    hits = (q > 0.5) == up
    slope, intercept = reliability_line(q, up)
    n = int(chosen.sum())
    found: Figures = {
        "n": n,
        "ties": n - int(moved.sum()),
        "answered": _share(chosen, (seen.labels >= 0) & (True if use is None else use)),
        "up_share": _mean(up),
        "acc": _mean(hits),
        "acc_ties_lost": float(hits.sum() / n) if n else None,
        "balanced": balanced_accuracy(q > 0.5, up),
        "mcc": matthews(q > 0.5, up),
        "auc": auc(q, up),
        "log_loss": _log_loss(q, up),
        "brier_skill": brier_skill(q, up, when),
        "ece": calibration_error(q, up),
        "ece_floor": calibration_floor(q),
        "slope": slope,
        "intercept": intercept,
        "aurc": area_under_risk_coverage(np.abs(q - 0.5), hits),
    }
    if forecast.outcomes is not None:
        found["log_loss_outcomes"] = cross_entropy(forecast.outcomes[chosen], seen.labels[chosen])
    return (
        found
        | directions(forecast.said, seen, chosen)
        | _sure(forecast, seen, chosen, sure)
        | _earned(forecast, seen, chosen, sure)
    )


def with_intervals(forecasts: Sequence[Forecast], seen: Outcomes) -> Figures:
    """Figures of one forecaster with one forecast a seed: the mean over seeds, its spread, and intervals over days.

    `ci` is the 95 % interval of the accuracy, `auc_ci` that of the area; the draws are averaged over seeds first.
    """
    each = [figures(one, seen) for one in forecasts]
    found = _over_seeds(each)
    accuracies, areas = [], []
    for one in forecasts:
        use = np.isfinite(one.said) & seen.moved
        hits = ((one.said > 0.5) == (seen.labels == 2)).astype(np.float64)
        accuracies.append(seen.draws.means(hits, use))
        areas.append(seen.draws.aucs(one.said, seen.labels == 2, use))
    found["ci"], found["auc_ci"] = (interval(np.mean(draws, axis=0)) for draws in (accuracies, areas))
    return found


def directions(said: FloatArray, seen: Outcomes, chosen: Bools) -> Figures:
    """Precision, recall and false-positive rate of each direction; a tie is neither: a side said of it is false."""
    found: Figures = {}
    for name, sign, label in (("up", 1, 2), ("down", -1, 0)):
        with np.errstate(invalid="ignore"):
            claimed = chosen & (np.sign(said - 0.5) == sign)
        came = chosen & (seen.labels == label)
        found[f"precision_{name}"] = _share(came & claimed, claimed)
        found[f"recall_{name}"] = _share(came & claimed, came)
        found[f"false_positive_{name}"] = _share(claimed & ~came, chosen & ~came)
    return found


def sure_rows(forecast: Forecast, seen: Outcomes) -> Sure:
    """Rows above the threshold that was in force at the time, by name of the coverage."""
    return {
        name: surest(forecast.confidence, seen.times, coverage, before=forecast.late)
        for name, coverage in COVERAGES.items()
    }


def _sure(forecast: Forecast, seen: Outcomes, chosen: Bools, rows: Sure) -> Figures:
    """Accuracy among the surest, and the coverage reached: by thresholds that follow, and by frozen ones."""
    found: Figures = {}
    hits = (forecast.said > 0.5) == (seen.labels == 2)
    moved = chosen & seen.moved
    for name, coverage in COVERAGES.items():
        sure = rows[name]
        found[f"acc{name}"] = _share(hits & sure & moved, sure & moved)
        found[f"cov{name}"] = _share(sure & chosen, chosen)
        found[f"n{name}"] = int((sure & moved).sum())
        if forecast.late is not None:
            frozen = forecast.confidence >= threshold_for(forecast.late[0][np.isfinite(forecast.late[0])], coverage)
            found[f"acc{name}_frozen"] = _share(hits & frozen & moved, frozen & moved)
            found[f"cov{name}_frozen"] = _share(frozen & chosen, chosen)
    return found


def _earned(forecast: Forecast, seen: Outcomes, chosen: Bools, rows: Sure) -> Figures:
    """Net of payout and of costs, for every minute and for the surest fifth; a held position pays no costs."""
    side = np.where(chosen, np.nan_to_num(np.sign(forecast.said - 0.5)), 0).astype(np.int64)
    move = np.nan_to_num(seen.moves)
    sure = np.where(rows["20"], side, 0)
    found: Figures = {"net_payout": net_at_payout(side, move), "net_payout_20": net_at_payout(sure, move)}
    for cost in COSTS_BPS:
        paid = 0 if forecast.held else cost
        found[f"net_{cost}bp"], found[f"net_{cost}bp_20"] = net_bps(side, move, paid), net_bps(sure, move, paid)
    found["turnover"] = turnover(side[chosen], seen.instrument[chosen], seen.times[chosen])
    return found


def _over_seeds(each: Sequence[Figures]) -> Figures:
    """Means, and the standard deviation of the areas and accuracies; a figure missing in one seed is missing."""
    found: Figures = {}
    for key, first in each[0].items():
        values = [one[key] for one in each]
        found[key] = None if None in values else first if len(each) == 1 else float(np.mean(values))
    for key in ("n", "ties", "n20", "n5"):
        found[key] = None if found[key] is None else round(found[key])
    for key in ("acc", "auc"):
        values = [one[key] for one in each]
        found[f"{key}_sd"] = float(np.std(values, ddof=1)) if len(each) > 1 and None not in values else None
    return found


def _log_loss(q: FloatArray, up: Bools) -> float | None:
    """Mean −log p of what happened among the minutes that moved, nats; ln 2 knows nothing."""
    if not len(q):
        return None
    inside = np.clip(q, EDGE, 1 - EDGE)
    return float(-np.log(np.where(up, inside, 1 - inside)).mean())


def _mean(values: Bools) -> float | None:
    return float(values.mean()) if len(values) else None


def _share(part: Bools, whole: Bools) -> float | None:
    total = int(whole.sum())
    return float(part.sum() / total) if total else None
