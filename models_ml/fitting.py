"""Train the panel: splits, fits, thresholds, and the data that turn a score into a probability. Pure."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.panel import LoadedModel, PanelVotes, cast_votes
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.validation.metrics import (
    accuracy_above,
    balanced_accuracy,
    evaluate,
    rise_given_move,
    threshold_for,
    wilson,
)
from models_ml.validation.splits import BadSplit, time_ordered
from models_ml.voters import LOCAL_SEATS, SEATS, VOTERS, voter_class
from models_ml.voters.base import FitReport, NotEnoughData, Voter, thin
from models_ml.votes import AbstainReason

MINUTE_S = 60
SURE = (0.2, 0.05)
"""Coverages at which accuracy is told besides that over all minutes."""
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of minutes in which a voter may speak; below one half a quorum would hardly ever meet."""
BIN_ROWS = 100
MAX_BINS = 20
"""A calibration bin holds at least `BIN_ROWS` decisions, so that a lucky handful never reads as certainty."""

Figures = dict[str, float | int | None]

OnProgress = Callable[[str, int, int], None]
"""(seat, steps done, steps in all)."""
Score = Callable[[PanelVotes], tuple[NDArray[np.int8], FloatArray]]
"""The consensus, passed in from above: votes on N rows → side (N,) in −1, 0, +1 and score (N,) in 0..1."""


@dataclass(frozen=True, slots=True)
class FittedVoter:
    """One trained seat.

    `metrics` are the figures on the validation slice, which also stopped the training and set the threshold; `later`
    those on the calibration slice, which this voter has never met: the honest ones, with the accuracy at 20 % and 5 %
    coverage by thresholds frozen on the validation slice. `unseen_from` is the first decision (epoch second) it never
    met in any way.
    """

    voter: Voter
    threshold: float
    report: FitReport
    metrics: Figures
    later: Figures
    unseen_from: int


@dataclass(frozen=True, slots=True)
class Known:
    """A voter to go on from, and the first decision (epoch second) that it never met in any way."""

    voter: Voter
    unseen_from: int


OnFitted = Callable[[str, FittedVoter], None]
"""(seat, its fitted voter), called as soon as that seat is ready: it may vote before the others are trained."""


@dataclass(frozen=True, slots=True)
class PanelFit:
    """A trained panel. `slices` maps train, validation, calibration to (first, last decision instant, rows)."""

    voters: dict[str, FittedVoter]
    untrained: dict[str, str]  # seat → why
    calibration: dict[str, Any]  # plain JSON, see `calibrate`
    slices: dict[str, tuple[int, int, int]]
    trained_until: int  # epoch second of the last decision learned from, calibration included
    seconds: float


def fit_panel(
    samples: Samples,
    profile: Profile,
    *,
    columns: tuple[str, ...],
    score: Score,
    seats: Sequence[str] = LOCAL_SEATS,
    on_progress: OnProgress | None = None,
    on_fitted: OnFitted | None = None,
    seed: int = 0,
    profiles: Mapping[str, Profile] | None = None,
    known: Mapping[str, Known] | None = None,
) -> PanelFit:
    """Fit the local voters among `seats`, choose their thresholds, calibrate the consensus.

    Voters learn from the first 60 % of the time span and stop early and choose thresholds on the next 20 %; the
    consensus is calibrated on the last 20 %. Each part is purged from the one before. The later two are judged on
    `profile.judge_rows` rows at most. A voter whose source was recorded later than the candles has its own three parts
    of that stretch, and is silent in the calibration where it had met the minute. `profiles` are the sizes of single
    seats, where they are not those of `profile`; `known` are the voters that learn on instead of anew.

    A seat with too little data is listed in `untrained` with the reason; other errors are raised.
    """
    started = time.perf_counter()
    whole = _slices(samples, profile, seed)
    voters: dict[str, FittedVoter] = {}
    answers: dict[str, FloatArray] = {}
    untrained: dict[str, str] = {}
    for seat in (seat for seat in seats if not VOTERS[seat].llm):
        size = (profiles or {}).get(seat, profile)
        try:
            slices = _slices_of(seat, samples, whole, profile, seed)
            fitted, after = _fit_seat(seat, slices, size, columns, on_progress, seed, (known or {}).get(seat))
        except NotEnoughData as error:
            untrained[seat] = str(error)
            continue
        asked_all = slices is whole and len(after) == len(whole.later)
        voters[seat], answers[seat] = fitted, after if asked_all else _unmet(fitted, whole.later)
        if on_fitted:
            on_fitted(seat, fitted)
    side, points = score(_panel_votes(voters, answers, len(whole.later)))
    return PanelFit(
        voters,
        untrained,
        calibrate(side, points, whole.later.labels()),
        whole.spans,
        int(decision_times(samples).max()),
        time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True)
class _Slices:
    """The three parts of a stretch of time, the later two thinned; `spans` as in `PanelFit.slices`, unthinned."""

    train: Samples
    validation: Samples
    later: Samples
    spans: dict[str, tuple[int, int, int]]


def _slices(samples: Samples, profile: Profile, seed: int) -> _Slices:
    times = decision_times(samples)
    parts = dict(zip(("train", "validation", "calibration"), time_ordered(times), strict=True))
    train, *rest = (samples.pick(rows) for rows in parts.values())
    validation, later = (thin(part, profile.judge_rows, seed) for part in rest)
    spans = {name: (int(times[rows].min()), int(times[rows].max()), len(rows)) for name, rows in parts.items()}
    return _Slices(train, validation, later, spans)


def _slices_of(seat: str, samples: Samples, whole: _Slices, profile: Profile, seed: int) -> _Slices:
    """Those of the minutes in which the voter's source was recorded."""
    begins = voter_class(seat).begins(samples)
    times = decision_times(samples)
    if begins < times.min():
        return whole
    try:
        return _slices(samples.pick(times > begins), profile, seed)
    except BadSplit as error:
        raise NotEnoughData(f"voter {seat!r}: what it reads was recorded too late ({error})") from error


def _unmet(fitted: FittedVoter, later: Samples) -> FloatArray:
    """The voter's answers (N, 3), NaN on the minutes that it has met."""
    answers = fitted.voter.predict(later)
    answers[decision_times(later) < fitted.unseen_from] = np.nan
    return answers


def decision_times(samples: Samples) -> IntArray:
    """Epoch second of each row's decision (N,): the close of its candle."""
    return samples.open_times[samples.index[:, 1]] + MINUTE_S


def predict_panel(voters: Mapping[str, FittedVoter], samples: Samples) -> PanelVotes:
    """The votes of a fitted panel on any slice, without deadlines; seats without a voter are `UNTRAINED`."""
    answers = {seat: fitted.voter.predict(samples) for seat, fitted in voters.items()}
    return _panel_votes(voters, answers, len(samples))


def _panel_votes(voters: Mapping[str, FittedVoter], answers: Mapping[str, FloatArray], rows: int) -> PanelVotes:
    probabilities = np.full((rows, len(SEATS), 3), np.nan, dtype=np.float32)
    direction = np.zeros((rows, len(SEATS)), dtype=np.int8)
    abstained = np.full((rows, len(SEATS)), AbstainReason.UNTRAINED, dtype=np.int8)
    for place, seat in enumerate(SEATS):
        if VOTERS[seat].llm:
            abstained[:, place] = AbstainReason.NO_KEY
        if seat not in voters:
            continue
        fitted = voters[seat]
        model = LoadedModel(fitted.voter, 0, fitted.threshold, 0.0)
        votes = cast_votes(answers[seat], model, rows)
        probabilities[:, place], direction[:, place], abstained[:, place] = votes
    latency = np.zeros((rows, len(SEATS)), dtype=np.float32)
    return PanelVotes(probabilities, direction, abstained, latency, np.zeros(len(SEATS), dtype=np.int64))


def neutral_threshold(probabilities: FloatArray, labels: NDArray[np.int8]) -> float:
    """The |p_up − p_down| under which a voter stays neutral, chosen on its validation slice.

    Of the thresholds that let it speak in `COVERAGES` of the minutes, the one with the largest
    (balanced accuracy − ½) · √coverage: the edge in units of its own standard error. A voter without any edge gets
    the highest of them and speaks least.
    """
    use = np.isfinite(probabilities).all(axis=1) & (labels >= 0) & (labels != 1)
    p, up = probabilities[use], labels[use] == 2
    if not len(p):
        return 0.0
    lean = np.abs(p[:, 2] - p[:, 0])
    said_up = rise_given_move(p) > 0.5
    best, best_edge = 0.0, 0.0
    for coverage in COVERAGES:
        threshold = 0.0 if coverage == 1.0 else float(np.quantile(lean, 1 - coverage))
        speaks = lean >= threshold
        accuracy = balanced_accuracy(said_up[speaks], up[speaks])
        edge = ((accuracy or 0.5) - 0.5) * float(np.sqrt(speaks.mean()))
        if edge > best_edge:
            best, best_edge = threshold, edge
    return best if best_edge > 0 else float(np.quantile(lean, 1 - COVERAGES[-1]))


def calibrate(side: NDArray[np.int8], score: FloatArray, labels: NDArray[np.int8]) -> dict[str, Any]:
    """Isotonic map from score to the share of decisions that came true, as plain JSON.

    Only rows with a side and a known outcome count; a tie counts as not won, as it does for a bet that pays nothing
    back. `x` are the knots (mean score of a bin), `y` the calibrated probability, `lower` the lower end of Wilson's
    95 % interval of the bin's pooled block, `n`, `won`, `tied` its counts. Read it with linear interpolation between
    knots, constant outside. Lists are empty when no decision was taken.
    """
    use = (side != 0) & (labels >= 0) & np.isfinite(score)
    points, won, tied = score[use], labels[use] == side[use] + 1, labels[use] == 1
    knots: dict[str, Any] = {name: [] for name in ("x", "y", "lower", "n", "won", "tied")}
    for rows in _pooled(points, won):
        n, wins = len(rows), int(won[rows].sum())
        knots["x"].append(float(points[rows].mean()))
        knots["y"].append(wins / n)
        knots["lower"].append(wilson(wins, n)[0])
        knots["n"].append(n)
        knots["won"].append(wins)
        knots["tied"].append(int(tied[rows].sum()))
    return knots | {"method": "isotonic", "rows": len(side), "decisions": len(points)}


def _pooled(points: FloatArray, won: NDArray[np.bool_]) -> list[IntArray]:
    """Rows of each block of equal fitted probability, by rising score."""
    from sklearn.isotonic import IsotonicRegression  # seconds to import, and only training needs it

    if not len(points):
        return []
    place = _bins(points)
    n = np.bincount(place)
    centre = np.bincount(place, weights=points) / n
    share = np.bincount(place, weights=won) / n
    fitted = IsotonicRegression().fit_transform(centre, share, sample_weight=n)
    block = np.concatenate([[0], np.cumsum(np.diff(fitted) > 1e-12)])[place]
    return [np.flatnonzero(block == number) for number in range(block.max() + 1)]


def _bins(points: FloatArray) -> IntArray:
    """The bin of each score (n,), by rising score; equal scores share a bin and every bin has its `BIN_ROWS`."""
    _, place, counts = np.unique(points, return_inverse=True, return_counts=True)
    least = max(BIN_ROWS, -(-len(points) // MAX_BINS))
    bins, filled = np.zeros(len(counts), dtype=np.int64), 0
    for value, left in enumerate(np.cumsum(counts[::-1])[::-1]):
        if value:
            full = filled >= least and left >= least
            bins[value] = bins[value - 1] + full
            filled = 0 if full else filled
        filled += counts[value]
    return bins[place]


def _fit_seat(
    seat: str,
    slices: _Slices,
    profile: Profile,
    columns: tuple[str, ...],
    on_progress: OnProgress | None,
    seed: int,
    known: Known | None,
) -> tuple[FittedVoter, FloatArray]:
    """The trained voter and its answers (N, 3) on the rows of the last slice that it had not met."""

    def on_step(done: int, total: int) -> None:
        if on_progress:
            on_progress(seat, done, total)

    train, validation, later = slices.train, slices.validation, slices.later
    unmet = decision_times(later) >= (known.unseen_from if known else 0)
    if known and unmet.any():
        voter, later = known.voter, later.pick(unmet)
        report = voter.update(train, validation, profile, seed=seed, on_step=on_step)
    else:
        voter = voter_class(seat)(columns)
        report = voter.fit(train, validation, profile, seed=seed, on_step=on_step)
    probabilities, labels = voter.predict(validation), validation.labels()
    threshold = neutral_threshold(probabilities, labels)
    figures = evaluate(probabilities, labels, decision_times(validation), seed=seed)
    after, outcomes = voter.predict(later), later.labels()
    honest = evaluate(after, outcomes, decision_times(later), seed=seed) | sure_figures(probabilities, after, outcomes)
    unseen_from = int(decision_times(later).min())
    return FittedVoter(voter, threshold, report, figures, honest, unseen_from), after


def sure_figures(before: FloatArray, after: FloatArray, labels: NDArray[np.int8]) -> Figures:
    """Accuracy among the surest rows of a later slice, and the coverage reached, by thresholds from the slice before.

    `before` (M, 3) are the votes that set the thresholds; `after` (N, 3) and `labels` (N,) are judged, ties left out.
    """
    known = np.isfinite(before).all(axis=1)
    use = np.isfinite(after).all(axis=1) & (labels >= 0) & (labels != 1)
    q = rise_given_move(after[use])
    hits = (q > 0.5) == (labels[use] == 2)
    figures: Figures = {}
    for coverage in SURE:
        threshold = threshold_for(np.abs(rise_given_move(before[known]) - 0.5), coverage)
        name = f"{coverage:.0%}".rstrip("%")
        figures[f"accuracy_at_{name}"], figures[f"coverage_at_{name}"] = accuracy_above(
            np.abs(q - 0.5), hits, threshold
        )
    return figures
