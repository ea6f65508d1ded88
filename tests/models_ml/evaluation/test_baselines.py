"""Rules of thumb by hand, and models that learn nothing of the test part."""

from pathlib import Path

import numpy as np
import pytest

from models_ml.evaluation import baselines
from models_ml.evaluation.baselines import KNOWN, NAMES, PLAIN, RULES, forecasts, sides
from models_ml.evaluation.candle_sets import CandleSet, load_set
from models_ml.evaluation.plan import slices_of
from models_ml.features import COLUMNS
from models_ml.samples import Samples
from models_ml.validation.metrics import auc
from tests.models_ml.evaluation.recordings import DAY, walk, write


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> CandleSet:
    folder = tmp_path_factory.mktemp("baselines")
    return load_set([write(folder, "BTCUSDT", walk(2 * DAY + 400, reversal=0.4))], cache=folder)


@pytest.fixture(scope="module")
def said(one: CandleSet) -> dict[str, np.ndarray]:
    return forecasts(one.samples, slices_of(one))


def closes(values: list[float], rows: list[int]) -> Samples:
    """One instrument with these closes."""
    ohlcv = np.tile(np.array(values)[None, :, None], (1, 1, 5))
    index = np.array([[0, row] for row in rows], dtype=np.int64)
    times = 60 * np.arange(len(values), dtype=np.int64)
    return Samples(times, ohlcv, np.zeros((1, len(values), 0), dtype=np.float32), np.ones(1, dtype=np.int64), index)


def test_rules_by_hand() -> None:
    samples = closes([3.0, 1.0, 2.0, 2.0], [0, 1, 2, 3])
    np.testing.assert_array_equal(RULES["last_sign"](samples), [0, -1, 1, 0])
    np.testing.assert_array_equal(RULES["anti_last_sign"](samples), [0, 1, -1, 0])
    np.testing.assert_array_equal(RULES["always_up"](samples), [1, 1, 1, 1])
    rising = closes([float(row) for row in range(1, 61)], [19, 20, 48, 49])
    np.testing.assert_array_equal(RULES["reversal_20"](rising), [0, -1, -1, -1])
    np.testing.assert_array_equal(RULES["sma_10_50"](rising), [0, 0, 0, 1])
    gap = closes([1.0, np.nan, 2.0], [2])
    np.testing.assert_array_equal(RULES["last_sign"](gap), [0])


def test_every_baseline_speaks(one: CandleSet, said: dict[str, np.ndarray]) -> None:
    assert tuple(said) == NAMES
    assert len(set(PLAIN)) == 45
    assert set(PLAIN) <= set(COLUMNS)
    for name, values in said.items():
        assert values.shape == (len(one.test),)
        known = np.isfinite(values)
        assert known.mean() > 0.95, name
        assert ((values[known] > 0) & (values[known] < 1)).all()


def test_models_find_what_is_there_and_rules_stay_themselves(one: CandleSet, said: dict[str, np.ndarray]) -> None:
    labels = one.part(one.test).labels()
    use = (labels == 0) | (labels == 2)
    for name in ("logistic_five_returns", KNOWN, "anti_last_sign"):
        found = auc(np.nan_to_num(said[name][use], nan=0.5), labels[use] == 2)
        assert found is not None
        assert found > 0.58, name
    known = np.isfinite(said["last_sign"])
    np.testing.assert_array_equal(sides(said["last_sign"])[known], -sides(said["anti_last_sign"])[known])


def test_the_test_part_teaches_nothing(one: CandleSet, said: dict[str, np.ndarray], tmp_path: Path) -> None:
    """Other outcomes in the test part, same answers: here its candles' opens are overwritten, which no rule reads."""
    ohlcv = one.samples.ohlcv.copy()
    ohlcv[0, one.samples.index[one.test[0], 1] + 1 :, 0] *= 1.5
    kind = type(one.samples)
    changed = kind(one.samples.open_times, ohlcv, one.samples.features, one.samples.market, one.samples.index)
    again = forecasts(changed, slices_of(one))
    for name, values in said.items():
        np.testing.assert_array_equal(again[name], values)
    baselines.keep(tmp_path, one.samples, slices_of(one))
    kept = baselines.read(tmp_path)
    np.testing.assert_allclose(kept[KNOWN], said[KNOWN], atol=1e-6)
