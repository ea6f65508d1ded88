"""The voters' input: features of all rows, or of the last ones only."""

from dataclasses import replace

import numpy as np
import pytest

from models_ml.samples import NoFeaturesError, Samples
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
