"""Every rolling form against the plain formula on each window, written out."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from markets.values import FloatArray
from models_ml.features import rolling

Plain = Callable[[FloatArray], float]


def slid(values: FloatArray, length: int, plain: Plain) -> FloatArray:
    """`plain` of every window of the last axis of (T,)."""
    out = np.full(values.shape, np.nan)
    for end in range(length, len(values) + 1):
        out[end - 1] = plain(values[end - length : end])
    return out


def weighted(decay: float) -> Plain:
    return lambda x: float(np.average(x, weights=np.power(decay, np.arange(len(x))[::-1])))


def moment(order: int) -> Plain:
    def of(x: FloatArray) -> float:
        apart = x - x.mean()
        spread = float(np.mean(apart**2))
        return float(np.mean(apart**order)) / spread ** (order / 2) if spread else 0.0

    return of


def fitted(x: FloatArray) -> tuple[float, float]:
    slope, start = np.polyfit(np.arange(len(x)), x, 1)
    rest = x - (start + slope * np.arange(len(x)))
    return float(slope), 1 - float(np.sum(rest**2) / np.sum((x - x.mean()) ** 2))


CASES: dict[str, tuple[Callable[[FloatArray, int], FloatArray], Plain]] = {
    "sum": (rolling.rolling_sum, lambda x: float(x.sum())),
    "mean": (rolling.rolling_mean, lambda x: float(x.mean())),
    "max": (rolling.rolling_max, lambda x: float(x.max())),
    "min": (rolling.rolling_min, lambda x: float(x.min())),
    "rms": (rolling.rolling_rms, lambda x: math.sqrt(float(np.mean(x * x)))),
    "std": (lambda x, n: rolling.mean_and_std(x, n)[1], lambda x: float(x.std())),
    "mean of squares": (lambda x, n: rolling.mean_and_std(x, n)[0], lambda x: float(x.mean())),
    "skew": (lambda x, n: rolling.skew_and_kurtosis(x, n)[0], moment(3)),
    "kurtosis": (lambda x, n: rolling.skew_and_kurtosis(x, n)[1], lambda x: moment(4)(x) - 3),
    "linear": (rolling.linear_mean, lambda x: float(np.average(x, weights=np.arange(1, len(x) + 1)))),
    "deviation": (rolling.mean_deviation, lambda x: float(np.mean(np.abs(x - x.mean())))),
    "rank": (rolling.rank, lambda x: float(np.mean(np.sign(x[-1] - x[:-1])))),
    "age": (rolling.steps_since_max, lambda x: float(np.argmax(x[::-1]))),
    "decayed": (lambda x, n: rolling.decayed_mean(x, 0.9, n), weighted(0.9)),
    "slope": (lambda x, n: rolling.line_fit(x, n)[1], lambda x: fitted(x)[0]),
    "fit": (lambda x, n: rolling.line_fit(x, n)[2], lambda x: fitted(x)[1]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("length", [3, 4, 7, 16, 21, 60, 63])
def test_equals_the_plain_formula(name: str, length: int) -> None:
    form, plain = CASES[name]
    values = np.random.default_rng(length).normal(100, 1, (2, 90))
    expected = np.stack([slid(row, length, plain) for row in values])
    np.testing.assert_allclose(form(values, length), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_window_longer_than_the_series_is_unknown(name: str) -> None:
    assert np.isnan(CASES[name][0](np.ones((2, 5)), 6)).all()
    assert CASES[name][0](np.ones((2, 0)), 3).shape == (2, 0)


@pytest.mark.parametrize("name", CASES)
def test_missing_value_spoils_its_windows_only(name: str) -> None:
    form = CASES[name][0]
    values = np.random.default_rng(3).normal(5, 1, (1, 60))
    whole, holed = form(values, 8), values.copy()
    holed[0, 30] = np.nan
    with np.errstate(invalid="ignore"):
        built = form(holed, 8)
    whole[0, 30:38] = np.nan
    if name == "age":  # the age of a NaN is a number: `build` masks it by the look-back
        built[0, 30:38] = np.nan
    np.testing.assert_array_equal(built, whole)


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from(sorted(CASES)), length=st.integers(2, 40), start=st.integers(1, 30), seed=st.integers(0, 999)
)
def test_bits_do_not_depend_on_the_start(name: str, length: int, start: int, seed: int) -> None:
    form = CASES[name][0]
    values = np.random.default_rng(seed).integers(1, 6, (1, 80)).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = form(values, length)[:, start + length - 1 :], form(values[:, start:], length)[:, length - 1 :]
    np.testing.assert_array_equal(left, right)


@given(value=st.floats(1e-6, 1e6), length=st.integers(2, 70))
def test_equal_values_have_no_spread(value: float, length: int) -> None:
    values = np.full((1, length), value)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, std = rolling.mean_and_std(values, length)
        skew, kurtosis = rolling.skew_and_kurtosis(values, length)
        _, slope, fit = rolling.line_fit(values, length)
    assert (mean[0, -1], std[0, -1], skew[0, -1], kurtosis[0, -1], slope[0, -1], fit[0, -1]) == (value, 0, 0, 0, 0, 0)


def test_correlation_equals_numpy() -> None:
    rng = np.random.default_rng(2)
    first = rng.normal(size=(1, 90))
    second = first * 0.4 + rng.normal(size=(1, 90))
    built = rolling.correlation(first, second, 30)
    for end in range(30, 91):
        expected = np.corrcoef(first[0, end - 30 : end], second[0, end - 30 : end])[0, 1]
        assert built[0, end - 1] == pytest.approx(expected, abs=1e-12)
    with np.errstate(invalid="ignore"):
        assert rolling.correlation(first, np.ones_like(first), 30)[0, -1] == 0


@pytest.mark.parametrize("decay", [1 - 2 / 11, 1 - 2 / 51, 1 - 1 / 14])
def test_truncated_weight_is_bounded(decay: float) -> None:
    taps = rolling.taps_of(decay)
    assert decay**taps <= rolling.TRUNCATION
    assert decay ** (taps - rolling.TAPS_STEP) > rolling.TRUNCATION


@pytest.mark.parametrize("span", [9, 20, 50])
def test_truncated_ema_stays_within_its_stated_error(span: int) -> None:
    values = 100 + np.cumsum(np.random.default_rng(span).normal(size=3000))
    endless = np.empty_like(values)
    endless[0] = values[0]
    for t in range(1, len(values)):
        endless[t] = endless[t - 1] + (values[t] - endless[t - 1]) * 2 / (span + 1)
    built = rolling.ema(values, span)
    known = slice(rolling.ema_taps(span) - 1, None)
    assert np.abs(built - endless)[known].max() <= rolling.TRUNCATION * np.ptp(values)


def test_ratio_and_gap_say_what_is_equal() -> None:
    with np.errstate(invalid="ignore", divide="ignore"):
        built = rolling.ratio(np.array([1.0, 0, 1, -1, np.nan]), np.array([2.0, 0, 0, 0, 1]))
    np.testing.assert_array_equal(built, [0.5, 0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(
        rolling.gap(np.array([1.0, 1, 1]), np.array([1 + 1e-15, 1.5, np.nan])), [0, -0.5, np.nan]
    )


def test_shift_and_change() -> None:
    values = np.array([[1.0, 4, 9, 16]])
    np.testing.assert_array_equal(rolling.shifted(values, 1), [[np.nan, 1, 4, 9]])
    np.testing.assert_array_equal(rolling.shifted(values, 9), np.full((1, 4), np.nan))
    np.testing.assert_array_equal(rolling.change(values, 2), [[np.nan, np.nan, 8, 12]])
    np.testing.assert_array_equal(rolling.change(values, 7), np.full((1, 4), np.nan))
