"""One failing voter never stops the other eight, and the decision is on time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets.values import FloatArray
from models_ml.panel import (
    LanguageVotes,
    LoadedModel,
    PanelRunner,
    PanelVotes,
    directions,
    sound,
    vote,
    with_language,
)
from models_ml.profiles import Profile
from models_ml.samples import Samples
from models_ml.voters import SEATS, VOTERS
from models_ml.voters.base import FitReport, OnStep, Voter
from models_ml.voters.llm.answers import THRESHOLD, probabilities
from models_ml.votes import AbstainReason, direction_of
from tests.faults.witness import witnessing
from tests.logged import Logged
from tests.models_ml.worlds import last_rows, world

SAMPLES = last_rows(world(instruments=3, minutes=5))
NOW = 1_800_000_000.0


class Scripted(Voter):
    """Answers what the test says."""

    key = "xgb"

    def __init__(self, answer: Callable[[], FloatArray]) -> None:
        super().__init__(())
        self.answer = answer

    def fit(
        self, train: Samples, validation: Samples, profile: Profile, *, seed: int = 0, on_step: OnStep | None = None
    ) -> FitReport:
        raise AssertionError("never trained")

    def predict(self, samples: Samples) -> FloatArray:
        return self.answer()

    def save(self, folder: Path) -> None:
        raise AssertionError("never saved")

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise AssertionError("never loaded")


def model(answer: Callable[[], FloatArray], *, trained_until: float = NOW, threshold: float = 0.0) -> LoadedModel:
    return LoadedModel(Scripted(answer), 42, threshold, trained_until)


def rises() -> FloatArray:
    return np.tile([0.3, 0.1, 0.6], (3, 1))


def reasons(votes_of: np.ndarray, seat: str) -> list[int]:
    return list(votes_of[:, SEATS.index(seat)])


def test_an_empty_panel_says_why_each_seat_is_silent() -> None:
    votes = vote(SAMPLES, {}, deadline_s=1, now=NOW)
    assert votes.probabilities.shape == (3, 9, 3)
    assert np.isnan(votes.probabilities).all()
    expected = [AbstainReason.NO_KEY if VOTERS[seat].llm else AbstainReason.UNTRAINED for seat in SEATS]
    assert (votes.abstained == expected).all()
    assert (votes.direction == 0).all()
    assert (votes.model_ids == 0).all()


def test_a_vote_carries_its_direction_and_model() -> None:
    votes = vote(SAMPLES, {"gru": model(rises)}, deadline_s=1, now=NOW)
    place = SEATS.index("gru")
    np.testing.assert_allclose(votes.probabilities[:, place], rises(), atol=1e-6)
    assert (votes.direction[:, place] == 1).all()
    assert (votes.abstained[:, place] == 0).all()
    assert votes.model_ids[place] == 42
    assert (votes.latency_ms[:, place] > 0).all()


def test_the_threshold_makes_a_weak_vote_neutral_but_counted() -> None:
    votes = vote(SAMPLES, {"gru": model(rises, threshold=0.31)}, deadline_s=1, now=NOW)
    assert reasons(votes.abstained, "gru") == [0, 0, 0]
    assert reasons(votes.direction, "gru") == [0, 0, 0]


def test_a_failing_voter_is_alone_with_its_failure(logged: Logged) -> None:
    def fail() -> FloatArray:
        raise ZeroDivisionError("broken voter")

    votes = vote(SAMPLES, {"lstm": model(fail), "xgb": model(rises)}, deadline_s=1, now=NOW)
    assert reasons(votes.abstained, "lstm") == [AbstainReason.FAILED] * 3
    assert reasons(votes.abstained, "xgb") == [0, 0, 0]
    assert [entry["voter"] for entry in logged("voter_failed")] == ["lstm"]


@pytest.mark.parametrize("answer", [np.ones((2, 3)) / 3, np.ones((3, 2)) / 2])
def test_an_answer_of_the_wrong_shape_is_a_failure(answer: FloatArray) -> None:
    votes = vote(SAMPLES, {"lstm": model(lambda: answer)}, deadline_s=1, now=NOW)
    assert reasons(votes.abstained, "lstm") == [AbstainReason.FAILED] * 3


def test_rows_that_are_no_probabilities_are_refused_one_by_one() -> None:
    rows = np.array([[0.2, 0.2, 0.5], [np.nan, np.inf, 0.3], [0.5, 0.0, 0.5]])
    with witnessing() as witness:
        votes = vote(SAMPLES, {"xgb": model(lambda: rows)}, deadline_s=1, now=NOW)
    assert witness.count("votes_refused", voter="xgb", rows=2) == 1
    assert witness.counted("candor_voter_abstained_total", voter="xgb", reason="bad_input") == 2
    assert reasons(votes.abstained, "xgb") == [AbstainReason.BAD_INPUT, AbstainReason.BAD_INPUT, 0]
    assert np.isnan(votes.probabilities[:2, SEATS.index("xgb")]).all()


def test_a_silent_row_takes_the_voters_own_reason() -> None:
    class Bookish(Scripted):
        silence = AbstainReason.NO_BOOK

    rows = rises()
    rows[1] = np.nan
    seat = LoadedModel(Bookish(lambda: rows), 1, 0.0, NOW)
    votes = vote(SAMPLES, {"cnn_lstm_book": seat}, deadline_s=1, now=NOW)
    assert reasons(votes.abstained, "cnn_lstm_book") == [0, AbstainReason.NO_BOOK, 0]


def test_an_old_model_is_not_asked() -> None:
    limit = VOTERS["xgb"].max_age
    fresh = vote(SAMPLES, {"xgb": model(rises, trained_until=NOW - limit)}, deadline_s=1, now=NOW)
    stale = vote(SAMPLES, {"xgb": model(rises, trained_until=NOW - limit - 1)}, deadline_s=1, now=NOW)
    assert reasons(fresh.abstained, "xgb") == [0, 0, 0]
    assert reasons(stale.abstained, "xgb") == [AbstainReason.TOO_OLD] * 3


@pytest.mark.parametrize("reason", [AbstainReason.CORRUPT, AbstainReason.MUTED])
def test_a_seat_may_come_with_its_reason(reason: AbstainReason) -> None:
    with witnessing() as witness:
        votes = vote(SAMPLES, {"xgb": reason}, deadline_s=1, now=NOW)
    assert witness.counted("candor_voter_abstained_total", voter="xgb", reason=reason.name.lower()) == 3
    assert reasons(votes.abstained, "xgb") == [reason] * 3


def test_a_late_voter_is_cut_and_the_decision_is_on_time() -> None:
    release = threading.Event()

    def stall() -> FloatArray:
        release.wait(30)
        return rises()

    runner = PanelRunner(lanes=1)
    with witnessing() as witness:
        votes = vote(SAMPLES, {"lstm": model(stall)}, deadline_s=0.2, now=NOW, runner=runner)
    assert not release.is_set(), "the decision did not wait for the voter"
    assert witness.count("voter_late", voter="lstm") == 1
    assert witness.counted("candor_voter_abstained_total", voter="lstm", reason="deadline") == 3
    assert reasons(votes.abstained, "lstm") == [AbstainReason.DEADLINE] * 3
    release.set()


def test_a_stalled_voter_takes_neither_a_lane_nor_the_next_minute() -> None:
    release, calls = threading.Event(), []

    def stall() -> FloatArray:
        calls.append(1)
        release.wait(30)
        return rises()

    runner = PanelRunner(lanes=1)
    models = {"lstm": model(stall), "xgb": model(rises)}
    budgets = {"lstm": 0.1, "xgb": 30.0}
    asks = {seat: loaded.voter.predict for seat, loaded in models.items()}
    first = runner.ask(SAMPLES, asks, budgets, 30.0)
    assert first["lstm"][0] is AbstainReason.DEADLINE
    assert isinstance(first["xgb"][0], np.ndarray)

    second = runner.ask(SAMPLES, asks, budgets, 30.0)
    assert second["lstm"][0] is AbstainReason.DEADLINE
    assert isinstance(second["xgb"][0], np.ndarray)
    assert len(calls) == 1

    release.set()
    deadline = time.monotonic() + 60
    while not isinstance(runner.ask(SAMPLES, asks, budgets | {"lstm": 30.0}, 30.0)["lstm"][0], np.ndarray):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(calls) == 2


def test_voters_that_get_no_lane_in_time_are_late_too() -> None:
    release = threading.Event()

    def stall() -> FloatArray:
        release.wait(30)
        return rises()

    runner = PanelRunner(lanes=1)
    asks = {"lstm": model(stall).voter.predict, "xgb": model(rises).voter.predict}
    answers = runner.ask(SAMPLES, asks, {"lstm": 5.0, "xgb": 5.0}, 0.1)
    assert [answer for answer, _ in answers.values()] == [AbstainReason.DEADLINE] * 2
    release.set()


@given(st.tuples(*[st.floats(0, 1, width=32)] * 3), st.sampled_from([0.0, 0.05, 0.3, 1.0]))
def test_directions_are_the_vectorised_rule(row: tuple[float, float, float], threshold: float) -> None:
    assert directions(np.array([row], dtype=np.float32), threshold)[0] == direction_of(*row, threshold)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=3))
def test_only_probabilities_are_sound(row: list[float]) -> None:
    if sound(np.array([row]))[0]:
        assert np.isfinite(row).all()
        assert abs(sum(row) - 1) <= 1e-3
        assert min(row) >= -1e-6


@given(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.floats(0, 100)) | st.sampled_from(AbstainReason), min_size=1))
def test_a_language_model_fills_its_own_seat_and_no_other(said: list[tuple[int, float] | AbstainReason]) -> None:
    rows, place = len(said), SEATS.index("grok")
    silent = np.full((rows, 9), AbstainReason.UNTRAINED, np.int8)
    blank = np.full((rows, 9, 3), np.nan, np.float32)
    nobody = np.zeros((rows, 9), np.int8)
    before = PanelVotes(blank, nobody, silent, np.zeros((rows, 9), np.float32), np.zeros(9, np.int64))
    votes = [None if isinstance(one, AbstainReason) else probabilities(*one) for one in said]
    answers = LanguageVotes(
        np.array([(np.nan,) * 3 if one is None else one for one in votes], np.float32),
        np.array([one if isinstance(one, AbstainReason) else 0 for one in said], np.int8),
        np.full(rows, 7.0, np.float32),
        THRESHOLD,
    )
    after = with_language(before, {"grok": answers})
    assert (after.abstained[:, place] == answers.abstained).all()
    assert (np.isfinite(after.probabilities[:, place]).all(axis=1) == (answers.abstained == 0)).all()
    for row, one in enumerate(said):
        stated = 0 if isinstance(one, AbstainReason) or one[1] < 1 else one[0]
        assert after.direction[row, place] in {stated, 0 if isinstance(one, AbstainReason) else one[0]}
    others = np.arange(9) != place
    assert (after.abstained[:, others] == AbstainReason.UNTRAINED).all()
    assert np.isnan(after.probabilities[:, others]).all()
    assert np.isnan(before.probabilities).all(), "the votes that were given are left alone"
