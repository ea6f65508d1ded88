"""What each voter may learn from, and what is kept of it."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from models_ml.evaluation.candle_sets import CandleSet, load_set
from models_ml.evaluation.plan import (
    AGAIN,
    SHARES,
    TREE_ROWS,
    WINDOWS,
    Plan,
    learns_again,
    plan_for,
    read_set,
    sized,
    slices_of,
    write_set,
)
from models_ml.evaluation.voting import SeatVotes, cast_all, check_seats, panel_of, report_of, votes_of
from models_ml.fitting import decision_times
from models_ml.profiles import QUICK, STANDARD
from models_ml.validation.splits import PURGE_S
from models_ml.voters import LOCAL_SEATS, SEATS, UnknownVoter
from models_ml.voters.language import NoRecordedVote
from models_ml.votes import AbstainReason
from tests.models_ml.evaluation.recordings import DAY, walk, write
from tests.models_ml.small import TINY


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> CandleSet:
    folder = tmp_path_factory.mktemp("voting")
    return load_set([write(folder, "BTCUSDT", walk(2 * DAY, reversal=0.4))], cache=folder)


def test_slices_follow_each_other_and_end_before_the_test(one: CandleSet) -> None:
    slices, times = slices_of(one), decision_times(one.samples)
    order = [slices.train, slices.validation, slices.late, slices.test]
    for earlier, later in pairwise(order):
        assert times[later].min() - times[earlier].max() >= PURGE_S
    assert times[slices.test].min() - times[slices.validation_again].max() > PURGE_S
    assert times[slices.validation_again].min() - times[slices.train_again].max() >= PURGE_S
    total = len(one.train)
    assert len(slices.train) == pytest.approx(SHARES[0] * total, abs=3)
    assert len(slices.train_again) == pytest.approx(AGAIN[0] * total, abs=3)


def test_a_set_is_the_same_in_another_process(one: CandleSet, tmp_path: Path) -> None:
    write_set(one, tmp_path)
    samples, slices = read_set(tmp_path)
    np.testing.assert_array_equal(samples.features, one.samples.features)
    np.testing.assert_array_equal(samples.labels(), one.samples.labels())
    np.testing.assert_array_equal(slices.late, slices_of(one).late)
    assert type(samples) is type(one.samples)


def test_votes_are_kept_and_a_cut_run_goes_on(one: CandleSet, tmp_path: Path) -> None:
    plan = plan_for(one, tmp_path, ("xgb", "cnn_lstm_book"), TINY, 1)
    write_set(one, plan.folder)
    cast_all(plan, lanes=0)
    votes = votes_of(plan, "xgb", 0)
    assert isinstance(votes, SeatVotes)
    slices = slices_of(one)
    assert votes.late.shape == (len(slices.late), 3)
    assert votes.test.shape == (len(slices.test), 3)
    np.testing.assert_allclose(votes.test.sum(axis=1), 1, atol=1e-5)
    assert votes.before[0].shape == votes.before[1].shape
    assert votes.before[1].max() < decision_times(one.part(slices.test)).min()
    assert set(report_of(plan, "xgb", 0)) == {"rows", "steps", "train_loss", "validation_loss", "seconds", "again"}
    book = votes_of(plan, "cnn_lstm_book", 0)
    assert isinstance(book, str)
    told: list[str] = []
    cast_all(plan, lanes=0, say=lambda what, done, total: told.append(what))
    assert told == []
    plan.votes_at("xgb", 0).unlink()
    cast_all(plan, lanes=0, say=lambda what, done, total: told.append(what))
    assert set(told) == {"xgb"}
    again = votes_of(plan, "xgb", 0)
    assert isinstance(again, SeatVotes)
    np.testing.assert_array_equal(again.test, votes.test)


def test_a_plan_is_named_after_what_votes_depend_on(one: CandleSet, tmp_path: Path) -> None:
    plan = plan_for(one, tmp_path, ("xgb",), TINY, 1)
    assert plan_for(one, tmp_path, ("xgb", "gru"), TINY, 5).folder == plan.folder
    assert plan_for(one, tmp_path, ("xgb",), replace(TINY, xgb_trees=21), 1).folder != plan.folder
    assert plan_for(replace(one, digest="other"), tmp_path, ("xgb",), TINY, 1).folder != plan.folder
    assert plan.configuration("abc") != plan.configuration("abd")
    assert plan.configuration("abc") != Plan(plan.folder, ("gru",), TINY, 1).configuration("abc")


def test_sizes_are_cut_to_what_a_cpu_learns_in_time() -> None:
    for seat, most in WINDOWS.items():
        assert sized(STANDARD, seat).max_rows <= max(most, STANDARD.max_rows)
        assert sized(QUICK, seat).max_rows <= QUICK.max_rows
        assert not learns_again(seat)
    for seat in TREE_ROWS:
        assert learns_again(seat)
    assert set(WINDOWS) | set(TREE_ROWS) == set(LOCAL_SEATS)


def test_a_panel_counts_who_spoke() -> None:
    p = np.array([[0.2, 0.1, 0.7], [np.nan] * 3])
    panel = panel_of({"xgb": (p, 0.1)}, 2)
    place = SEATS.index("xgb")
    np.testing.assert_array_equal(panel.direction[:, place], [1, 0])
    np.testing.assert_array_equal(panel.abstained[:, place], [0, AbstainReason.BAD_INPUT])
    others = np.delete(panel.abstained, place, axis=1)
    assert (others == AbstainReason.UNTRAINED).all()


def test_seats_are_checked() -> None:
    assert check_seats(["xgb", "lstm"]) == ("lstm", "xgb")
    with pytest.raises(UnknownVoter, match="nobody"):
        check_seats(["nobody"])
    with pytest.raises(NoRecordedVote, match="live only"):
        check_seats(["gemini"])
