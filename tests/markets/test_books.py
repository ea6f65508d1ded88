"""Books and trades: packing loses nothing that matters, loading takes the last of each."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.clock import from_epoch
from markets.books import FlowMinute, load_books, load_flow, pack_books, store_books, store_flow, unpacked
from markets.values import Books, BookTop, Trade
from tests.markets.worlds import START, make_instrument

LEVELS = st.lists(st.tuples(st.integers(1, 400), st.floats(0.5, 1e6, width=32)), min_size=1, max_size=25)


def top(at: float, mid: float = 100.0, depth: int = 20) -> BookTop:
    bids = tuple((mid - 0.01 * (n + 1), 1.0 + n) for n in range(depth))
    asks = tuple((mid + 0.01 * (n + 1), 2.0 + n) for n in range(depth))
    return BookTop("X", at, bids, asks)


@settings(max_examples=100)
@given(LEVELS, LEVELS, st.sampled_from([0.01, 0.5, 1e-5, 0.0]), st.floats(0.05, 59.9))
def test_a_packed_book_comes_back(bids: list[Any], asks: list[Any], tick: float, second: float) -> None:
    step = tick or 0.01
    middle = 1000 * step
    book = BookTop(
        "X",
        START + second,
        tuple((middle - sum(n for n, _ in bids[: k + 1]) * step / 400, s) for k, (_, s) in enumerate(bids)),
        tuple((middle + sum(n for n, _ in asks[: k + 1]) * step / 400, s) for k, (_, s) in enumerate(asks)),
    )
    packed = pack_books(START, [book], tick)
    assert packed is not None
    minute = from_epoch(START), packed.tick_size, packed.offsets_ms, packed.mids, packed.levels, packed.sizes
    found = Books(*(column[None] for column in unpacked([(1, *minute)])[1:]))  # type: ignore[arg-type]  # in their order
    prices, sizes = found.prices(0), found.sizes[0]
    assert found.times[0, 0] == pytest.approx(book.at, abs=0.001)
    assert found.mid[0, 0] == (book.bids[0][0] + book.asks[0][0]) / 2
    for side, levels in enumerate((book.bids, book.asks)):
        shown = min(len(levels), 20)
        assert np.allclose(prices[0, side, :shown], [p for p, _ in levels[:20]], atol=packed.tick_size / 2 + 1e-9)
        assert np.allclose(sizes[0, side, :shown], [s for _, s in levels[:20]])
        assert np.isnan(prices[0, side, shown:]).all()


def test_a_one_sided_book_is_left_out() -> None:
    assert pack_books(START, [BookTop("X", START + 1.0, (), ((1.0, 1.0),))], 0.01) is None


def test_trades_fold_into_their_seconds() -> None:
    flow = FlowMinute(START)
    for at, size, buy in (
        (0.0, 1.0, True),
        (0.9, 2.0, True),
        (59.99, 4.0, False),
        (-0.1, 8.0, True),
        (60.0, 8.0, True),
    ):
        flow.add(Trade("X", START + at, 1.0, size, buy))
    packed = flow.packed()
    bought_s, sold_s = np.frombuffer(packed.buy, "<f4"), np.frombuffer(packed.sell, "<f4")
    count, largest = np.frombuffer(packed.count, "<i4"), np.frombuffer(packed.largest, "<f4")
    assert (bought_s[0], sold_s[59], count[0], largest[0]) == (3.0, 4.0, 2, 2.0)
    assert (bought_s.sum(), sold_s.sum(), count.sum()) == (3.0, 4.0, 3)


@pytest.mark.django_db
def test_the_last_snapshots_at_or_before_the_decision() -> None:
    btc, eth = make_instrument().pk, make_instrument("ETH/USDT").pk
    for minute in range(3):
        packed = pack_books(
            START + 60 * minute, [top(START + 60 * minute + s, 100.0 + minute) for s in range(0, 60, 5)], 0.01
        )
        assert packed is not None
        store_books(START + 60 * minute, {btc: packed})
    found = load_books(np.array([eth, btc]), START + 120, 15)
    assert found is not None
    assert found.times[1].tolist() == [START + 45 + 5 * n for n in range(15)]
    assert found.mid[1, 2] == 100.0
    assert found.mid[1, 3] == 101.0
    assert np.isnan(found.times[0]).all()
    assert load_books(np.array([eth]), START + 120, 15) is None
    assert load_books(np.array([btc]), START + 120, 0) is None


@pytest.mark.django_db
def test_a_price_that_stands_still_reads_the_same_whatever_the_other_side_does() -> None:
    """Else half of what stands in the queue would look as if it had just come."""
    btc, rng, tick = make_instrument().pk, np.random.default_rng(0), 0.1
    asks = [round(61180.2 + tick * gap, 1) for gap in rng.integers(1, 9, 12)]
    tops = [BookTop("X", START + 5.0 * n, ((61180.2, 1.0),), ((ask, 1.0),)) for n, ask in enumerate(asks)]
    packed = pack_books(START, tops, tick)
    assert packed is not None
    store_books(START, {btc: packed})
    found = load_books(np.array([btc]), START + 60, 12)
    assert found is not None
    prices = found.prices(0)[:, :, 0]
    assert len(set(prices[:, 0])) == 1
    assert [len(set(prices[np.array(asks) == ask, 1])) for ask in set(asks)] == [1] * len(set(asks))
    np.testing.assert_allclose(prices[:, 1], asks, rtol=1e-12)
    assert np.array_equal(found.prices((0, -1)), found.prices(0)[-1], equal_nan=True)


@pytest.mark.django_db
def test_a_long_stretch_is_read_in_parts() -> None:
    btc, eth = make_instrument().pk, make_instrument("ETH/USDT").pk
    for minute in range(8):
        packed = pack_books(START + 60 * minute, [top(START + 60 * minute + s) for s in range(0, 60, 5)], 0.01)
        assert packed is not None
        store_books(START + 60 * minute, {btc: packed} if minute % 2 else {btc: packed, eth: packed})
    whole = load_books(np.array([eth, btc]), START + 470, 80)
    parts = load_books(np.array([eth, btc]), START + 470, 80, at_once=4)
    assert whole is not None
    assert parts is not None
    for name in ("times", "mid", "tick", "levels", "sizes"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert np.isfinite(whole.times).sum(axis=1).tolist() == [48, 80]


@pytest.mark.django_db
def test_half_a_minute_does_not_replace_the_fuller_half() -> None:
    btc = make_instrument().pk
    whole = pack_books(START, [top(START + s) for s in range(0, 60, 5)], 0.01)
    half = pack_books(START, [top(START + s, 200.0) for s in range(50, 60, 5)], 0.01)
    assert whole is not None
    assert half is not None
    for packed in (whole, half):
        store_books(START, {btc: packed})
    found = load_books(np.array([btc]), START + 60, 12)
    assert found is not None
    assert (found.mid == 100.0).all()


@pytest.mark.django_db
def test_flow_of_minutes_that_were_not_recorded_is_unknown() -> None:
    btc = make_instrument().pk
    flow = FlowMinute(START + 60)
    flow.add(Trade("X", START + 61.0, 1.0, 5.0, buy=True))
    store_flow(START + 60, {btc: flow.packed()})
    found = load_flow(np.array([btc]), START + 120, 90)
    assert found is not None
    assert found.times.tolist() == list(range(START + 30, START + 120))
    assert np.isnan(found.buy[0, :30]).all()
    assert (found.buy[0, 31], found.largest[0, 31], found.count[0, 31]) == (5.0, 5.0, 1)
    assert found.buy.dtype == np.float32, "a week of fifty instruments is read at once"
    assert load_flow(np.array([btc]), START + 3600, 60) is None
    eth = make_instrument("ETH/USDT").pk
    both = load_flow(np.array([eth, btc]), START + 120, 60)
    assert both is not None
    assert np.isnan(both.buy[0]).all(), "nothing was recorded of it"
    assert both.buy[1, 1] == 5.0
