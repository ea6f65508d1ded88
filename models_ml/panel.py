"""Ask the panel: one batched call per voter, each alone with its failures and its deadline."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import Counter

from markets.values import FloatArray, IntArray
from models_ml.samples import Samples
from models_ml.voters import SEATS, VOTERS
from models_ml.voters.base import Voter
from models_ml.votes import DOWN, NEUTRAL, UP, AbstainReason

log = structlog.get_logger(__name__)
ABSTAINED = Counter("candor_voter_abstained_total", "Votes that were not cast", ["voter", "reason"])

SUM_TOLERANCE = 1e-3
"""How far three probabilities may be from summing to 1 before the row is refused."""
LANES = 2
"""Voters that compute at the same time; each uses one thread."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A voter ready to vote; `trained_until` is the epoch second of the last candle it learned from."""

    voter: Voter
    model_id: int
    threshold: float
    trained_until: float


@dataclass(frozen=True, slots=True)
class PanelVotes:
    """What nine voters said about N instruments, in `SEATS` order."""

    probabilities: NDArray[np.float32]  # (N, 9, 3) down, neutral, up; NaN where abstained
    direction: NDArray[np.int8]  # (N, 9) −1, 0, +1; 0 where abstained
    abstained: NDArray[np.int8]  # (N, 9) an AbstainReason, 0 where a vote was cast
    latency_ms: NDArray[np.float32]  # (N, 9) time of the voter's batched call, 0 where it was not asked
    model_ids: IntArray  # (9,) 0 where the seat has no model


Answer = FloatArray | AbstainReason
Asked = TypeVar("Asked")
"""What all that are asked are given: samples, or the decisions of a moment."""


class PanelRunner:
    """Runs voters, or agents, in threads of their own and remembers those that never came back.

    A Python thread cannot be stopped, so a voter past its budget is left behind: its seat abstains, in this minute
    and in every later one until the thread has returned.
    """

    def __init__(self, lanes: int = LANES, who: str = "voter") -> None:
        """`who` is what the log calls them."""
        self.lanes, self.who = lanes, who
        self._late, self._failed = f"{who}_late", f"{who}_failed"
        self._stuck: dict[str, threading.Thread] = {}

    def ask(
        self,
        asked: Asked,
        calls: Mapping[str, Callable[[Asked], FloatArray]],
        budgets: Mapping[str, float],
        deadline_s: float,
    ) -> dict[str, tuple[Answer, float]]:
        """Each seat's values, of a voter probabilities (N, 3), or reason, with the milliseconds it took.

        No seat runs longer than its own budget and none beyond `deadline_s` from now.
        """
        begin = time.monotonic()
        until = begin + deadline_s
        done: queue.SimpleQueue[tuple[str, Answer, float]] = queue.SimpleQueue()
        answers: dict[str, tuple[Answer, float]] = dict.fromkeys(calls, (AbstainReason.DEADLINE, 0.0))
        waiting = deque(seat for seat in calls if not self._is_stuck(seat))
        running: dict[str, tuple[threading.Thread, float]] = {}
        while (waiting and time.monotonic() < until) or running:
            while waiting and len(running) < self.lanes and time.monotonic() < until:
                seat = waiting.popleft()
                thread = self._start(seat, calls[seat], asked, done)
                running[seat] = (thread, min(time.monotonic() + budgets[seat], until))
            if not running:  # the deadline passed between the two looks at the clock
                break
            nearest = min(limit for _, limit in running.values())
            try:
                seat, answer, took = done.get(timeout=max(0.0, nearest - time.monotonic()))
            except queue.Empty:
                self._leave_behind(running, answers, budgets)
            else:
                if running.pop(seat, None):
                    answers[seat] = (answer, took)
        return answers

    def _is_stuck(self, seat: str) -> bool:
        thread = self._stuck.get(seat)
        if thread and not thread.is_alive():
            self._stuck.pop(seat, None)  # several minutes may share the runner
        return seat in self._stuck

    def _leave_behind(
        self,
        running: dict[str, tuple[threading.Thread, float]],
        answers: dict[str, tuple[Answer, float]],
        budgets: Mapping[str, float],
    ) -> None:
        now = time.monotonic()
        for seat in [seat for seat, (_, limit) in running.items() if limit <= now]:
            thread, _ = running.pop(seat)
            self._stuck[seat] = thread
            answers[seat] = (AbstainReason.DEADLINE, budgets[seat] * 1000)
            log.warning(self._late, **{self.who: seat}, budget_s=budgets[seat])

    def _start(
        self,
        seat: str,
        predict: Callable[[Asked], FloatArray],
        asked: Asked,
        done: "queue.SimpleQueue[tuple[str, Answer, float]]",
    ) -> threading.Thread:
        def work() -> None:
            started = time.perf_counter()
            try:
                answer: Answer = predict(asked)
            except Exception:  # one voter's failure, whatever it is, never stops the other eight
                log.exception(self._failed, **{self.who: seat})
                answer = AbstainReason.FAILED
            done.put((seat, answer, (time.perf_counter() - started) * 1000))

        thread = threading.Thread(target=work, name=f"{self.who}-{seat}", daemon=True)
        thread.start()
        return thread


_runner = PanelRunner()


def vote(
    samples: Samples,
    models: Mapping[str, LoadedModel | AbstainReason],
    *,
    deadline_s: float,
    now: float,
    runner: PanelRunner | None = None,
) -> PanelVotes:
    """All votes on the N rows of `samples`.

    Args:
        samples: one row per instrument to be decided.
        models: seat → its model, or why it has none (`CORRUPT`, `MUTED`); an absent seat is `UNTRAINED`, an absent
            language-model seat `NO_KEY`.
        deadline_s: seconds of wall time for the whole panel.
        now: epoch seconds of the market clock, for the age limit of models.
        runner: whose threads to use; the process-wide one by default.
    """
    silent = {seat: reason for seat in SEATS if (reason := _barred(seat, models.get(seat), now))}
    ready = {seat: model for seat in SEATS if seat not in silent and isinstance(model := models[seat], LoadedModel)}
    calls = {seat: model.voter.predict for seat, model in ready.items()}
    budgets = {seat: VOTERS[seat].deadline_s for seat in ready}
    answers = (runner or _runner).ask(samples, calls, budgets, deadline_s)
    return _gather(len(samples), silent, ready, answers)


@dataclass(frozen=True, slots=True)
class LanguageVotes:
    """What one language model said about N instruments; `threshold` is the |p_up − p_down| under which it is neutral.

    It was asked beside `vote`, because it answers in its own time and is recorded call by call.
    """

    probabilities: NDArray[np.float32]  # (N, 3), NaN where it abstained
    abstained: NDArray[np.int8]  # (N,)
    latency_ms: NDArray[np.float32]  # (N,)
    threshold: float


def with_language(votes: PanelVotes, said: Mapping[str, LanguageVotes]) -> PanelVotes:
    """The same votes with the seats of language models filled in. Their `model_ids` stay 0: no file of ours."""
    probabilities, direction = votes.probabilities.copy(), votes.direction.copy()
    abstained, latency = votes.abstained.copy(), votes.latency_ms.copy()
    for seat, answer in said.items():
        place = SEATS.index(seat)
        probabilities[:, place], abstained[:, place] = answer.probabilities, answer.abstained
        direction[:, place] = directions(answer.probabilities, answer.threshold)
        latency[:, place] = answer.latency_ms
    return PanelVotes(probabilities, direction, abstained, latency, votes.model_ids)


def directions(probabilities: NDArray[np.float32], threshold: float) -> NDArray[np.int8]:
    """The vectorised form of `votes.direction_of` over (N, 3); NaN rows give 0."""
    down, neutral, up = probabilities.astype(np.float64).T
    lean = up - down
    quiet = (neutral > np.maximum(down, up)) | ~(np.abs(lean) >= threshold)
    return np.where(quiet, NEUTRAL, np.where(lean > 0, UP, DOWN)).astype(np.int8)


def sound(probabilities: FloatArray) -> NDArray[np.bool_]:
    """Rows (N,) that are three probabilities: finite, inside [0, 1], summing to 1."""
    with np.errstate(invalid="ignore", over="ignore"):
        inside = np.asarray((probabilities >= -1e-6) & (probabilities <= 1 + 1e-6)).all(axis=1)
        return np.asarray(inside & (np.abs(probabilities.sum(axis=1) - 1) <= SUM_TOLERANCE))


def _barred(seat: str, model: LoadedModel | AbstainReason | None, now: float) -> AbstainReason | None:
    """Why a seat is not even asked, or None."""
    if model is None:
        return AbstainReason.NO_KEY if VOTERS[seat].llm else AbstainReason.UNTRAINED
    if isinstance(model, AbstainReason):
        return model
    return AbstainReason.TOO_OLD if now - model.trained_until > VOTERS[seat].max_age else None


def _gather(
    rows: int,
    silent: Mapping[str, AbstainReason],
    ready: Mapping[str, LoadedModel],
    answers: Mapping[str, tuple[Answer, float]],
) -> PanelVotes:
    probabilities = np.full((rows, len(SEATS), 3), np.nan, dtype=np.float32)
    direction = np.zeros((rows, len(SEATS)), dtype=np.int8)
    abstained = np.zeros((rows, len(SEATS)), dtype=np.int8)
    latency = np.zeros((rows, len(SEATS)), dtype=np.float32)
    ids = np.zeros(len(SEATS), dtype=np.int64)
    for place, seat in enumerate(SEATS):
        if seat in silent:
            abstained[:, place] = silent[seat]
            continue
        model, (answer, latency[:, place]) = ready[seat], answers[seat]
        ids[place] = model.model_id
        probabilities[:, place], direction[:, place], abstained[:, place] = cast_votes(answer, model, rows)
    _count(abstained)
    return PanelVotes(probabilities, direction, abstained, latency, ids)


def _count(abstained: NDArray[np.int8]) -> None:
    """Abstentions by seat and reason; answers that are no probabilities are told as well."""
    for place, seat in enumerate(SEATS):
        for value, rows in zip(*np.unique(abstained[:, place], return_counts=True), strict=True):
            if not value:
                continue
            reason = AbstainReason(int(value))
            ABSTAINED.labels(seat, reason.name.lower()).inc(int(rows))
            if reason is AbstainReason.BAD_INPUT:
                log.warning("votes_refused", voter=seat, rows=int(rows))


def cast_votes(
    answer: Answer, model: LoadedModel, rows: int
) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int8]]:
    """One voter's probabilities (N, 3), directions (N,) and reasons (N,) from what its call returned.

    The direction is taken from the stored float32 figures, so that a stored round explains itself.
    """
    blank = np.full((rows, 3), np.nan, dtype=np.float32)
    if not isinstance(answer, AbstainReason) and answer.shape != (rows, 3):
        log.error("voter_shape", voter=model.voter.key, shape=answer.shape)
        answer = AbstainReason.FAILED
    if isinstance(answer, AbstainReason):
        return blank, np.zeros(rows, dtype=np.int8), np.full(rows, answer, dtype=np.int8)
    good = sound(answer)
    said = np.where(good[:, None], answer, np.nan).astype(np.float32)
    empty = np.isnan(answer).all(axis=1)
    reasons = np.where(good, 0, np.where(empty, model.voter.silence, AbstainReason.BAD_INPUT)).astype(np.int8)
    return said, directions(said, model.threshold), reasons
