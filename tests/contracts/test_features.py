"""What every feature promises, asked of every column: causal, finite look-back, masked gaps, no price levels."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from markets.values import FloatArray, IntArray
from models_ml.features import (
    COLUMNS,
    FEATURE_GROUPS,
    FEATURES,
    FEATURES_HASH,
    LOOKBACK,
    VECTOR,
    BadCandlesError,
    build,
)
from models_ml.features import matrix as matrix_module
from models_ml.features.reference import PAGE, page
from models_ml.features.registry import NO_SOURCE, VERSION
from tests.models_ml.features.walks import flat, minutes, walk

Build = Callable[[IntArray, FloatArray], FloatArray]
STEPS = LOOKBACK + 260


def differing(left: FloatArray, right: FloatArray, tolerance: float = 0.0) -> list[str]:
    """Columns of two matrices (..., F) that differ anywhere; NaN equals NaN."""
    with np.errstate(invalid="ignore"):
        apart = ~((np.abs(left - right) <= tolerance) | (np.isnan(left) & np.isnan(right)))
    return [COLUMNS[n] for n in np.flatnonzero(apart.reshape(-1, apart.shape[-1]).any(axis=0))]


def leaks(make: Build, times: IntArray, candles: FloatArray, cuts: list[int]) -> list[str]:
    """Columns whose past changes when the future is cut off."""
    full = make(times, candles)
    found: set[str] = set()
    for cut in cuts:
        found.update(differing(make(times[:cut], candles[:, :cut]), full[:, :cut]))
    return sorted(found)


def memories(make: Build, times: IntArray, candles: FloatArray, start: int) -> list[str]:
    """Columns that still depend on candles before their declared look-back."""
    full, later = make(times, candles)[:, start:], make(times[start:], candles[:, start:])
    return [
        feature.name
        for n, feature in enumerate(FEATURES)
        if differing(later[:, max(feature.lookback - 1, 0) :, [n]], full[:, max(feature.lookback - 1, 0) :, [n]])
    ]


@pytest.fixture(scope="module")
def times() -> IntArray:
    return minutes(STEPS)


@pytest.fixture(scope="module")
def candles() -> FloatArray:
    return walk(3, STEPS)


@pytest.fixture(scope="module")
def full(times: IntArray, candles: FloatArray) -> FloatArray:
    return build(times, candles)


def test_registry_is_complete_and_well_formed() -> None:
    assert len(COLUMNS) >= 300
    assert len(set(COLUMNS)) == len(COLUMNS)
    assert 0 < LOOKBACK <= 2880
    assert {"trend", "momentum", "volatility", "volume", "statistics", "candlesticks", "calendar"} <= set(
        FEATURE_GROUPS
    )
    for feature in FEATURES:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", feature.name)
        assert feature.unit
        assert feature.source
        assert 0 <= feature.lookback <= LOOKBACK
        assert "close" in feature.known


def test_every_timeframe_of_the_context_is_there() -> None:
    for label in ("5m", "15m", "30m", "1h", "4h", "1d"):
        assert sum(name.endswith(f"_{label}") for name in COLUMNS) >= 8


def test_hash_follows_names_order_and_version() -> None:
    text = "\n".join((str(VERSION), *VECTOR))
    assert hashlib.sha256(text.encode()).hexdigest() == FEATURES_HASH
    swapped = "\n".join((str(VERSION), *reversed(VECTOR)))
    assert hashlib.sha256(swapped.encode()).hexdigest() != FEATURES_HASH


def test_page_of_features_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m models_ml.features.reference"


def test_prefix_gives_the_same_rows(times: IntArray, candles: FloatArray) -> None:
    cuts = [1, 2, 3, 8, 15, 20, 21, 61, 97, 120, 193, 255, 256, 390, 720, 1000, LOOKBACK - 1, LOOKBACK, LOOKBACK + 77]
    assert leaks(build, times, candles, cuts) == []


def test_planted_leaks_are_caught(times: IntArray, candles: FloatArray) -> None:
    def next_return(times: IntArray, candles: FloatArray) -> FloatArray:
        out = build(times, candles)
        out[:, :-1, 0] = candles[:, 1:, 3] / candles[:, 1:, 0] - 1
        return out

    def centred_on_all(times: IntArray, candles: FloatArray) -> FloatArray:
        out = build(times, candles)
        out[..., 40] -= np.nanmean(out[..., 40])
        return out

    assert leaks(next_return, times, candles, [LOOKBACK]) == [COLUMNS[0]]
    assert leaks(centred_on_all, times, candles, [LOOKBACK]) == [COLUMNS[40]]


@pytest.mark.parametrize("start", [1, 5, 13, 59, 200])
def test_any_start_far_enough_back_gives_the_same_rows(times: IntArray, candles: FloatArray, start: int) -> None:
    assert memories(build, times, candles, start) == []


def test_planted_endless_memory_is_caught(times: IntArray, candles: FloatArray) -> None:
    def balance_of_all_volume(times: IntArray, candles: FloatArray) -> FloatArray:
        out = build(times, candles)
        out[..., 7] = np.cumsum(candles[..., 4], axis=1)
        return out

    assert memories(balance_of_all_volume, times, candles, 5) == [COLUMNS[7]]


def test_start_rule_of_the_protocol(times: IntArray, candles: FloatArray, full: FloatArray) -> None:
    for k in (LOOKBACK, LOOKBACK + 101):
        live = build(times[k - LOOKBACK :], candles[:, k - LOOKBACK :])[:, LOOKBACK:]
        assert differing(live, full[:, k:], tolerance=1e-9) == []


@pytest.mark.parametrize("rows", [0, 1, 2, 60, 259, LOOKBACK - 1, LOOKBACK, STEPS])
def test_last_rows_are_the_tail_of_all_rows(times: IntArray, candles: FloatArray, full: FloatArray, rows: int) -> None:
    tail = build(times, candles, rows)
    assert tail.shape == (3, rows, len(COLUMNS))
    assert differing(tail, full[:, STEPS - rows :]) == []


def test_live_window_knows_every_column(times: IntArray, candles: FloatArray) -> None:
    for end in range(STEPS - 61, STEPS):
        row = build(times[end - LOOKBACK : end], candles[:, end - LOOKBACK : end], 1)
        assert not np.isnan(row).any()


def test_warm_up_ends_exactly_at_the_look_back(full: FloatArray) -> None:
    for n, feature in enumerate(FEATURES):
        known = ~np.isnan(full[..., n])
        first = max(feature.lookback - 1, 0)
        assert not known[:, :first].any(), feature.name
        assert known[:, first:].all(), feature.name


def test_oldest_candle_of_the_look_back_counts() -> None:
    """A declared look-back longer than the formula's would throw known rows away after each gap."""
    idle = {"pattern_", "age_of_", "streak", "channel_", "aroon", "ichimoku", "stochastic_rsi", "drawdown", "williams"}
    idle |= {"supertrend", "parabolic", "candles_", "swing_", "break_of", "change_of", "double_", "head_", "triangle"}
    idle |= {
        "wedge",
        "fair_value_gap_",
        "session_",
        "day_place",
        "day_breadth",
        "tick",
        "sign_",
    }  # the day is as old as the clock says
    times = minutes(STEPS + 60)
    candles = walk(24, STEPS + 60, seed=5)
    silent = []
    for n, feature in enumerate(FEATURES):
        if (
            feature.lookback
            and feature.minutes == 1
            and not feature.parts
            and not any(feature.name.startswith(name) for name in idle)
        ):
            other = candles.copy()
            other[:, -feature.lookback] *= [1.3, 1.5, 1.1, 1.2, 40]
            apart = build(times, other, 1)[..., n] != build(times, candles, 1)[..., n]
            if not apart.any():
                silent.append(feature.name)
    assert silent == []


def test_noise_after_a_row_changes_nothing_before(times: IntArray, candles: FloatArray, full: FloatArray) -> None:
    for t in (30, 700, LOOKBACK + 40):
        noisy = candles.copy()
        noisy[:, t + 1 :] *= np.random.default_rng(t).uniform(0.5, 2, noisy[:, t + 1 :].shape)
        assert differing(build(times, noisy)[:, : t + 1], full[:, : t + 1]) == []


@pytest.mark.parametrize("gap", [0, 400, LOOKBACK + 3, STEPS - 1])
def test_gap_spoils_its_look_back_and_nothing_else(
    times: IntArray, candles: FloatArray, full: FloatArray, gap: int
) -> None:
    holed = candles.copy()
    holed[1, gap] = np.nan
    built = build(times, holed)
    for n, feature in enumerate(FEATURES):
        expected, inside = full[..., n].copy(), slice(gap, gap + feature.lookback)
        expected[1, inside] = np.nan
        if feature.parts:  # known where its parts are
            places = [COLUMNS.index(part) for part in feature.parts]
            unknown = np.isnan(built[1, inside, :][:, places]).any(axis=1)
            np.testing.assert_array_equal(np.isnan(built[1, inside, n]), unknown, err_msg=feature.name)
        if feature.parts or feature.holes:  # what it makes of the rest is tested with the feature
            expected[1, inside] = built[1, inside, n]
        np.testing.assert_array_equal(built[..., n], expected, err_msg=feature.name)


def test_long_bars_do_without_a_twentieth_and_not_more(times: IntArray, candles: FloatArray) -> None:
    patient = [n for n, feature in enumerate(FEATURES) if feature.holes]
    assert len(patient) >= 30
    for share, known in ((0.04, True), (0.06, False)):
        holed = candles.copy()
        day = np.arange(STEPS - 1441, STEPS - 1)
        holed[1, day[:: int(1 / share)]] = np.nan  # in every bar, whatever its look-back
        before = np.arange(STEPS - 2882, STEPS - 1441)
        holed[1, before[:: int(1 / share)]] = np.nan
        row = build(times, holed, 1)[1, 0]
        names = {COLUMNS[n] for n in patient if np.isnan(row[n]) == known}
        bare = {FEATURES[n].name for n in patient if FEATURES[n].lookback < 300}
        assert names <= bare, (share, names)


def test_no_source_is_no_column() -> None:
    assert NO_SOURCE
    assert not set(NO_SOURCE) & set(COLUMNS)
    assert all(name in PAGE.read_text(encoding="utf-8") for name in NO_SOURCE)


@pytest.mark.parametrize(("field", "value"), [(0, 0.0), (1, np.inf), (2, -5.0), (3, np.nan), (4, -1.0), (4, np.nan)])
def test_an_impossible_candle_is_a_missing_one(times: IntArray, candles: FloatArray, field: int, value: float) -> None:
    wrong, missing = candles.copy(), candles.copy()
    wrong[0, STEPS - 30, field] = value
    missing[0, STEPS - 30] = np.nan
    assert differing(build(times, wrong), build(times, missing)) == []


def test_what_overflows_is_unknown_not_infinite(times: IntArray, candles: FloatArray) -> None:
    huge = candles.copy()
    huge[0, STEPS - 30] = [1e200, 1e307, 1e-300, 1e307, 1e305]
    assert not np.isinf(build(times, huge)).any()


def test_all_missing_and_empty_panels() -> None:
    times = minutes(50)
    clock = len(FEATURE_GROUPS["calendar"])
    built = build(times, np.full((2, 50, 5), np.nan))
    assert np.isnan(built[..., :-clock]).all()
    assert not np.isnan(built[..., -clock:]).any()
    assert build(minutes(0), np.empty((2, 0, 5))).shape == (2, 0, len(COLUMNS))
    assert build(times, np.empty((0, 50, 5)), 1).shape == (0, 1, len(COLUMNS))


def test_input_is_not_mutated(times: IntArray, candles: FloatArray) -> None:
    holed = candles.copy()
    holed[0, 9, 3] = np.nan
    before = holed.copy()
    holed.flags.writeable = times.flags.writeable = False
    build(times, holed)
    times.flags.writeable = True
    np.testing.assert_array_equal(holed, before)


def test_batch_equals_single(times: IntArray, candles: FloatArray, full: FloatArray) -> None:
    for n in range(len(candles)):
        assert differing(build(times, candles[n : n + 1]), full[n : n + 1]) == []


def test_many_instruments_and_long_histories_are_cut_into_blocks() -> None:
    many = walk(150, LOOKBACK + 5, seed=9)
    times = minutes(LOOKBACK + 5)
    assert differing(build(times, many, 3)[97:99], build(times, many[97:99], 3)) == []
    long = walk(1, matrix_module.CHUNK + 3000, seed=4)
    times = minutes(long.shape[1])
    edge = slice(matrix_module.CHUNK - LOOKBACK - 50, matrix_module.CHUNK + 50)
    assert differing(build(times, long)[:, edge][:, LOOKBACK:], build(times[edge], long[:, edge])[:, LOOKBACK:]) == []


def test_no_column_is_a_price_or_volume_level(times: IntArray, candles: FloatArray, full: FloatArray) -> None:
    scaled = candles * [4096, 4096, 4096, 4096, 7]
    apart = differing(build(times, scaled), full, tolerance=1e-6)
    assert all(name.startswith("round_place") for name in apart), apart  # round numbers are those of one scale


def test_flat_market_is_known_and_neutral(times: IntArray) -> None:
    built = build(times, flat(1, STEPS))[0, LOOKBACK:]
    assert not np.isnan(built).any()
    neutral = ("return_", "rsi_", "sma_gap", "ema_gap", "macd_", "score_", "pattern_", "slope_", "memory_", "cci_")
    for n, name in enumerate(COLUMNS):
        if name.startswith(neutral):
            assert (built[:, n] == 0).all(), name


def test_market_without_volume_leaves_only_volume_unknown(times: IntArray, candles: FloatArray) -> None:
    silent = candles.copy()
    silent[..., 4] = 0
    built = build(times, silent)[:, LOOKBACK:]
    unknown = {COLUMNS[n] for n in np.flatnonzero(np.isnan(built).any(axis=(0, 1)))}
    expected = {feature.name for feature in FEATURE_GROUPS["volume"]}
    expected |= {name for name in COLUMNS if name.startswith("relative_volume")}
    assert unknown == expected
    assert np.isnan(built[..., [COLUMNS.index(name) for name in sorted(expected)]]).all()


@pytest.mark.parametrize(
    ("times", "shape", "rows", "words"),
    [
        (minutes(4), (2, 4), None, "instruments, minutes, 5"),
        (minutes(4), (2, 4, 6), None, "instruments, minutes, 5"),
        (minutes(3), (2, 4, 5), None, "one for each"),
        (minutes(4)[::-1], (2, 4, 5), None, "strictly ascending"),
        (np.array([0, 60, 60, 120]), (2, 4, 5), None, "strictly ascending"),
        (minutes(4) + 1, (2, 4, 5), None, "whole minutes"),
        (minutes(4), (2, 4, 5), 5, "fewer rows"),
        (minutes(4), (2, 4, 5), -1, "fewer rows"),
    ],
)
def test_irregular_panels_are_refused_in_words(
    times: IntArray, shape: tuple[int, ...], rows: int | None, words: str
) -> None:
    with pytest.raises(BadCandlesError, match=words) as caught:
        build(times, np.ones(shape), rows)
    assert caught.value.permanent


@st.composite
def rough_markets(draw: st.DrawFn) -> FloatArray:
    """Few prices, many ties, flats, gaps and empty minutes."""
    steps = draw(st.integers(2, 140))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tick = draw(st.sampled_from([1e-8, 1e-5, 0.01, 1.0, 1e6]))
    prices = np.sort(rng.integers(1, draw(st.sampled_from([2, 3, 50])), (2, steps, 4), endpoint=True), axis=-1) * tick
    order = np.where(rng.random((2, steps, 1)) < 0.5, [1, 3, 0, 2], [2, 3, 0, 1])
    volume = rng.integers(0, draw(st.sampled_from([1, 2, 1000])), (2, steps, 1))
    candles = np.concatenate([np.take_along_axis(prices, order, -1), volume], axis=-1)
    candles[rng.random((2, steps)) < draw(st.sampled_from([0, 0, 0.02, 0.3]))] = np.nan
    return candles


@settings(max_examples=60, deadline=None)
@given(candles=rough_markets(), share=st.floats(0, 1), rows=st.integers(1, 140), start=st.integers(0, 10**6))
def test_rough_markets_keep_every_promise(candles: FloatArray, share: float, rows: int, start: int) -> None:
    steps = candles.shape[1]
    times = minutes(steps, start * 60)
    full = build(times, candles)
    cut = int(share * steps)
    assert not np.isinf(full).any()
    assert differing(build(times[:cut], candles[:, :cut]), full[:, :cut]) == []
    assert differing(build(times, candles, min(rows, steps)), full[:, steps - min(rows, steps) :]) == []
    assert memories(build, times, candles, cut) == []


def test_only_numpy_is_loaded() -> None:
    heavy = "{'talib', 'torch', 'sklearn', 'xgboost', 'pandas', 'polars', 'scipy', 'django', 'ccxt'}"
    code = f"import sys, models_ml.features; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
