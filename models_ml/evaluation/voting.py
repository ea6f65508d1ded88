"""Train the voters of a plan and keep their votes, two at a time, each in a process of its own; resumable."""

import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.evaluation import baselines
from models_ml.evaluation.candle_sets import Say
from models_ml.evaluation.plan import Plan, Slices, learns_again, read_set, sized
from models_ml.features import VECTOR
from models_ml.fitting import decision_times, neutral_threshold
from models_ml.panel import LoadedModel, PanelVotes, cast_votes
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.validation.metrics import rise_given_move
from models_ml.voters import SEATS, VOTERS, voter_class
from models_ml.voters.base import NotEnoughData, Voter, thin
from models_ml.voters.language import NoRecordedVote
from models_ml.votes import AbstainReason

LANES = 2
LOOK_S = 0.5
SLOWEST = ("lstm", "transformer", "cnn", "gru")
"""Begun first, so that no core idles at the end."""


@dataclass(frozen=True, slots=True)
class SeatVotes:
    """What one seat said on the later slice of the training part and on the test part, (N, 3) each.

    `before` are the confidences and instants of the model that votes on the test part, on a slice before it.
    """

    late: FloatArray
    late_threshold: float
    test: FloatArray
    test_threshold: float
    before: tuple[FloatArray, IntArray]


def cast_all(plan: Plan, *, lanes: int = LANES, say: Say | None = None) -> None:
    """Do what of the plan is not done yet: the votes of every seat and seed, and the baselines.

    `lanes` = 0 works in this process. Errors of a worker are raised here; what others finished stays done.
    """
    jobs = [("baselines", 0)] if not baselines.kept_at(plan.folder).exists() else []
    order = sorted(plan.seats, key=lambda seat: seat not in SLOWEST)
    jobs += [
        (seat, seed)
        for seed in range(plan.seeds)
        for seat in order
        if not plan.votes_at(seat, seed).exists() and not _refusal(plan, seat, seed).exists()
    ]
    if lanes:
        _in_processes(plan, jobs, lanes, say)
        return
    for seat, seed in jobs:
        work(plan.folder, seat, seed, plan.profile, lambda done, total, name=seat: say and say(name, done, total))  # type: ignore[misc]  # the default binds the seat


def votes_of(plan: Plan, seat: str, seed: int) -> SeatVotes | str:
    """The kept votes of a seat, or why it has none."""
    refusal = _refusal(plan, seat, seed)
    if refusal.exists():
        return str(json.loads(refusal.read_text())["reason"])
    with np.load(plan.votes_at(seat, seed)) as kept:
        return SeatVotes(
            kept["late"],
            float(kept["late_threshold"]),
            kept["test"],
            float(kept["test_threshold"]),
            (kept["before"], kept["before_times"]),
        )


def report_of(plan: Plan, seat: str, seed: int) -> dict[str, Any]:
    """How the fits of a seat went."""
    path = plan.votes_at(seat, seed).with_suffix(".json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def panel_of(answers: dict[str, tuple[FloatArray, float]], rows: int) -> PanelVotes:
    """Votes of the whole panel from seat → (probabilities, threshold); other seats are silent."""
    probabilities = np.full((rows, len(SEATS), 3), np.nan, dtype=np.float32)
    direction = np.zeros((rows, len(SEATS)), dtype=np.int8)
    abstained = np.full((rows, len(SEATS)), AbstainReason.UNTRAINED, dtype=np.int8)
    for seat, (answer, threshold) in answers.items():
        place = SEATS.index(seat)
        model = LoadedModel(voter_class(seat)(VECTOR), 0, threshold, 0.0)
        probabilities[:, place], direction[:, place], abstained[:, place] = cast_votes(answer, model, rows)
    latency: NDArray[np.float32] = np.zeros((rows, len(SEATS)), dtype=np.float32)
    return PanelVotes(probabilities, direction, abstained, latency, np.zeros(len(SEATS), dtype=np.int64))


def work(folder: Path, seat: str, seed: int, profile: Profile, on_step: Callable[[int, int], object]) -> None:
    """One job, in whichever process."""
    samples, slices = read_set(folder)
    if seat == "baselines":
        baselines.keep(folder, samples, slices)
        return
    kept = folder / str(seed) / f"{seat}.npz"
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        votes, report = _votes(samples, slices, seat, seed, sized(profile, seat), on_step)
    except NotEnoughData as error:
        _write_json(kept.with_suffix(".untrained.json"), {"reason": str(error)})
        return
    _write_json(kept.with_suffix(".json"), report)
    draft = kept.with_suffix(".part.npz")
    np.savez(
        draft,
        late=votes.late.astype(np.float32),
        late_threshold=votes.late_threshold,
        test=votes.test.astype(np.float32),
        test_threshold=votes.test_threshold,
        before=votes.before[0],
        before_times=votes.before[1],
    )
    draft.rename(kept)


def _votes(
    samples: Samples, slices: Slices, seat: str, seed: int, profile: Profile, on_step: Callable[[int, int], object]
) -> tuple[SeatVotes, dict[str, Any]]:
    voter, threshold, report = _fitted(samples, slices.train, slices.validation, seat, seed, profile, on_step)
    late, late_threshold, slice_before = voter.predict(samples.pick(slices.late)), threshold, slices.late
    if learns_again(seat):
        slice_before = slices.validation_again
        voter, threshold, again = _fitted(
            samples, slices.train_again, slices.validation_again, seat, seed, profile, on_step
        )
        report = {**report, "again": again}
    else:
        voter.renew(samples.pick(slices.train_again), samples.pick(slices.validation_again))
    latest = thin(samples.pick(slice_before), profile.judge_rows, seed)
    before = confidence(voter.predict(latest)), decision_times(latest)
    return SeatVotes(late, late_threshold, voter.predict(samples.pick(slices.test)), threshold, before), report


def confidence(votes: FloatArray) -> FloatArray:
    """Distance from one half of P(up | moved) of votes (N, 3); NaN where the voter abstained."""
    spoke = np.isfinite(votes).all(axis=1)
    return np.where(spoke, np.abs(rise_given_move(np.nan_to_num(votes.astype(np.float64))) - 0.5), np.nan)


def _fitted(
    samples: Samples,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    seat: str,
    seed: int,
    profile: Profile,
    on_step: Callable[[int, int], object],
) -> tuple[Voter, float, dict[str, Any]]:
    """A trained voter, its neutral threshold, and how the fit went."""
    voter = voter_class(seat)(VECTOR)
    held = thin(samples.pick(validation), profile.judge_rows, seed)

    def step(done: int, total: int) -> None:
        on_step(done, total)

    report = voter.fit(samples.pick(train), held, profile, seed=seed, on_step=step)
    facts = {name: getattr(report, name) for name in ("rows", "steps", "train_loss", "validation_loss", "seconds")}
    return voter, neutral_threshold(voter.predict(held), held.labels()), facts


def _in_processes(plan: Plan, jobs: Sequence[tuple[str, int]], lanes: int, say: Say | None) -> None:
    """Fresh interpreters, for a forked torch or xgboost may hang; progress comes back through small files."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by the children: two lanes, one thread each
    with ProcessPoolExecutor(lanes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(_told, plan.folder, seat, seed, plan.profile): (seat, seed) for seat, seed in jobs}
        left: set[Future[None]] = set(running)
        try:
            while left:
                done, left = wait(left, timeout=LOOK_S, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                _tell(plan, {running[future]: future in done for future in (*done, *left)}, say)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _told(folder: Path, seat: str, seed: int, profile: Profile) -> None:
    progress, last = folder / f"{seat}.{seed}.progress", [0.0]

    def on_step(done: int, total: int) -> None:
        if time.monotonic() - last[0] > LOOK_S:
            last[0] = time.monotonic()
            progress.write_text(f"{done} {total}")

    try:
        work(folder, seat, seed, profile, on_step)
    finally:
        progress.unlink(missing_ok=True)


def _tell(plan: Plan, jobs: dict[tuple[str, int], bool], say: Say | None) -> None:
    """Tell how far each (seat, seed) is; those that are not begun are not told."""
    for (seat, seed), ready in jobs.items():
        found = "1 1" if ready else _progress(plan.folder / f"{seat}.{seed}.progress")
        if say and found:
            done, total = (int(word) for word in found.split())
            say(seat if plan.seeds == 1 else f"{seat} {seed}", done if ready else min(done, total - 1), total)


def _progress(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # not begun, or just done
        return ""


def _refusal(plan: Plan, seat: str, seed: int) -> Path:
    return plan.votes_at(seat, seed).with_suffix(".untrained.json")


def _write_json(path: Path, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(facts))


def check_seats(seats: Sequence[str]) -> tuple[str, ...]:
    """The seats in panel order; raises `UnknownVoter`, and refuses language models, which have no vote on the past."""
    for seat in seats:
        voter_class(seat)
        if VOTERS[seat].llm:
            raise NoRecordedVote(f"{seat} may have read about the past and votes live only: leave it out of --voters")
    return tuple(seat for seat in SEATS if seat in seats)
