"""Files become the samples that live training makes of the same candles, and parts do not meet."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from markets.venues.replay import RecordingError
from models_ml.evaluation.candle_sets import UNSEEN, BadSet, CloseEntry, closing_labels, load_set, moves
from models_ml.features import LOOKBACK, VECTOR, build_vector, dollar_sides
from models_ml.fitting import decision_times
from models_ml.validation.splits import PURGE_S
from tests.models_ml.evaluation.recordings import DAY, MONDAY, walk, write


def test_features_are_those_of_live_training(tmp_path: Path) -> None:
    paths = [write(tmp_path, "BTCUSDT", walk(900, seed=1)), write(tmp_path, "ETHUSDT", walk(900, seed=2))]
    one = load_set(paths, cache=tmp_path / "cache")
    expected = build_vector(one.samples.open_times, one.samples.ohlcv, dollar=dollar_sides(one.symbols))
    np.testing.assert_array_equal(one.samples.features, expected)
    assert one.symbols == ("BTC/USDT", "ETH/USDT")
    assert one.samples.features.shape == (2, 900, len(VECTOR))
    np.testing.assert_array_equal(one.samples.market, [1, 2])
    assert len(one.train) + len(one.test) == 2 * 900 - 2 * PURGE_S // 60


def test_features_are_built_once_and_in_blocks(tmp_path: Path, candor_data: Path) -> None:
    table = pq.read_table(candor_data / "crypto_1m" / "binance_usdm_BTCUSDT_2025.parquet").slice(0, 4 * DAY)
    pq.write_table(table, tmp_path / "test_BTCUSDT.parquet")
    told: list[tuple[str, int, int]] = []
    first = load_set([tmp_path / "test_BTCUSDT.parquet"], cache=tmp_path, say=lambda *step: told.append(step))
    again = load_set([tmp_path / "test_BTCUSDT.parquet"], cache=tmp_path, say=lambda *step: told.append(step))
    assert told == [("features", 4 * DAY, 4 * DAY)]
    np.testing.assert_array_equal(first.samples.features, again.samples.features)
    assert first.digest == again.digest


def test_the_parts_follow_each_other_and_are_purged(tmp_path: Path) -> None:
    one = load_set([write(tmp_path, "BTCUSDT", walk(1_000))], cache=tmp_path, split=0.8)
    times = decision_times(one.samples)
    assert times[one.test].min() == MONDAY + 800 * 60 + 60
    assert times[one.test].min() - times[one.train].max() > PURGE_S
    inner = load_set([write(tmp_path, "BTCUSDT", walk(1_000))], cache=tmp_path, within=0.8)
    assert len(inner.samples.open_times) == 800
    assert decision_times(inner.samples).max() < times[one.test].min()
    assert inner.digest != one.digest


def test_one_axis_with_gaps_as_missing(tmp_path: Path) -> None:
    whole, late = walk(600, seed=1), walk(300, seed=2)
    times = MONDAY + 60 * np.delete(np.arange(600), [100, 101])
    paths = [
        write(tmp_path, "BTCUSDT", np.delete(whole, [100, 101], axis=0), times=times),
        write(tmp_path, "ETHUSDT", late, MONDAY + 300 * 60),
    ]
    one = load_set(paths, cache=tmp_path)
    assert len(one.samples.open_times) == 600
    assert np.isnan(one.samples.ohlcv[0, 100:102]).all()
    assert np.isnan(one.samples.ohlcv[1, :300]).all()
    np.testing.assert_array_equal(one.samples.ohlcv[1, 300:], late)
    rows = one.samples.index[one.samples.index[:, 0] == 0, 1]
    assert set(range(600)) - set(rows.tolist()) == {100, 101}


def test_a_closed_weekend_is_no_gap(tmp_path: Path) -> None:
    friday_evening, sunday_night = 4 * DAY + 21 * 60, 6 * DAY + 22 * 60 + 30  # the week ends and begins at 22:00 UTC
    minutes = np.r_[np.arange(friday_evening, friday_evening + 60), np.arange(sunday_night, sunday_night + 60)]
    one = load_set([write(tmp_path, "EURUSD", walk(120), times=MONDAY + 60 * minutes)], cache=tmp_path)
    closed = np.isnan(one.samples.ohlcv[0, :, 3]).sum()
    assert closed == 30  # from 22:00, when trading was due, to the first candle


def test_no_look_back_crosses_the_join_of_two_recordings(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    old = write(tmp_path / "a", "BTCUSDT_old", walk(3_000, seed=1))
    new = write(tmp_path / "b", "BTCUSDT_new", walk(400, seed=2), MONDAY + 400 * DAY * 60)
    together = load_set([old], [new], cache=tmp_path)
    alone = load_set([new], cache=tmp_path)
    assert len(together.samples.open_times) == 3_000 + LOOKBACK + 400
    np.testing.assert_allclose(
        together.samples.features[0, -400:], alone.samples.features[0], rtol=1e-4, atol=1e-5, equal_nan=True
    )


def test_the_tail_of_the_training_part_warms_the_test_part_up(tmp_path: Path) -> None:
    candles = walk(1_200, seed=1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = write(tmp_path / "a", "BTCUSDT_first", candles[:800])
    second = write(tmp_path / "b", "BTCUSDT_second", candles[800:], MONDAY + 800 * 60)
    one = load_set([first], [second], cache=tmp_path)
    row = one.samples.index[one.test[0], 1]
    assert row == 800
    assert np.isfinite(one.samples.features[0, row, VECTOR.index("deviation_240")])


def test_an_instrument_never_seen_gets_the_neutral_number(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    known = write(tmp_path / "a", "BTCUSDT", walk(400, seed=1))
    both = [
        write(tmp_path / "b", "BTCUSDT_later", walk(300, seed=2), MONDAY + 400 * 60),
        write(tmp_path / "b", "ADAUSDT", walk(300, seed=3), MONDAY + 400 * 60),
    ]
    one = load_set([known], both, cache=tmp_path)
    assert one.symbols == ("BTC/USDT", "ADA/USDT")
    np.testing.assert_array_equal(one.samples.market, [1, UNSEEN])
    assert set(one.samples.index[one.test, 0]) == {0, 1}
    assert set(one.samples.index[one.train, 0]) == {0}


def test_bad_sets_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "BTCUSDT", walk(400))
    other = write(tmp_path, "ETHUSDT", walk(400), MONDAY + 200 * 60)
    (tmp_path / "b").mkdir()
    twin = write(tmp_path / "b", "BTCUSDT_twin", walk(400), MONDAY + 100 * 60)
    with pytest.raises(BadSet, match="--train"):
        load_set([], cache=tmp_path)
    with pytest.raises(BadSet, match="leave it out"):
        load_set([path], [path], cache=tmp_path)
    with pytest.raises(BadSet, match="other instruments know them too"):
        load_set([path], [other], cache=tmp_path)
    with pytest.raises(BadSet, match="same minutes in two files"):
        load_set([path, twin], cache=tmp_path)
    with pytest.raises(BadSet, match="shares"):
        load_set([path], cache=tmp_path, split=1.2)
    with pytest.raises(BadSet, match="--within"):
        load_set([path], [other], cache=tmp_path, within=0.5)
    with pytest.raises(BadSet, match="more candles"):
        load_set([write(tmp_path, "XRPUSDT", walk(3))], cache=tmp_path)
    (tmp_path / "test_BNBUSDT.parquet").write_bytes(b"no table")
    with pytest.raises(RecordingError, match="BNBUSDT"):
        load_set([tmp_path / "test_BNBUSDT.parquet"], cache=tmp_path)


def test_the_entry_decides_the_label(tmp_path: Path) -> None:
    candles = walk(500)
    path = write(tmp_path, "BTCUSDT", candles)
    opened = load_set([path], cache=tmp_path)
    closed = load_set([path], cache=tmp_path, entry="close")
    assert (opened.entry, closed.entry) == ("next_open", "close")
    assert isinstance(closed.samples.pick(closed.test), CloseEntry)
    body, step = candles[1:, 3] - candles[1:, 0], np.diff(candles[:, 3])
    np.testing.assert_array_equal(opened.samples.labels(), np.r_[np.sign(body) + 1, -1])
    np.testing.assert_array_equal(closed.samples.labels(), np.r_[np.sign(step) + 1, -1])
    np.testing.assert_array_equal(closing_labels(opened.samples), closed.samples.labels())
    np.testing.assert_allclose(moves(opened.samples)[:-1], np.log(candles[1:, 3] / candles[1:, 0]))
    np.testing.assert_allclose(moves(closed.samples)[:-1], np.diff(np.log(candles[:, 3])))
    assert np.isnan(moves(opened.samples)[-1])
    assert opened.digest != closed.digest
