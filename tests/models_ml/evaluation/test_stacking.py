"""The six negative controls for the stack, and what a day's refit may know."""

from dataclasses import replace

import numpy as np
import pytest

from models_ml.agents import context as contexts
from models_ml.evaluation.stacking import REVEALED_S, Heard, Walked, fit_stack, walk
from models_ml.validation.bootstrap import DayDraws, interval
from models_ml.validation.metrics import auc
from tests.models_ml.agents.panels import cast

SEATS = ("xgb", "gru", "cnn")
DAY = 1440
LATE, TEST = 8 * DAY, 6 * DAY


def heard(seed: int = 0, strengths: tuple[float, ...] = (0.3, 0.2, 0.0), rows: int = LATE + TEST) -> Heard:
    """Minutes of made-up voters as the stack hears them."""
    one = cast(rows, strengths, seed=seed, context=len(contexts.NAMES))
    return Heard(one.votes, one.context, one.market, one.labels, one.times)


def parted(whole: Heard) -> tuple[Heard, Heard]:
    return whole.pick(np.arange(LATE)), whole.pick(np.arange(LATE, len(whole.times)))


def walked(whole: Heard, *, refits: bool = True) -> tuple[Walked, Heard]:
    late, test = parted(whole)
    return walk(fit_stack(late, SEATS, 0), late, test, refits=refits), test


def accuracy(one: Walked, test: Heard) -> tuple[float, float]:
    """Accuracy on minutes that moved and its standard error at one half."""
    moved = test.labels != 1
    hits = (one.probability[moved] > 0.5) == (test.labels[moved] == 2)
    return float(hits.mean()), float(0.5 / np.sqrt(len(hits)))


@pytest.fixture(scope="module")
def planted() -> Heard:
    return heard(seed=21)


def test_shuffled_outcomes_are_not_predictable(planted: Heard) -> None:
    """Over four shuffles: one alone lies outside two standard errors every twentieth time."""
    rng, hits = np.random.default_rng(0), []
    for _ in range(4):
        labels = planted.labels[rng.permutation(len(planted.labels))]
        found, error = accuracy(*walked(replace(planted, labels=labels)))
        hits.append(found)
    assert abs(np.mean(hits) - 0.5) < 2 * error / 2


def test_votes_of_another_day_do_not_help(planted: Heard) -> None:
    shifted = replace(planted, votes=np.roll(planted.votes, DAY, axis=0), context=np.roll(planted.context, DAY, axis=0))
    found, error = accuracy(*walked(shifted))
    assert abs(found - 0.5) < 2 * error


def test_a_leak_stands_out(planted: Heard) -> None:
    """A voter that has seen the outcome: an area no honest panel reaches, and the weights name it."""
    votes = planted.votes.copy()
    votes[:, 2] = np.eye(3)[planted.labels] * 0.4 + 0.2
    one, test = walked(replace(planted, votes=votes))
    assert accuracy(one, test)[0] > 0.95
    assert max(one.first.weights(), key=lambda seat: one.first.weights()[seat]) == "cnn"


def test_what_comes_after_changes_no_answer(planted: Heard) -> None:
    """Votes, context and outcomes of later minutes are overwritten; so are outcomes not revealed by midnight."""
    late, test = parted(planted)
    stack = fit_stack(late, SEATS, 0)
    before = walk(stack, late, test)
    midnight = int(test.times[0]) // 86_400 * 86_400 + 3 * 86_400
    rng = np.random.default_rng(1)
    hidden = test.times > midnight - REVEALED_S
    labels = np.where(hidden, rng.integers(0, 3, len(hidden)), test.labels).astype(np.int8)
    later = test.times >= midnight + 86_400
    votes, context = test.votes.copy(), test.context.copy()
    votes[later] = [0.1, 0.1, 0.8]
    context[later] = 9.0
    after = walk(stack, late, replace(test, labels=labels, votes=votes, context=context))
    same = ~later
    np.testing.assert_array_equal(after.probability[same], before.probability[same])
    np.testing.assert_array_equal(after.lower[same], before.lower[same])
    assert (after.probability[later] != before.probability[later]).all()


def test_a_planted_signal_is_recovered_inside_its_interval(planted: Heard) -> None:
    one, test = walked(planted)
    whole = cast(LATE + TEST, seed=21, context=len(contexts.NAMES))
    moved = test.labels != 1
    best = auc(whole.truth[LATE:][moved], test.labels[moved] == 2)
    found = interval(DayDraws.of(test.times).aucs(one.probability, test.labels == 2, moved))
    assert best is not None
    assert found is not None
    assert found[0] <= best <= found[1]


def test_voters_that_know_the_bounce_know_nothing_of_the_next_open() -> None:
    """A random walk quoted with a spread: the last side of the quote foretells the close, and not the entry."""
    rng = np.random.default_rng(4)
    rows = LATE + TEST
    mid = np.cumsum(rng.normal(0, 3e-4, 2 * rows)).reshape(rows, 2)
    quoted = mid + 3e-4 * rng.choice([-1.0, 1.0], (rows, 2))
    bounce = np.r_[0.0, -np.sign(np.diff(quoted[:, 1]))]
    q = 0.5 + 0.1 * bounce
    votes = np.stack([1 - q, np.zeros_like(q), q], axis=1)[:, None].repeat(3, axis=1)
    blank = heard(rows=rows)
    for name, move in (("close", np.diff(quoted[:, 1])), ("open", quoted[1:, 1] - quoted[1:, 0])):
        labels = np.r_[np.sign(move) + 1, -1].astype(np.int8)
        found, error = accuracy(*walked(replace(blank, votes=votes, labels=np.where(labels == 1, -1, labels))))
        if name == "open":
            assert abs(found - 0.5) < 2 * error
        else:
            assert found > 0.55


def test_a_day_learns_from_the_days_before(planted: Heard) -> None:
    """Voters change places at the start of the test part: only refits notice."""
    late, test = parted(planted)
    turned = replace(test, votes=test.votes[:, [2, 1, 0]])
    stack = fit_stack(late, SEATS, 0)
    still, following = (walk(stack, late, turned, refits=refits) for refits in (False, True))
    last = test.times >= test.times[-1] - 2 * 86_400
    moved = last & (test.labels != 1)
    up = test.labels[moved] == 2
    kept, learned = (auc(one.probability[moved], up) for one in (still, following))
    assert kept is not None
    assert learned is not None
    assert learned > kept + 0.005
    assert following.first is stack
    assert still.last is stack


def test_silence_stays_silence(planted: Heard) -> None:
    late, test = parted(planted)
    votes = test.votes.copy()
    votes[100:110] = np.nan
    one = walk(fit_stack(late, SEATS, 0), late, replace(test, votes=votes))
    assert np.isnan(one.probability[100:110]).all()
    assert np.isfinite(np.delete(one.probability, np.arange(100, 110))).all()
    assert np.isfinite(one.outcomes[:100]).all()


def test_a_seat_may_be_taken_out(planted: Heard) -> None:
    late, _ = parted(planted)
    assert np.isnan(late.without(1).votes[:, 1]).all()
    assert np.isfinite(late.votes).all()
    assert len(late.joined(late).times) == 2 * len(late.times)
