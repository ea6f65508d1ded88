"""The stacker finds what voters know, believes nobody for being there twice, and says how sure it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from models_ml.agents import context as contexts
from models_ml.agents.logistic import sigmoid
from models_ml.agents.meta import Stack, context_of, mean_vote, vote_log_odds
from models_ml.features import COLUMNS
from models_ml.validation.metrics import auc
from models_ml.voters import SEATS
from models_ml.voters.base import CorruptArtifact, NotEnoughData
from tests.models_ml.agents.panels import Cast, cast
from tests.models_ml.worlds import COLUMNS as FEW_COLUMNS
from tests.models_ml.worlds import world

THREE = ("xgb", "gru", "cnn")
NAMES = ("first", "second")
FIT, LATER = 20_000, 20_000


def fit(one: Cast, seats: tuple[str, ...] = THREE, seed: int = 0, **options: object) -> Stack:
    return Stack.fit(*one.given(), seats=seats, context_names=NAMES, seed=seed, **options)  # type: ignore[arg-type]  # `proven` only


def quality(stack: Stack, later: Cast) -> float:
    moved = later.labels != 1
    found = auc(stack.predict(*later.asked())[moved], later.labels[moved] == 2)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def whole() -> Cast:
    return cast(FIT + LATER, seed=1)


@pytest.fixture(scope="module")
def stack(whole: Cast) -> Stack:
    return fit(whole.pick(slice(FIT)))


def test_it_comes_near_what_the_voters_know_together(whole: Cast, stack: Stack) -> None:
    later = whole.pick(slice(FIT, None))
    moved = later.labels != 1
    best = auc(later.truth[moved], later.labels[moved] == 2)
    single = auc(later.votes[moved, 0, 2], later.labels[moved] == 2)
    assert best is not None
    assert single is not None
    assert best - 0.006 < quality(stack, later) < best + 0.006
    assert quality(stack, later) > single + 0.01


def test_who_knows_more_weighs_more_and_who_knows_nothing_hardly(stack: Stack) -> None:
    weights = stack.weights()
    assert weights["xgb"] > 0.5
    assert weights["gru"] > 0.5
    assert abs(weights["cnn"]) < 0.3


def test_probabilities_are_what_they_say_even_of_bold_voters() -> None:
    whole = cast(40_000, seed=2, boldness=5.0)
    stack, later = fit(whole.pick(slice(FIT))), whole.pick(slice(FIT, None))
    truth = sigmoid(later.truth)
    answer = stack.calibrated(*later.asked())
    assert np.abs(answer.probability - truth).mean() < 0.02
    assert (answer.lower <= answer.probability).all()
    assert (answer.probability <= answer.upper).all()
    sure = answer.lower > 0.53
    assert truth[sure].mean() > 0.53


def test_nothing_known_is_one_half() -> None:
    whole = cast(40_000, (0.0, 0.0, 0.0), seed=3)
    stack, later = fit(whole.pick(slice(FIT))), whole.pick(slice(FIT, None))
    assert np.abs(stack.predict(*later.asked()) - 0.5).max() < 0.03
    moved = later.labels != 1
    hits = (stack.predict(*later.asked())[moved] > 0.5) == (later.labels[moved] == 2)
    assert abs(hits.mean() - 0.5) < 2 * 0.5 / np.sqrt(moved.sum())


def test_a_copy_of_a_voter_changes_little(whole: Cast, stack: Stack) -> None:
    doubled = whole.with_copy(0)
    twice = fit(doubled.pick(slice(FIT)), (*THREE, "lstm"))
    later = whole.pick(slice(FIT, None))
    change = twice.predict(*doubled.pick(slice(FIT, None)).asked()) - stack.predict(*later.asked())
    assert np.abs(change).mean() < 0.005
    assert abs(quality(twice, doubled.pick(slice(FIT, None))) - quality(stack, later)) < 0.003


def test_silence_is_no_opinion() -> None:
    whole = cast(FIT + LATER, seed=4, silent=0.3)
    stack, later = fit(whole.pick(slice(FIT))), whole.pick(slice(FIT, None))
    answer = stack.predict(*later.asked())
    nobody = np.isnan(later.votes).all(axis=(1, 2))
    assert nobody.any()
    np.testing.assert_array_equal(np.isnan(answer), nobody)
    alone = later.votes.copy()
    alone[:, [0, 2]] = np.nan
    assert np.isfinite(stack.predict(alone, later.context, later.market)[~np.isnan(alone[:, 1, 0])]).all()


def test_an_instrument_may_be_its_own_and_a_new_one_is_like_all() -> None:
    whole = cast(FIT + LATER, (0.1, 0.1, 0.0), seed=5, own={1: -0.5, 2: 0.5})
    stack, later = fit(whole.pick(slice(FIT))), whole.pick(slice(FIT, None))
    mine = later.pick(later.market == 2)
    assert quality(stack, mine) > 0.6
    stranger = mine.pick(slice(None))
    stranger.market[:] = 99
    assert quality(stack, stranger) < quality(stack, mine) - 0.03
    assert np.isfinite(stack.predict(*stranger.asked())).all()


def test_language_models_weigh_nothing_until_they_have_proved_themselves() -> None:
    whole = cast(6_000, (0.3, 0.3), seed=6)
    unproven = fit(whole, ("xgb", "grok"))
    assert unproven.weights()["grok"] == 0.0
    changed = whole.votes.copy()
    changed[:, 1] = [0.01, 0.01, 0.98]
    np.testing.assert_array_equal(
        unproven.predict(changed, whole.context, whole.market), unproven.predict(*whole.asked())
    )
    assert fit(whole, ("xgb", "grok"), proven={"grok"}).weights()["grok"] > 0.3
    alone = whole.votes.copy()
    alone[:, 0] = np.nan
    assert np.isnan(unproven.predict(alone, whole.context, whole.market)).all()
    with pytest.raises(NotEnoughData, match="no voter"):
        Stack.fit(alone[:, 1:], *whole.given()[1:], seats=("grok",), context_names=NAMES)


def test_what_is_written_is_read_again(whole: Cast, stack: Stack, tmp_path: Path) -> None:
    stack.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".ubj"}
    again = Stack.load(tmp_path)
    for name in ("probability", "lower", "upper"):
        np.testing.assert_array_equal(
            getattr(again.calibrated(*whole.asked()), name), getattr(stack.calibrated(*whole.asked()), name)
        )
    assert again.weights() == stack.weights()
    assert again.band(0.6) == stack.band(0.6)
    assert (again.seats, again.context_names, again.rows, again.trained_until) == (
        stack.seats,
        stack.context_names,
        stack.rows,
        stack.trained_until,
    )


@pytest.mark.parametrize("damage", ["gone", "cut", "format", "foreign"])
def test_damaged_files_are_refused(stack: Stack, tmp_path: Path, damage: str) -> None:
    stack.save(tmp_path)
    file = tmp_path / "stack.json"
    facts = json.loads(file.read_text())
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_text(file.read_text()[:100])
    elif damage == "format":
        file.write_text(json.dumps(facts | {"format": 0}))
    else:
        (tmp_path / "stack.ubj").write_bytes(b"no trees")
        file.write_text(json.dumps(facts | {"boosted": {"trees": 1, "markets": [1]}}))
    with pytest.raises(CorruptArtifact, match="train again"):
        Stack.load(tmp_path)


def test_equal_seeds_equal_stacks_and_inputs_are_left_alone(whole: Cast, stack: Stack) -> None:
    before = [part.copy() for part in whole.given()]
    again = fit(whole.pick(slice(FIT)))
    np.testing.assert_array_equal(again.predict(*whole.asked()), stack.predict(*whole.asked()))
    for was, is_now in zip(before, whole.given(), strict=True):
        np.testing.assert_array_equal(was, is_now)
    order = np.random.default_rng(0).permutation(FIT)
    np.testing.assert_allclose(fit(whole.pick(order)).predict(*whole.asked()), stack.predict(*whole.asked()), atol=1e-9)


def test_one_row_is_answered_as_in_a_batch(whole: Cast, stack: Stack) -> None:
    some = whole.pick(slice(50))
    alone = [stack.predict(*whole.pick(slice(row, row + 1)).asked())[0] for row in range(50)]
    np.testing.assert_allclose(alone, stack.predict(*some.asked()), atol=1e-6)
    assert stack.predict(*whole.pick(slice(0)).asked()).shape == (0,)


def test_a_calibrator_follows_what_was_revealed(whole: Cast, stack: Stack) -> None:
    later = whole.pick(slice(FIT, None))
    turned = later.pick(slice(None))
    turned.labels[:] = np.random.default_rng(0).choice([0, 2], len(turned.labels))  # nothing is known any more
    flat = stack.refit_calibrator(*turned.given())
    before, after = stack.predict(*later.asked()), flat.predict(*later.asked())
    assert after.std() < before.std() / 3
    few = later.pick(slice(100))
    nudged = stack.refit_calibrator(*few.given())
    assert np.abs(nudged.predict(*later.asked()) - before).mean() < 0.01
    unknown = later.pick(slice(None))
    unknown.labels[:] = -1
    assert stack.refit_calibrator(*unknown.given()) is stack
    assert flat.trained_until == later.times[turned.labels != 1].max()


def test_weights_follow_what_was_revealed(whole: Cast, stack: Stack) -> None:
    swapped = whole.pick(slice(FIT, None))
    swapped.votes[:, [0, 2]] = swapped.votes[:, [2, 0]]  # the one that knew and the one that did not change seats
    learned = stack.refit_weights(*swapped.given())
    assert learned.weights()["cnn"] > 0.4
    assert learned.weights()["xgb"] < 0.4
    assert stack.refit_weights(*swapped.pick(slice(10)).given()) is stack


def test_the_abstention_band_keeps_its_coverage(whole: Cast, stack: Stack) -> None:
    later = whole.pick(slice(FIT, None))
    moved = later.labels != 1
    q, up = stack.predict(*later.asked())[moved], later.labels[moved] == 2
    for level in (0.55, 0.6, 0.7):
        half = stack.band(level)
        inside = np.abs(q - 0.5) <= half  # both directions stay possible
        right = (q > 0.5) == up
        assert (inside | right).mean() == pytest.approx(level, abs=0.02) or half == 0.0
    assert stack.band(0.9) >= stack.band(0.6)


def test_ties_stay_their_own_outcome(whole: Cast, stack: Stack) -> None:
    three = stack.outcomes(np.array([0.5, 0.7]), np.array([0, 99]))
    np.testing.assert_allclose(three.sum(axis=1), 1)
    np.testing.assert_allclose(three[:, 1], 0.03, atol=0.01)
    assert three[1, 2] / (three[1, 0] + three[1, 2]) == pytest.approx(0.7)


def test_too_few_minutes_are_told() -> None:
    with pytest.raises(NotEnoughData, match="the stack needs"):
        fit(cast(300))
    one_minute = cast(1_000)
    one_minute.times[:] = 60
    with pytest.raises(NotEnoughData, match="one minute"):
        fit(one_minute)


def test_the_mean_vote_is_the_mean_of_log_odds() -> None:
    votes = np.array([[[0.2, 0.0, 0.8], [0.4, 0.2, 0.4], [np.nan] * 3], [[np.nan] * 3] * 3])
    odds = vote_log_odds(votes)
    np.testing.assert_allclose(odds[0], [np.log(4), 0, np.nan])
    answer = mean_vote(votes)
    assert answer[0] == pytest.approx(1 / (1 + np.exp(-np.log(4) / 2)))
    assert np.isnan(answer[1])
    certain = vote_log_odds(np.array([[[0.0, 0.0, 1.0]]]))
    assert certain[0, 0] == pytest.approx(np.log(0.98 / 0.02))


def test_the_context_is_made_of_features() -> None:
    assert set(contexts.NAMES) <= set(COLUMNS)
    samples = world(minutes=10, columns=len(COLUMNS))
    found = context_of(samples, COLUMNS)
    assert found.shape == (len(samples), len(contexts.NAMES))
    place = COLUMNS.index("return_5")
    np.testing.assert_array_equal(
        found[:, contexts.NAMES.index("return_5")], samples.matrix(np.array([place]))[:, 0].astype(np.float64)
    )
    with pytest.raises(contexts.NoContext, match="return_"):
        context_of(world(minutes=10), FEW_COLUMNS)


def test_its_seats_may_be_the_panel() -> None:
    one = cast(3_000, (0.3,) * 9)
    assert set(fit(one, SEATS).weights()) == set(SEATS)
