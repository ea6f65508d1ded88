"""Named patterns on drawn candles: found where they are, absent where not, causal, and mirrored by a mirror."""

from itertools import pairwise

import numpy as np
import pytest

from markets.values import FloatArray, IntArray
from models_ml.features.talib_patterns import NAMES
from models_ml.patterns.candles import PAUSES, WAIT, confirmations
from models_ml.patterns.named import FAMILIES, LIGHT, find, known_directions
from models_ml.patterns.registry import PATTERNS, TITLES
from models_ml.patterns.series import Found, Series
from tests.models_ml.features.walks import minutes, walk
from tests.models_ml.patterns.drawn import drawn, turned

DRAWN: dict[str, list[float]] = {
    "head_and_shoulders": [100, 106, 103, 110, 103, 106, 98],
    "double_top": [100, 108, 104, 108, 100],
    "triple_top": [100, 108, 104, 108, 104, 108, 100],
    "descending_triangle": [100, 112, 104, 108, 104, 106, 100],
    "symmetrical_triangle": [100, 116, 100, 112, 104, 108, 92],
    "rising_wedge": [100, 106, 101, 107, 104, 108, 98],
}
"""A shape that ends in a fall → its turning points."""
TWINS = {
    "head_and_shoulders": "inverse_head_and_shoulders",
    "double_top": "double_bottom",
    "triple_top": "triple_bottom",
    "descending_triangle": "ascending_triangle",
    "symmetrical_triangle": "symmetrical_triangle",
    "rising_wedge": "falling_wedge",
    "break_of_structure": "break_of_structure",
    "change_of_character": "change_of_character",
    "fair_value_gap": "fair_value_gap",
    "bear_flag": "bull_flag",
}
OTHER_WAY = {**TWINS, **{up: down for down, up in TWINS.items()}}
UNLIKE: dict[str, list[float]] = {
    "head_and_shoulders": [100, 106, 103, 106.5, 103, 106, 98],  # no head stands out
    "double_top": [100, 108, 104, 112, 100],  # not level
    "triple_top": [100, 108, 104, 108, 104, 112, 100],
    "descending_triangle": [100, 104, 102, 108, 104, 112, 108],  # rises
    "symmetrical_triangle": [100, 104, 102, 108, 98, 112, 94],  # widens
    "rising_wedge": [100, 106, 103, 112, 105, 118, 98],  # widens
}


def of(pattern: str, found: list[Found]) -> list[Found]:
    """Those of one pattern."""
    return [one for one in found if one.pattern == pattern]


@pytest.mark.parametrize("pattern", DRAWN)
def test_a_drawn_shape_is_found_and_points_down(pattern: str) -> None:
    times, ohlcv = drawn(DRAWN[pattern])
    found = of(pattern, find(times, ohlcv, families=("shape",)))
    assert found
    assert {one.direction for one in found} == {-1}
    for one in found:
        place = int(np.searchsorted(times, one.known_at))
        assert one.points[-1] == (one.known_at, ohlcv[place, 3]), "it ends at the close that confirmed it"
        assert all(a[0] < b[0] for a, b in pairwise(one.points)), "points in the order of time"
        for at, price in one.points[:-1]:
            candle = ohlcv[int(np.searchsorted(times, at))]
            assert price in {candle[1], candle[2]}, "the other points are highs and lows of real candles"


@pytest.mark.parametrize("pattern", DRAWN)
def test_the_same_shape_upside_down_is_its_twin_and_points_up(pattern: str) -> None:
    times, ohlcv = drawn(DRAWN[pattern])
    found = of(TWINS[pattern], find(times, turned(ohlcv), families=("shape",)))
    assert {one.direction for one in found} == {1}


@pytest.mark.parametrize("pattern", UNLIKE)
def test_what_is_not_the_shape_is_not_found(pattern: str) -> None:
    times, ohlcv = drawn(UNLIKE[pattern])
    assert of(pattern, find(times, ohlcv, families=("shape",))) == []


@pytest.mark.parametrize("pattern", DRAWN)
def test_without_the_break_there_is_no_pattern(pattern: str) -> None:
    times, ohlcv = drawn(DRAWN[pattern])
    (first, *_) = of(pattern, find(times, ohlcv, families=("shape",)))
    before = int(np.searchsorted(times, first.known_at))
    assert of(pattern, find(times[:before], ohlcv[:before], families=("shape",))) == []


def test_a_close_above_the_head_ends_the_shape() -> None:
    times, ohlcv = drawn([100, 106, 103, 110, 103, 106, 104, 114, 98])
    assert of("head_and_shoulders", find(times, ohlcv, families=("shape",))) == []


def test_a_missing_candle_breaks_every_pattern_that_spans_it() -> None:
    times, ohlcv = drawn(DRAWN["double_top"])
    whole = of("double_top", find(times, ohlcv, families=("shape",)))
    holed = ohlcv.copy()
    holed[int(np.searchsorted(times, whole[0].points[1][0]))] = np.nan
    assert of("double_top", find(times, holed, families=("shape",))) == []


def test_a_flag_is_a_pole_a_rest_and_a_break() -> None:
    close = np.concatenate(
        [100 + np.tile([0, 0.125], 35), np.linspace(100.5, 106, 11), np.tile([105.75, 105.5], 5), [107]]
    )
    opened = np.concatenate([close[:1], close[:-1]])
    ohlcv = np.stack(
        [opened, np.maximum(opened, close) + 0.03125, np.minimum(opened, close) - 0.03125, close, close], 1
    )
    times = minutes(len(close))
    (flag,) = [one for one in find(times, ohlcv, families=("shape",)) if one.pattern.endswith("_flag")]
    assert (flag.pattern, flag.direction, flag.known_at) == ("bull_flag", 1, times[-1])
    (bear,) = [one for one in find(times, turned(ohlcv), families=("shape",)) if one.pattern.endswith("_flag")]
    assert (bear.pattern, bear.direction) == ("bear_flag", -1)


def test_breaks_of_structure_and_of_character_are_told_apart() -> None:
    times, ohlcv = drawn([100, 104, 102, 107, 104, 110, 108, 99])
    found = find(times, ohlcv, families=("structure",))
    ups = [one for one in of("break_of_structure", found) if one.direction > 0]
    (turn,) = of("change_of_character", found)
    assert len(ups) >= 2, "each higher high broke the one before"
    assert turn.direction == -1
    assert all(one.known_at < turn.known_at for one in ups)
    assert turn.points[0][1] == turn.points[1][1], "a level, from the swing to the break"


def test_a_gap_of_value_is_known_at_the_third_candle() -> None:
    close = np.array([*np.tile([100, 100.25], 12), 103, 103.25, 103.5])
    opened = np.array([*close[:24], 100.25, 103, 103.25])
    ohlcv = np.stack(
        [opened, np.maximum(opened, close) + 0.125, np.minimum(opened, close) - 0.125, close, close], axis=1
    )
    times = minutes(len(close))
    (gap,) = of("fair_value_gap", find(times, ohlcv, families=("structure",)))
    assert (gap.direction, gap.known_at) == (1, times[25])
    assert gap.points == ((times[23], ohlcv[23, 1]), (times[25], ohlcv[25, 2]))


def test_a_candlestick_is_known_when_a_close_confirms_it() -> None:
    times, ohlcv = (
        minutes(4),
        np.array([[5.0, 6, 4, 5, 1], [5, 5.5, 4.5, 5, 1], [5, 6.5, 4.5, 6.25, 1], [6, 7, 5, 6, 1]]),
    )
    marks = np.array([1, 0, 0, 0], np.int8)
    known, age = confirmations(Series(times, ohlcv), marks)
    assert (known.tolist(), age.tolist()) == ([0, 0, 1, 0], [0, 0, 2, 0])
    spoilt = ohlcv.copy()
    spoilt[1, 3] = 3.5
    assert not confirmations(Series(times, spoilt), marks)[0].any(), "a close below the candle ended it"
    assert not confirmations(Series(times, ohlcv), -marks)[0].any()
    assert WAIT == 3


def test_every_family_is_causal_with_cuts_inside_the_warm_up() -> None:
    times, ohlcv = minutes(700), walk(1, 700, seed=3)[0].copy()
    ohlcv[[150, 151, 480]] = np.nan
    whole = find(times, ohlcv)
    assert {PATTERNS[one.pattern].family for one in whole} == set(FAMILIES)
    for cut in (1, 2, 9, 16, 40, 149, 152, 160, 333, 480, 699):
        seen = find(times[:cut], ohlcv[:cut])
        assert seen == [one for one in whole if one.known_at < times[cut]], cut


def test_every_direction_is_mirrored() -> None:
    times = minutes(900)
    ohlcv = walk(1, 900, seed=8, tick=0.0625)[0]
    shown = find(times, ohlcv, families=("shape", "structure"))
    mirrored = find(times, turned(ohlcv), families=("shape", "structure"))
    assert len(shown) > 60
    expected = {(OTHER_WAY[one.pattern], -one.direction, one.known_at) for one in shown}
    assert {(one.pattern, one.direction, one.known_at) for one in mirrored} == expected


def test_arrays_and_lists_tell_the_same(walked: tuple[IntArray, FloatArray]) -> None:
    times, ohlcv = walked
    directions = dict(known_directions(times, ohlcv))
    assert set(directions) == set(PATTERNS) - PAUSES
    sums: dict[tuple[str, int], int] = {}
    for one in find(times, ohlcv):
        if one.direction:
            sums[one.pattern, one.known_at] = sums.get((one.pattern, one.known_at), 0) + one.direction
    told = {(key, int(times[at])): int(sign[at]) for key, sign in directions.items() for at in np.flatnonzero(sign)}
    assert told == {key: int(np.sign(total)) for key, total in sums.items() if total}


@pytest.fixture
def walked() -> tuple[IntArray, FloatArray]:
    return minutes(500), walk(1, 500, seed=4)[0]


def test_since_hides_what_was_known_before_and_changes_nothing_else(walked: tuple[IntArray, FloatArray]) -> None:
    times, ohlcv = walked
    kept = ohlcv.copy()
    whole = find(times, ohlcv, families=LIGHT)
    assert find(times, ohlcv, families=LIGHT, since=300) == [one for one in whole if one.known_at >= times[300]]
    np.testing.assert_array_equal(ohlcv, kept)


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 15])
def test_short_series_show_nothing_and_raise_nothing(steps: int) -> None:
    assert [one for one in find(minutes(steps), walk(1, 20)[0][:steps]) if one.direction] == []


def test_the_registry_is_whole() -> None:
    assert set(TITLES) == set(NAMES)
    assert len([key for key in PATTERNS if key.startswith("cdl_")]) == 61
    for key, named in PATTERNS.items():
        assert named.title, key
        assert named.family in FAMILIES
        assert named.confirmation
        assert (named.direction == "none") == (key in PAUSES)
    assert len({named.title for named in PATTERNS.values() if named.family == "talib"}) == 61
