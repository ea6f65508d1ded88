"""A book counts when it was received in time, whole and fresh."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from markets.values import ABSENT_LEVEL, Books
from models_ml.features.book_frames import CLIP, INKS, PATH, SUMMARIES
from models_ml.features.microstructure import SIGNED
from models_ml.fitting import decision_times, fit_panel
from models_ml.samples import Samples
from models_ml.validation.metrics import evaluate
from models_ml.voters.base import CorruptArtifact
from models_ml.voters.cnn_lstm_book import NEWEST_S, SUMS, BookVoter
from models_ml.votes import AbstainReason
from tests.models_ml.small import TINY, fitted, majority, parts
from tests.models_ml.worlds import COLUMNS, candle_walk, flow_walk, world


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
    return with_books(samples, mid=400 - found.mid, levels=-found.levels[:, :, ::-1], sizes=found.sizes[:, :, ::-1])


def books(samples: Samples) -> Books:
    assert samples.books is not None
    return samples.books


def test_a_whole_fresh_book_is_a_heat_map() -> None:
    heat, path, sums, known = seen(one())
    assert known.tolist() == [True]
    assert heat.shape == (1, INKS, 24, 20)
    assert path.shape == (1, 24, len(PATH))
    assert sums.shape == (1, len(SUMS))
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
    levels, sizes = books(samples).levels.copy(), books(samples).sizes.copy()
    levels[..., 15:], sizes[..., 15:] = ABSENT_LEVEL, np.nan
    heat, _, _, known = seen(with_books(samples, levels=levels, sizes=sizes))
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
    levels, sizes = books(samples).levels.copy(), books(samples).sizes.copy()
    levels[..., 1:], sizes[..., 1:] = ABSENT_LEVEL, np.nan
    assert BookVoter(COLUMNS).design(TINY, with_books(samples, levels=levels, sizes=sizes))["levels"] == 1
    assert BookVoter(COLUMNS).design(TINY, samples)["levels"] == 20


def test_the_market_is_the_other_instruments() -> None:
    """What one instrument sums up to is what the only other one is told of the market."""
    samples = world(instruments=2, minutes=20, with_books=True)
    rows = (samples.index[:, 1] == 10).nonzero()[0]
    sums = seen(samples.pick(rows))[2]
    own, market = np.split(sums[:, : len(SUMMARIES)], 2, axis=1)
    np.testing.assert_array_equal(market, own[::-1])
    alone = seen(samples.pick(rows[:1]))[2]
    np.testing.assert_array_equal(alone[0], sums[0])


@pytest.fixture(scope="module")
def hurried() -> Samples:
    """A market whose next minute follows whoever traded in a hurry in the last one."""
    rng = np.random.default_rng(5)
    samples = world(instruments=2, minutes=1200, with_books=True)
    hurry = rng.normal(size=(2, 1200))
    drift = np.zeros((2, 1200))
    drift[:, 1:] = 5e-4 * hurry[:, :-1]
    flow = flow_walk(rng, samples.open_times, 1 / (1 + np.exp(-hurry)))
    return replace(samples, ohlcv=candle_walk(rng, 2, 1200, drift), flow=flow)


@pytest.mark.parametrize("heard", [True, False])
def test_it_learns_who_was_in_a_hurry(hurried: Samples, heard: bool) -> None:
    samples = hurried if heard else replace(hurried, flow=None)
    minute = samples.index[:, 1]
    voter = BookVoter(COLUMNS)
    voter.fit(samples.pick(minute < 800), samples.pick((minute >= 805) & (minute < 1000)), TINY)
    later = samples.pick(minute >= 1005)
    auc = evaluate(voter.predict(later), later.labels(), decision_times(later))["auc"]
    assert auc is not None
    assert (auc > 0.6) == heard


def test_trades_after_the_decision_change_nothing(hurried: Samples) -> None:
    row = hurried.pick(hurried.index[:, 1] == 600)
    close = row.open_times[600] + 60
    tape = row.flow
    assert tape is not None
    noisy = replace(tape, buy=np.where(tape.times >= close, 99, tape.buy).astype(np.float32))
    np.testing.assert_array_equal(seen(row)[2], seen(replace(row, flow=noisy))[2])
    earlier = replace(tape, buy=np.where(tape.times == close - 1, 99, tape.buy).astype(np.float32))
    assert (seen(row)[2] != seen(replace(row, flow=earlier))[2]).any()


def test_what_is_not_recorded_of_trades_says_nothing(hurried: Samples) -> None:
    row = hurried.pick(hurried.index[:, 1] == 600)
    tape = row.flow
    assert tape is not None
    holed = tape.buy.copy()
    holed[0, 600 * 60] = np.nan
    sums, traded = seen(replace(row, flow=replace(tape, buy=holed)))[2], len(SUMMARIES)
    assert not sums[0, traded : traded + len(SIGNED)].any()
    assert sums[1, traded : traded + len(SIGNED)].all()
    assert not sums[1, traded + len(SIGNED) :].any(), "nobody else is known"
    assert not seen(replace(row, flow=None))[2][:, traded:].any()


def test_books_that_begin_later_are_learned_from_their_first_day_on() -> None:
    """Candles go back months and books days: a panel's first 60 % would have no book at all."""
    samples = world(instruments=2, minutes=3000, strength=0.5, with_books=True)
    first = samples.open_times[1800]
    late = with_books(samples, times=np.where(books(samples).times > first, books(samples).times, np.nan))
    fit = fit_panel(late, TINY, columns=COLUMNS, score=majority, seats=("xgb", "cnn_lstm_book"))
    book, whole = fit.voters["cnn_lstm_book"], fit.voters["xgb"]
    assert book.report.rows > 700, "of the 800 that a tiny profile draws, those with a whole window"
    assert first + 0.75 * 1200 * 60 < book.unseen_from < first + 0.85 * 1200 * 60
    assert whole.unseen_from < book.unseen_from
    assert book.later["n"] == pytest.approx(2 * 240, abs=10)
    assert fit.slices["calibration"][0] == whole.unseen_from, "the consensus is calibrated on the panel's own slice"


def test_books_of_a_handful_of_minutes_are_too_few() -> None:
    samples = world(instruments=1, minutes=600, with_books=True)
    late = with_books(
        samples, times=np.where(books(samples).times > samples.open_times[598], books(samples).times, np.nan)
    )
    fit = fit_panel(late, TINY, columns=COLUMNS, score=majority, seats=("xgb", "cnn_lstm_book"))
    assert "recorded too late" in fit.untrained["cnn_lstm_book"]


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
    samples = replace(
        flat, open_times=first + 60 * np.arange(60), books=Books.of(at[every][None], mid, prices, sizes, 1e-6)
    )
    *arrays, known = seen(samples)
    assert known[5:55].all()
    assert all(np.isfinite(part).all() for part in arrays)
    assert np.isfinite(fitted("cnn_lstm_book").predict(samples.pick(known))).all()
