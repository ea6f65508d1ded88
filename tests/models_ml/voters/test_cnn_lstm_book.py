"""A book counts when it was received in time, whole and fresh."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from markets.values import Books
from models_ml.samples import Samples
from models_ml.voters.cnn_lstm_book import CLIP, INKS, NEWEST_S, BookVoter
from models_ml.votes import AbstainReason
from tests.models_ml.small import fitted, parts
from tests.models_ml.worlds import COLUMNS, world


def seen(samples: Samples, length: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    voter = BookVoter(COLUMNS)
    voter.shape = {"window": length}
    (heat, moves), known = voter.view(samples).read(np.arange(len(samples)))
    return heat, moves, known


def one(minute: int = 10) -> Samples:
    return world(instruments=1, minutes=20, with_books=True).pick(np.array([minute]))


def with_books(samples: Samples, **changes: np.ndarray) -> Samples:
    assert samples.books is not None
    return replace(samples, books=replace(samples.books, **changes))


def books(samples: Samples) -> Books:
    assert samples.books is not None
    return samples.books


def test_a_whole_fresh_book_is_a_heat_map() -> None:
    heat, moves, known = seen(one())
    assert known.tolist() == [True]
    assert heat.shape == (1, INKS, 24, 20)
    assert moves.shape == (1, 24, 1)
    assert np.isfinite(heat).all()
    assert (heat > 0).all()
    assert (np.diff(heat[0, :2], axis=-1) > 0).all()  # deeper levels are farther


def test_no_books_at_all_are_no_book() -> None:
    assert seen(replace(one(), books=None))[2].tolist() == [False]


def test_too_few_snapshots_are_no_book() -> None:
    assert seen(one(minute=1))[2].tolist() == [True]
    assert seen(one(minute=0))[2].tolist() == [False]


def test_a_stale_book_is_no_book() -> None:
    samples = one()
    times, close = books(samples).times, samples.open_times[10] + 60
    assert seen(with_books(samples, times=np.where(times > close - NEWEST_S, np.nan, times)))[2].all()
    assert not seen(with_books(samples, times=np.where(times >= close - NEWEST_S, np.nan, times)))[2].any()


def test_a_window_with_a_long_hole_is_no_book() -> None:
    samples = one(minute=15)
    times = books(samples).times.copy()
    close = samples.open_times[15] + 60
    assert not seen(with_books(samples, times=np.where(times > close - 70, times, times - 3600)))[2].any()


def test_a_snapshot_without_mid_is_no_book() -> None:
    samples = one()
    mid = books(samples).mid.copy()
    mid[0, 11 * 12 - 3] = np.nan
    assert not seen(with_books(samples, mid=mid))[2].any()


def test_an_absent_level_is_zero_not_unknown() -> None:
    samples = one()
    prices, sizes = books(samples).prices.copy(), books(samples).sizes.copy()
    prices[..., 15:], sizes[..., 15:] = np.nan, np.nan
    heat, _, known = seen(with_books(samples, prices=prices, sizes=sizes))
    assert known.all()
    assert (heat[..., 15:] == 0).all()
    assert np.abs(heat).max() <= CLIP


def test_sides_change_places_in_the_mirror() -> None:
    samples = one()
    swapped = with_books(samples, sizes=books(samples).sizes[:, :, ::-1])
    voter = BookVoter(COLUMNS)
    voter.shape = {"window": 24}
    inputs, _ = voter.view(samples).read(np.array([0]))
    heat, moves = voter.view(samples).mirror(inputs)
    np.testing.assert_allclose(heat[:, 2:], seen(swapped)[0][:, 2:], rtol=1e-6)
    np.testing.assert_array_equal(moves, -inputs[1])


def test_silence_means_no_book() -> None:
    assert fitted("cnn_lstm_book").silence is AbstainReason.NO_BOOK
    assert np.isnan(fitted("cnn_lstm_book").predict(replace(parts()[2], books=None))).all()


def test_a_recorded_book_is_read(candor_data: Path) -> None:
    table = pq.read_table(candor_data / "lob" / "binance_spot_ETHBTC_book20_1s_20201101T09.parquet")
    at = table["ts"].to_numpy().astype("datetime64[ms]").astype(np.int64) / 1000
    every = np.flatnonzero(np.arange(len(at)) % 5 == 0)

    def side(name: str) -> np.ndarray:
        return np.stack([table[f"{name}_{level}"].to_numpy() for level in range(1, 21)], axis=1)[every]

    prices = np.stack([side("bid_px"), side("ask_px")], axis=1)[None]
    sizes = np.stack([side("bid_sz"), side("ask_sz")], axis=1)[None].astype(np.float32)
    mid = prices[:, :, :, 0].mean(axis=2)
    first = int(at[0] // 60 * 60)
    flat = world(instruments=1, minutes=60)
    samples = replace(flat, open_times=first + 60 * np.arange(60), books=Books(at[every][None], mid, prices, sizes))
    heat, moves, known = seen(samples)
    assert known[5:55].all()
    assert np.isfinite(heat).all()
    assert np.isfinite(moves).all()
    assert np.isfinite(fitted("cnn_lstm_book").predict(samples.pick(known))).all()
