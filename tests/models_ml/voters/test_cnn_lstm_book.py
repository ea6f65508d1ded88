"""A book counts when it was received in time, whole and fresh."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from markets.values import Books
from models_ml.features.book_frames import CLIP, INKS, PATH, SUMMARIES
from models_ml.samples import Samples
from models_ml.voters.base import CorruptArtifact
from models_ml.voters.cnn_lstm_book import NEWEST_S, BookVoter
from models_ml.votes import AbstainReason
from tests.models_ml.small import TINY, fitted, parts
from tests.models_ml.worlds import COLUMNS, world


def seen(samples: Samples, levels: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    voter = BookVoter(COLUMNS)
    voter.shape = {"window": 24, "levels": levels}
    (heat, path, sums), known = voter.view(samples).read(np.arange(len(samples)))
    return heat, path, sums, known


def one(minute: int = 10) -> Samples:
    return world(instruments=1, minutes=20, with_books=True).pick(np.array([minute]))


def with_books(samples: Samples, **changes: np.ndarray) -> Samples:
    assert samples.books is not None
    return replace(samples, books=replace(samples.books, **changes))


def turned(samples: Samples) -> Samples:
    """Every price the other way round 200, sides exchanged."""
    found = books(samples)
    return with_books(
        samples, mid=400 - found.mid, prices=(400 - found.prices)[:, :, ::-1], sizes=found.sizes[:, :, ::-1]
    )


def books(samples: Samples) -> Books:
    assert samples.books is not None
    return samples.books


def test_a_whole_fresh_book_is_a_heat_map() -> None:
    heat, path, sums, known = seen(one())
    assert known.tolist() == [True]
    assert heat.shape == (1, INKS, 24, 20)
    assert path.shape == (1, 24, len(PATH))
    assert sums.shape == (1, len(SUMMARIES))
    assert np.isfinite(heat).all()
    assert (heat > 0).all()
    assert (np.diff(heat[0, :2], axis=-1) > 0).all()  # deeper levels are farther


def test_no_books_at_all_are_no_book() -> None:
    assert seen(replace(one(), books=None))[3].tolist() == [False]


def test_too_few_snapshots_are_no_book() -> None:
    assert seen(one(minute=1))[3].tolist() == [True]
    assert seen(one(minute=0))[3].tolist() == [False]


def test_a_stale_book_is_no_book() -> None:
    samples = one()
    times, close = books(samples).times, samples.open_times[10] + 60
    assert seen(with_books(samples, times=np.where(times > close - NEWEST_S, np.nan, times)))[3].all()
    assert not seen(with_books(samples, times=np.where(times >= close - NEWEST_S, np.nan, times)))[3].any()


def test_a_window_with_a_long_hole_is_no_book() -> None:
    samples = one(minute=15)
    times = books(samples).times.copy()
    close = samples.open_times[15] + 60
    assert not seen(with_books(samples, times=np.where(times > close - 70, times, times - 3600)))[3].any()


def test_a_snapshot_without_mid_is_no_book() -> None:
    samples = one()
    mid = books(samples).mid.copy()
    mid[0, 11 * 12 - 3] = np.nan
    assert not seen(with_books(samples, mid=mid))[3].any()


def test_an_absent_level_is_zero_not_unknown() -> None:
    samples = one()
    prices, sizes = books(samples).prices.copy(), books(samples).sizes.copy()
    prices[..., 15:], sizes[..., 15:] = np.nan, np.nan
    heat, _, _, known = seen(with_books(samples, prices=prices, sizes=sizes))
    assert known.all()
    assert (heat[..., 15:] == 0).all()
    assert np.abs(heat).max() <= CLIP


def test_sides_change_places_in_the_mirror() -> None:
    samples = one()
    voter = BookVoter(COLUMNS)
    voter.shape = {"window": 24, "levels": 20}
    mirror = voter.view(samples).mirror(voter.view(samples).read(np.array([0]))[0])
    for mine, theirs in zip(mirror, seen(turned(samples))[:3], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_up_of_a_book_is_down_of_its_mirror() -> None:
    voter, later = fitted("cnn_lstm_book"), parts()[2]
    votes, turned_round = voter.predict(later), voter.predict(turned(later))
    np.testing.assert_allclose(votes, turned_round[:, ::-1], atol=1e-5)
    assert np.ptp(votes[:, 2]) > 0


def test_level_one_alone_is_enough() -> None:
    samples = one()
    heat, _, _, known = seen(samples, levels=1)
    assert heat.shape == (1, INKS, 24, 1)
    assert known.all()
    prices, sizes = books(samples).prices.copy(), books(samples).sizes.copy()
    prices[..., 1:], sizes[..., 1:] = np.nan, np.nan
    assert BookVoter(COLUMNS).design(TINY, with_books(samples, prices=prices, sizes=sizes))["levels"] == 1
    assert BookVoter(COLUMNS).design(TINY, samples)["levels"] == 20


def test_the_market_is_the_other_instruments() -> None:
    """What one instrument sums up to is what the only other one is told of the market."""
    samples = world(instruments=2, minutes=20, with_books=True)
    rows = (samples.index[:, 1] == 10).nonzero()[0]
    sums = seen(samples.pick(rows))[2]
    own, market = np.split(sums, 2, axis=1)
    np.testing.assert_array_equal(market, own[::-1])
    alone = seen(samples.pick(rows[:1]))[2]
    np.testing.assert_array_equal(alone[0], sums[0])


def test_later_moves_are_read_from_the_snapshots() -> None:
    samples = world(instruments=1, minutes=20, with_books=True)
    mid = np.full_like(books(samples).mid, 100.0)
    mid[0, 12 * 11 + 1 :] = 101.0  # ten seconds after the close of minute 10
    moved = with_books(samples, mid=mid)
    voter = BookVoter(COLUMNS)
    voter.shape = {"window": 24, "levels": 20}
    voter.markets = np.array([7])
    labels = voter._lesson(moved, np.ones(20, dtype=np.int8)).labels
    assert labels[[9, 10, 11], 1].tolist() == [1, 2, 1]
    assert labels[[9, 10, 11], 2].tolist() == [1, 2, 1]
    assert labels[19].tolist() == [1, -1, -1]  # the recording ends at its close


def test_a_net_of_an_earlier_release_is_refused(tmp_path: Path) -> None:
    fitted("cnn_lstm_book").save(tmp_path)
    meta = json.loads((tmp_path / "voter.json").read_text())
    del meta["shape"]["reads"]
    (tmp_path / "voter.json").write_text(json.dumps(meta))
    with pytest.raises(CorruptArtifact, match="train again"):
        BookVoter.load(tmp_path)


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
    *arrays, known = seen(samples)
    assert known[5:55].all()
    assert all(np.isfinite(part).all() for part in arrays)
    assert np.isfinite(fitted("cnn_lstm_book").predict(samples.pick(known))).all()
