"""What every lens promises: a direction and one sentence for any input, always the same, mirrored by a mirror."""

import copy
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.features import COLUMNS, build
from models_ml.lenses import LENS_KEYS, LENSES, lens
from models_ml.lenses.base import LONGEST_REASON, Facts
from models_ml.lenses.looking import READ, look_at
from tests.models_ml.features.walks import minutes, walk

pytestmark = pytest.mark.parametrize("key", LENS_KEYS)
FINITE = st.floats(-1e6, 1e6, allow_nan=False)
ROWS = st.dictionaries(st.sampled_from(READ), FINITE)
TEXTS = st.fixed_dictionaries(
    {},
    optional={"headlines": st.integers(0, 50), "headline_tone": st.floats(-1, 1), "fear_greed": st.floats(0, 100)},
)


@settings(max_examples=200, deadline=None)
@given(row=ROWS, text=TEXTS)
def test_any_figures_give_a_direction_and_a_sentence(key: str, row: dict[str, float], text: dict[str, float]) -> None:
    facts = Facts(row, text)
    kept = copy.deepcopy(facts)
    sight = lens(key)(facts)
    assert sight.direction in {-1, 0, 1}
    assert re.fullmatch(r"[A-Z0-9].*\.", sight.reason), sight.reason
    assert "nan" not in sight.reason
    assert lens(key)(facts) == sight, "the same facts, the same verdict"
    assert facts == kept, "nothing handed in is changed"


def test_nothing_known_is_neutral_and_says_so(key: str) -> None:
    sight = lens(key)(Facts({}))
    assert sight.direction == 0
    assert re.search(r"known", sight.reason)


@settings(max_examples=200, deadline=None)
@given(row=ROWS)
def test_a_mirrored_market_gives_the_mirrored_verdict(key: str, row: dict[str, float]) -> None:
    assert lens(key)(Facts(mirrored(row))).direction == -lens(key)(Facts(row)).direction


SAME = {"memory_1_60", "hurst_240", "variance_ratio_5_60", "deviation_ratio_60_240", "volume_oscillator_5_20", "adx_14"}
SWAPPED = {"swing_low_gap": "swing_high_gap", "swing_high_gap": "swing_low_gap"}


def mirrored(row: dict[str, float]) -> dict[str, float]:
    """The figures of the same market upside down."""
    return {SWAPPED.get(name, name): value if name in SAME else -value for name, value in row.items()}


def test_real_rows_are_read_and_long_reasons_are_cut(key: str) -> None:
    times = minutes(1600)
    features = build(times, walk(3, 1600, seed=5), rows=1)[:, -1].astype(np.float32)
    kept = features.copy()
    place = LENS_KEYS.index(key)
    sights = [row[place] for row in look_at(COLUMNS, features)]
    assert len(sights) == 3
    assert all(0 < len(sight.reason) <= LONGEST_REASON for sight in sights)
    assert key == "sentimental" or not any("Too few" in sight.reason for sight in sights)
    np.testing.assert_array_equal(features, kept)
    alone = look_at(COLUMNS, features[1:2])[0][place]
    assert alone == sights[1], "an instrument does not depend on its neighbours"


def test_every_column_that_lenses_read_exists(key: str) -> None:
    assert set(READ) <= set(COLUMNS)
    assert LENSES[key].title
    assert LENSES[key].question.endswith("?")


def test_a_lens_loads_nothing_heavy(key: str) -> None:
    code = (
        f"import sys; from models_ml.lenses import lens; lens({key!r});"
        "print(sorted(set(sys.modules) & {'talib', 'torch', 'sklearn', 'xgboost', 'pandas', 'scipy', 'django'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
