"""One set measured: votes, quorum, stack and baselines in one table, compared, taken apart and counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.agents import context as contexts
from models_ml.agents.calibration import Calibrator
from models_ml.agents.logistic import logit
from models_ml.agents.meta import Stack, mean_vote
from models_ml.evaluation import baselines
from models_ml.evaluation.candle_sets import CandleSet, Say, closing_labels, moves
from models_ml.evaluation.comparing import cells, errors, multiplicity, paired, strongest
from models_ml.evaluation.figures import Figures, Forecast, Outcomes, with_intervals
from models_ml.evaluation.plan import Plan, Slices, slices_of, write_set
from models_ml.evaluation.stacking import Heard, Walked, fit_stack, walk
from models_ml.evaluation.voting import LANES, SeatVotes, cast_all, panel_of, report_of, votes_of
from models_ml.features import VECTOR
from models_ml.fitting import Score, decision_times
from models_ml.samples import Samples
from models_ml.validation.metrics import auc, rise_given_move

STACK, QUORUM = "stack", "quorum"
MEANS = ("simple_mean", "weighted_mean")
"""Other ways to hear the same votes: printed and compared with, but no baseline of those votes."""
THIRDS = ("low", "middle", "high")
VOLATILITY, TREND = "deviation_60", "straightness_60"
"""Columns by whose thirds in the training part the test is parted: how wild and how straight the last hour was."""
LEFT_OUT_ROWS = 40_000
"""Rows on which stacks with one voter left out are weighed."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The votes of one seed on the later slice and on the test part."""

    late: Heard
    test: Heard
    votes: dict[str, SeatVotes]


def measure(
    one: CandleSet, plan: Plan, score: Score, *, tried: int = 1, lanes: int = LANES, say: Say | None = None
) -> dict[str, Any]:
    """The whole report, as plain JSON.

    Args:
        one: the set.
        plan: seats, sizes, seeds, and where work is kept: what is done is not done again.
        score: the consensus, passed in from the floor above.
        tried: configurations scored on this set so far, this one included.
        lanes: voters trained at a time, each in a process of its own; 0 trains in this one.
        say: told the progress.
    """
    if not (plan.folder / "set.json").exists():
        write_set(one, plan.folder)
    cast_all(plan, lanes=lanes, say=say)
    slices = slices_of(one)
    test = one.part(slices.test)
    panels = [_panel(one, slices, plan, seed) for seed in range(plan.seeds)]
    seats = tuple(seat for seat in plan.seats if seat in panels[0].votes)
    walks = []
    for seed, panel in enumerate(panels):
        walks.append(walk(fit_stack(panel.late, seats, seed), panel.late, panel.test))
        if say:
            say("stack", seed + 1, plan.seeds)
    seen = Outcomes.of(test.labels(), decision_times(test), test.index[:, 0], moves(test))
    groups = _groups(panels, walks, seats, score, slices, one.samples, plan)
    return _report(one, plan, slices, panels, walks, seats, groups, seen, tried)


def _report(
    one: CandleSet,
    plan: Plan,
    slices: Slices,
    panels: Sequence[Panel],
    walks: Sequence[Walked],
    seats: tuple[str, ...],
    groups: Mapping[str, Sequence[Forecast]],
    seen: Outcomes,
    tried: int,
) -> dict[str, Any]:
    table = {name: with_intervals(each, seen) for name, each in groups.items()}
    closing = Outcomes.of(closing_labels(one.part(slices.test)), seen.times, seen.instrument, seen.moves)
    for name, each in groups.items():
        table[name] |= _close_to_close(each, closing)
    rivals = [name for name in groups if name not in (STACK, QUORUM, *seats)]
    best = strongest([name for name in rivals if name not in MEANS], table)
    best_voter = strongest(seats, table)
    first = {name: each[0] for name, each in groups.items()}
    against = {name: paired(groups[STACK], groups[name], seen) for name in (*rivals, *seats)}
    apart = _taken_apart(one, slices, seen)
    return {
        "set": _facts(one, plan, slices),
        STACK: table[STACK] | {"weights": walks[0].last.weights(), "bands": _bands(walks[0].first)},
        QUORUM: table[QUORUM],
        "voters": {
            seat: table[seat] | {"fits": [report_of(plan, seat, seed) for seed in range(plan.seeds)]} for seat in seats
        },
        "untrained": {seat: why for seat in plan.seats if isinstance(why := votes_of(plan, seat, 0), str)},
        "baselines": {name: table[name] for name in rivals},
        "strongest_baseline": best,
        "best_voter": best_voter,
        "paired": {
            "strongest_baseline": against[best],
            "known_baseline": against[baselines.KNOWN],
            "best_voter": against[best_voter],
            "each": against,
        },
        "error_correlation": errors({seat: first[seat] for seat in seats}, seen),
        "leave_one_out": _left_out(panels[0], seats, seen),
        "risk_coverage": risk_coverage(first[STACK], seen),
        "volatility": cells(first, seen, apart["volatility"]),
        "regime": cells(first, seen, apart["regime"]),
        "instruments": _by_instrument(first, seen, one.symbols, best),
        "multiplicity": multiplicity(first, best, STACK, seen, tried, one.symbols),
    }


def _panel(one: CandleSet, slices: Slices, plan: Plan, seed: int) -> Panel:
    found = {seat: kept for seat in plan.seats if isinstance(kept := votes_of(plan, seat, seed), SeatVotes)}
    heard = []
    for name in ("late", "test"):
        part = one.part(getattr(slices, name))
        votes = np.stack([getattr(one_seat, name) for one_seat in found.values()], axis=1)
        heard.append(
            Heard(votes, contexts.of(part, VECTOR), part.market[part.index[:, 0]], part.labels(), decision_times(part))
        )
    return Panel(heard[0], heard[1], found)


def _groups(
    panels: Sequence[Panel],
    walks: Sequence[Walked],
    seats: tuple[str, ...],
    score: Score,
    slices: Slices,
    samples: Samples,
    plan: Plan,
) -> dict[str, list[Forecast]]:
    """Every forecaster with one forecast a seed; baselines that no seed changes have one."""
    groups: dict[str, list[Forecast]] = {STACK: [], QUORUM: []}
    for panel, walked in zip(panels, walks, strict=True):
        groups[STACK].append(Forecast(walked.probability, outcomes=walked.outcomes))
        groups[QUORUM].append(_quorum(panel, score))
        for seat in seats:
            votes = panel.votes[seat]
            groups.setdefault(seat, []).append(Forecast(_rise(votes.test), votes.before, votes.test))
        for name, of in zip(MEANS, (mean_vote, _weighted), strict=True):
            groups.setdefault(name, []).append(Forecast(of(panel.test.votes)))
    for name, said in baselines.read(plan.folder).items():
        groups[name] = [Forecast(said, held=name in baselines.HELD)]
    return groups


def _rise(votes: FloatArray) -> FloatArray:
    """P(up | moved) (N,) of votes (N, 3), NaN where the voter abstained."""
    spoke = np.isfinite(votes).all(axis=1)
    return np.where(spoke, rise_given_move(np.nan_to_num(votes.astype(np.float64))), np.nan)


def _weighted(votes: FloatArray) -> FloatArray:
    """Mean of P(up | moved) of votes (N, S, 3), each weighed by its distance from one half."""
    q = np.stack([_rise(votes[:, seat]) for seat in range(votes.shape[1])], axis=1)
    weight = np.nan_to_num(np.abs(q - 0.5))
    total = weight.sum(axis=1)
    mean = (np.nan_to_num(q) * weight).sum(axis=1) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, np.where(np.isfinite(q).any(axis=1), 0.5, np.nan))


def _quorum(panel: Panel, score: Score) -> Forecast:
    """The side of the quorum with the probability that such a lean was worth before; silent where it was not met."""
    said = []
    for part, name in ((panel.late, "late"), (panel.test, "test")):
        answers = {seat: (getattr(v, name), getattr(v, f"{name}_threshold")) for seat, v in panel.votes.items()}
        side, lean = score(panel_of(answers, len(part.times)))
        said.append((side, logit(0.5 + np.clip(lean, 0, 1) / 2, 0.01)))
    (side, strength), (asked, strength_now) = said
    use = (side != 0) & ((panel.late.labels == 0) | (panel.late.labels == 2))
    right = panel.late.labels[use] == side[use] + 1
    calibrator = Calibrator.learn(strength[use], right, minutes=len(np.unique(panel.late.times[use])))
    worth = np.maximum(calibrator(strength_now)[0] - 0.5, 1e-4)  # the side stays the quorum's own
    return Forecast(np.where(asked != 0, 0.5 + asked * worth, np.nan))


def _close_to_close(each: Sequence[Forecast], closing: Outcomes) -> Figures:
    """Accuracy and area had the entry been the last close, which nobody gets; means over seeds."""
    found: dict[str, list[float]] = {"acc_close": [], "auc_close": []}
    for one in each:
        use = closing.moved & np.isfinite(one.said)
        area = auc(one.said[use], up := closing.labels[use] == 2)
        if area is not None:
            found["acc_close"].append(float(((one.said[use] > 0.5) == up).mean()))
            found["auc_close"].append(area)
    return {name: float(np.mean(values)) if values else None for name, values in found.items()}


def risk_coverage(forecast: Forecast, seen: Outcomes) -> list[tuple[float, float]]:
    """(share of minutes, accuracy among them), the surest first."""
    use = seen.moved & np.isfinite(forecast.said)
    order = np.argsort(-forecast.confidence[use], kind="stable")
    hits = ((forecast.said > 0.5) == (seen.labels == 2))[use][order]
    rows = [(share, round(share * len(hits))) for share in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)]
    return [(share, float(hits[:row].mean())) for share, row in rows if row]


def _taken_apart(one: CandleSet, slices: Slices, seen: Outcomes) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Test rows by third of volatility, and by how straight the last hour went; cuts are those of the training part."""
    thirds = []
    for column in (VOLATILITY, TREND):
        at = np.array([VECTOR.index(column)])
        before = np.abs(one.part(slices.train).matrix(at)[:, 0])
        now = np.abs(one.part(slices.test).matrix(at)[:, 0])
        cuts = np.nanquantile(before, [1 / 3, 2 / 3]) if np.isfinite(before).any() else np.zeros(2)
        place = np.where(np.isfinite(now), np.searchsorted(cuts, now), -1)
        thirds.append([place == number for number in range(3)])
    return {
        "volatility": dict(zip(THIRDS, thirds[0], strict=True)),
        "regime": dict(zip(("ranging", "mixed", "trending"), thirds[1], strict=True)),
    }


def _by_instrument(
    first: Mapping[str, Forecast], seen: Outcomes, symbols: Sequence[str], best: str
) -> dict[str, dict[str, Figures]]:
    """The stack beside the strongest baseline and the plainest rules, in each instrument."""
    few = {name: first[name] for name in dict.fromkeys((STACK, best, baselines.KNOWN, "last_sign", "anti_last_sign"))}
    rows = {symbol: seen.instrument == number for number, symbol in enumerate(symbols)}
    return cells(few, seen, {symbol: mine for symbol, mine in rows.items() if mine.any()})


def _left_out(panel: Panel, seats: tuple[str, ...], seen: Outcomes) -> dict[str, Figures]:
    """What the stack, fitted once, loses without each voter: differences of area and accuracy with intervals."""
    late = panel.late
    if len(late.times) > LEFT_OUT_ROWS:
        late = late.pick(np.sort(np.random.default_rng(0).choice(len(late.times), LEFT_OUT_ROWS, replace=False)))
    if len(seats) < 2:
        return {}

    def fitted(before: Heard, now: Heard) -> Forecast:
        return Forecast(fit_stack(before, seats, 0).predict(now.votes, now.context, now.market))

    whole = fitted(late, panel.test)
    return {
        seat: paired([whole], [fitted(late.without(place), panel.test.without(place))], seen)
        for place, seat in enumerate(seats)
    }


def _bands(stack: Stack) -> dict[str, float]:
    """Half-width of the conformal abstention band by coverage."""
    return {f"{level:.2f}": stack.band(level) for level in (0.52, 0.55, 0.6, 0.7, 0.8, 0.9)}


def _facts(one: CandleSet, plan: Plan, slices: Slices) -> dict[str, Any]:
    def span(rows: IntArray) -> dict[str, int]:
        times = decision_times(one.part(rows))
        return {"from": int(times.min()), "until": int(times.max()), "rows": len(rows)}

    return {
        "files": list(one.files),
        "symbols": list(one.symbols),
        "digest": one.digest,
        "entry": one.entry,
        "profile": plan.profile.name,
        "seeds": plan.seeds,
        "features": len(VECTOR),
        **{name: span(getattr(slices, name)) for name in Slices.__dataclass_fields__},
    }
