"""What a voter adds: nothing when it is a copy or noise, something when it knows what others do not."""

import numpy as np
import pytest

from models_ml.validation.contribution import LEAST_ROWS, errors_together, leave_one_out


@pytest.fixture
def votes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two able voters with eyes of their own and one that guesses, on 20,000 minutes."""
    rng = np.random.default_rng(0)
    first, second, guess = rng.normal(0, 0.5, (3, 20_000))
    up = rng.random(20_000) < 1 / (1 + np.exp(-(first + second)))
    return np.stack([first, second, guess], axis=1), up, np.arange(20_000) * 60


def test_who_knows_something_of_its_own_adds_and_who_guesses_does_not(votes: tuple) -> None:  # type: ignore[type-arg]  # see the fixture
    added = leave_one_out(*votes)
    assert added is not None
    assert min(added[0], added[1]) > 0.01
    assert abs(added[2]) < 0.001


def test_the_copy_of_a_voter_adds_nothing(votes: tuple) -> None:  # type: ignore[type-arg]  # as above
    odds, up, times = votes
    added = leave_one_out(np.concatenate([odds, odds[:, :1]], axis=1), up, times)
    assert added is not None
    assert abs(added[0]) < 1e-4
    assert abs(added[3]) < 1e-4
    assert added[1] > 0.01, "what only one of them knows is still told by that one"


def test_copies_err_together_and_independent_voters_do_not(votes: tuple) -> None:  # type: ignore[type-arg]  # as above
    odds, up, _ = votes
    together = errors_together(np.concatenate([odds, odds[:, :1]], axis=1), up)
    assert together[0, 3] == pytest.approx(1.0)
    assert abs(together[0, 2]) < 0.05
    np.testing.assert_allclose(together, together.T)


def test_silence_is_no_evidence_and_no_error(votes: tuple) -> None:  # type: ignore[type-arg]  # as above
    odds, up, times = votes
    odds = odds.copy()
    odds[:, 2] = np.nan
    added = leave_one_out(odds, up, times)
    assert added is not None
    assert added[2] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(errors_together(odds, up)[2]).all()


def test_few_minutes_say_nothing(votes: tuple) -> None:  # type: ignore[type-arg]  # as above
    odds, up, times = votes
    few = slice(0, LEAST_ROWS - 1)
    assert leave_one_out(odds[few], up[few], times[few]) is None
    assert leave_one_out(odds, up, np.zeros(len(up), dtype=np.int64)) is None
