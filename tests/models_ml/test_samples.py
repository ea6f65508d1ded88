"""The voters' input: features of all rows, or of the last ones only."""

from dataclasses import replace

import numpy as np
import pytest

from models_ml.features import VECTOR, WARM_UP
from models_ml.samples import NoFeaturesError, Samples, build_samples
from tests.models_ml.features.walks import minutes, walk
from tests.models_ml.worlds import world


def late() -> Samples:
    """The last three rows of a world."""
    samples = world()
    return samples.pick(samples.index[:, 1] >= samples.ohlcv.shape[1] - 3)


def test_features_of_the_last_rows_are_found_from_the_end() -> None:
    whole = late()
    short = replace(whole, features=whole.features[:, -3:])
    np.testing.assert_array_equal(short.matrix(), whole.matrix())


def test_rows_without_features_are_refused_in_words() -> None:
    whole = late()
    with pytest.raises(NoFeaturesError, match="last 2 rows only"):
        replace(whole, features=whole.features[:, -2:]).matrix()
    assert replace(whole, features=whole.features[:, -2:], index=whole.index[:0]).matrix().shape[0] == 0


def built(most: int | None = None) -> Samples:
    """A short market of three instruments, one of them with a hole."""
    ohlcv = walk(3, WARM_UP + 40, seed=2)
    ohlcv[1, WARM_UP + 5] = np.nan
    return build_samples(minutes(WARM_UP + 40), ohlcv, np.array([4, 5, 6]), most=most, seed=3)


def test_a_sample_has_the_features_of_the_whole() -> None:
    whole, some = built(), built(most=50)
    assert len(whole) == 3 * 40 - 1
    assert len(some) == 50
    assert some.features.shape == (1, 50, len(VECTOR))
    rows = [np.flatnonzero((whole.index == pair).all(axis=1))[0] for pair in some.index]
    np.testing.assert_array_equal(some.matrix(), whole.matrix()[rows])
    np.testing.assert_array_equal(some.matrix(np.array([7, 3])), some.matrix()[:, [7, 3]])
    part = some.pick(np.array([9, 2]))
    np.testing.assert_array_equal(part.matrix(), some.matrix()[[9, 2]])
    np.testing.assert_array_equal(built(most=50).index, some.index)


def test_a_row_outside_the_sample_is_refused_in_words() -> None:
    some = built(most=5)
    other = next(pair for pair in built().index.tolist() if pair not in some.index.tolist())
    with pytest.raises(NoFeaturesError, match="sample"):
        replace(some, index=np.array([other])).matrix()
