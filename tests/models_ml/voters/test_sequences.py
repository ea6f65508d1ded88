"""Candle windows: scale-free, masked, closed candles only, and honest upside down."""

from dataclasses import replace

import numpy as np

from markets.values import FloatArray
from models_ml.samples import Samples
from models_ml.voters.sequences import CHANNELS, CLIP, CandleView, context, describe, readable, upside_down
from tests.models_ml.worlds import START, candle_walk, world

MISSING = CHANNELS - 1


def windows(n: int = 6, length: int = 20, seed: int = 0) -> FloatArray:
    return candle_walk(np.random.default_rng(seed), n, length + 1)


def test_channels_do_not_know_the_price() -> None:
    candles = windows()
    dearer = candles * np.array([1000, 1000, 1000, 1000, 1])
    np.testing.assert_allclose(describe(dearer)[0], describe(candles)[0], atol=1e-5)


def test_moves_are_in_units_of_the_windows_volatility() -> None:
    candles = windows()
    channels, volatility, missing = describe(candles)
    moves = np.diff(np.log(candles[..., 3]), axis=1)
    np.testing.assert_allclose(volatility, np.sqrt((moves**2).mean(axis=1)))
    np.testing.assert_allclose(channels[..., 0], moves / volatility[:, None], rtol=1e-5)
    assert channels.shape == (6, 20, CHANNELS)
    assert not missing.any()


def test_a_mirrored_market_gives_mirrored_channels() -> None:
    candles = windows()
    mirrored = 1e4 / candles[..., [0, 2, 1, 3, 4]]
    mirrored[..., 4] = candles[..., 4]
    np.testing.assert_allclose(upside_down(describe(candles)[0]), describe(mirrored)[0], atol=1e-4)


def test_a_missing_candle_is_marked_and_the_next_moves_from_the_last_known() -> None:
    candles = windows(n=1)
    candles[0, 8] = np.nan
    channels, volatility, missing = describe(candles)
    assert missing[0].tolist() == [place == 7 for place in range(20)]
    assert channels[0, 7].tolist() == [0.0] * MISSING + [1.0]
    jump = np.log(candles[0, 9, 3] / candles[0, 7, 3])
    np.testing.assert_allclose(channels[0, 8, 0] * volatility[0], jump, rtol=1e-5)


def test_a_window_without_its_last_candle_or_with_many_holes_is_not_read() -> None:
    candles = windows(n=3)
    candles[0, -1] = np.nan
    candles[1, 3:9] = np.nan
    assert readable(candles, describe(candles)[2]).tolist() == [False, False, True]


def test_flat_and_volumeless_windows_stay_finite() -> None:
    candles = np.ones((1, 21, 5))
    candles[..., 4] = 0
    channels, volatility, _ = describe(candles)
    assert (channels == 0).all()
    assert volatility[0] == 0
    candles[..., 4] = np.nan
    assert np.isfinite(describe(candles)[0]).all()


def test_a_jump_is_clipped() -> None:
    candles = windows(n=1, length=200)
    candles[0, 100:, :4] *= 3
    assert np.abs(describe(candles)[0]).max() <= CLIP


def test_only_closed_candles_of_a_timeframe_are_seen() -> None:
    samples = world(instruments=1, minutes=120)
    for minute in (59, 60, 63, 64):
        view = CandleView(samples.pick(np.array([minute])), 5, 3)
        last = view.cut(np.array([0]))[0, -1]
        full = (minute + 1) // 5 * 5
        five = samples.ohlcv[0, full - 5 : full]
        np.testing.assert_allclose(
            last, [five[0, 0], five[:, 1].max(), five[:, 2].min(), five[-1, 3], five[:, 4].sum()]
        )


def test_a_window_does_not_cross_a_break_of_the_session() -> None:
    samples = world(instruments=1, minutes=40)
    times = samples.open_times.copy()
    times[20:] += 48 * 3600
    candles = CandleView(replace(samples, open_times=times).pick(np.array([25])), 1, 10).cut(np.array([0]))
    assert np.isnan(candles[0, :5]).all()
    assert np.isfinite(candles[0, 5:]).all()


def test_a_window_before_the_first_candle_is_unknown() -> None:
    samples = world(instruments=1, minutes=40)
    minute, hour = samples.pick(np.array([4])), samples.pick(np.array([30]))
    assert np.isnan(CandleView(minute, 1, 10).cut(np.array([0]))[0, :6]).all()
    assert np.isnan(CandleView(hour, 60, 3).cut(np.array([0]))).all()


def test_the_time_of_day_goes_round() -> None:
    samples: Samples = world(instruments=1, minutes=1440)
    around = context(samples, np.array([0, 360, 720]), np.full(3, 1e-3))
    assert START % 86_400 == 0
    np.testing.assert_allclose(around[:, 1:], [[0, 1], [1, 0], [0, -1]], atol=1e-6)
