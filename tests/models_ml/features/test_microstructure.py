"""Books and trades small enough to work out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from markets.values import Books, Perpetuals, TradeFlow
from models_ml.features.microstructure import MICRO_COLUMNS, SIGNED, build_micro, signed_flow

AT = 1_700_000_040


def books() -> Books:
    """Two instruments; the first has two books of two levels, the second has none."""
    times = np.array([[np.nan, AT - 20.0, AT - 5.0], [np.nan] * 3])
    prices = np.full((2, 3, 2, 20), np.nan)
    sizes = np.full((2, 3, 2, 20), np.nan, np.float32)
    prices[0, 1, :, :2] = [[100, 99], [102, 103]]
    sizes[0, 1, :, :2] = [[5, 1], [4, 2]]
    prices[0, 2, :, :2] = [[101, 100], [102, 104]]
    sizes[0, 2, :, :2] = [[6, 2], [2, 6]]
    return Books.of(times, prices[:, :, :, 0].mean(axis=2), prices, sizes, 0.5)


def flow() -> TradeFlow:
    """Five minutes: one bought, one sold a second at first; in the last minute 3 are bought every second second."""
    times = np.arange(AT - 300, AT, dtype=np.int64)
    buy, sell = np.ones((2, 300), np.float32), np.ones((2, 300), np.float32)
    buy[:, 240:], sell[:, 240:] = np.where(np.arange(60) % 2, 3.0, 0.0), 0.0
    count = np.where(buy + sell > 0, 2, 0).astype(np.int32)
    largest = np.where(buy > 0, 2.0, 0.0).astype(np.float32)
    buy[1, 0] = np.nan
    return TradeFlow(times, buy, sell, count, largest)


def values(
    at: int = AT, *, books: Books | None = None, flow: TradeFlow | None = None, perpetuals: Perpetuals | None = None
) -> dict[str, list[float]]:
    """Each column's values of the two instruments."""
    built = build_micro(2, np.array([at]), books, flow, ticks=np.array([0.5, 0.5]), perpetuals=perpetuals)
    return dict(zip(MICRO_COLUMNS, built[:, 0].T.tolist(), strict=True))


EXPECTED_OF_BOOK = {
    "book_spread": 1 / 101.5 * 1e4,
    "book_spread_ticks": 2,
    "book_spread_ratio": np.log(1 / 1.5),
    "book_queue_imbalance": (6 - 2) / 8,
    "book_depth_imbalance_5": 0,
    "book_depth_imbalance_20": 0,
    "book_pressure": ((6 / 1.5 + 2 / 2.5) - (2 / 1.5 + 6 / 3.5)) / ((6 / 1.5 + 2 / 2.5) + (2 / 1.5 + 6 / 3.5)),
    "book_microprice_gap": (101 * 2 + 102 * 6) / 8 - 101.5,
    "book_microprice_gap_5": (100.75 + 103.5) / 2 - 101.5,
    "book_depth_ratio": np.log(16 / 14),
    "book_largest_order": 6 / 8 - 6 / 8,
    # Bid 100 → 101: + 6; ask stays 102: new 2 − old 4 = − 2, which counts for the buyers.
    "book_order_flow_1": (6 + 2) / ((5 + 4 + 6 + 2) / 2 / 2),
    # Second level: bid 99 → 100: + 2; ask 103 → 104: − old 2.
    "book_order_flow_5": (6 + 2 + 2 + 2) / ((12 + 16) / 2 / 2),
    "book_age": 5,
}


@pytest.mark.parametrize("name", EXPECTED_OF_BOOK)
def test_book_by_hand(name: str) -> None:
    found = values(books=books())[name]
    assert found[0] == pytest.approx(EXPECTED_OF_BOOK[name])
    assert np.isnan(found[1])


def test_tape_by_hand() -> None:
    found = {name: row[0] for name, row in values(flow=flow()).items()}
    weight = np.exp(-np.arange(300)[::-1] / 15)
    tape = flow()
    net, whole = (tape.buy - tape.sell)[0], (tape.buy + tape.sell)[0]
    assert found["flow_15"] == pytest.approx((net * weight).sum() / (whole * weight).sum())
    assert found["flow_1"] > 0.99
    assert found["flow_delta"] == pytest.approx(90 / 570)
    assert found["flow_trade_rate"] == pytest.approx(np.log1p(60 / 60 / (540 / 300)))
    assert found["flow_trade_size"] == pytest.approx(np.log1p((90 / 60) / (570 / 540)))
    each = np.array([1.0] * 240 + [1.5] * 30)
    assert found["flow_trade_size_spread"] == pytest.approx(each.std() / each.mean())
    assert found["flow_largest_trade"] == pytest.approx(2 / 90)
    assert found["flow_large_trades"] == 0  # nine seconds of ten have a trade of 2: none stands out
    assert found["flow_large_delta"] == 0
    assert np.isnan(found["book_spread"])


def test_large_trades_are_those_above_the_quantile() -> None:
    tape = flow()
    tape.largest[0, -1], tape.buy[0, -1] = 9.0, 9.0
    found = values(flow=tape)
    assert found["flow_large_trades"][0] == pytest.approx(1 / 60)
    assert found["flow_large_delta"][0] == 1


def test_a_stretch_that_was_not_recorded_is_unknown() -> None:
    found = values(flow=flow())
    assert np.isnan(found["flow_5"][1])
    assert not np.isnan(found["flow_5"][0])
    assert np.isnan(values(at=AT + 60, flow=flow())["flow_5"]).all()


def test_funding_and_open_interest() -> None:
    stamps = np.array([[AT - 4000.0, AT - 10.0, AT + 10.0], [np.nan] * 3])
    interest = np.array([[100.0, 110.0, 500.0], [np.nan] * 3])
    found = values(perpetuals=Perpetuals(stamps, interest, np.array([1e-4, np.nan])))
    assert found["funding_rate"][0] == pytest.approx(1)
    assert found["open_interest_change"][0] == pytest.approx(np.log(1.1))
    assert np.isnan([found["funding_rate"][1], found["open_interest_change"][1]]).all()


def test_later_books_and_trades_change_nothing() -> None:
    early = values(at=AT - 10, books=books())
    full = books()
    cut = replace(full, times=np.where(full.times > AT - 10, np.nan, full.times))
    np.testing.assert_equal(early, values(at=AT - 10, books=cut))
    assert early["book_age"][0] == 10
    tape = flow()
    assert np.isnan(values(at=AT - 30, flow=tape)["flow_1"]).all(), "the record begins too late"
    buy, sell, largest = (np.tile(part, 2) for part in (tape.buy, tape.sell, tape.largest))
    tape = TradeFlow(np.arange(AT - 300, AT + 300), buy, sell, np.tile(tape.count, 2), largest)
    noisy = replace(tape, buy=np.where(tape.times >= AT, 77, buy).astype(np.float32))
    np.testing.assert_equal(values(flow=tape), values(flow=noisy))
    assert not np.isnan(values(flow=tape)["flow_1"][0])


def test_an_old_book_is_unknown() -> None:
    assert np.isnan(values(at=AT + 116, books=books())["book_spread"]).all()
    assert not np.isnan(values(at=AT + 114, books=books())["book_spread"][0])


def test_nothing_depends_on_the_unit_of_size_or_price() -> None:
    one = values(books=books(), flow=flow())
    full, tape = books(), flow()
    other = values(
        books=replace(full, mid=full.mid * 8, tick=full.tick * 8, sizes=full.sizes * 4),
        flow=replace(tape, buy=tape.buy * 4, sell=tape.sell * 4, largest=tape.largest * 4),
    )
    one.pop("book_spread_ticks"), other.pop("book_spread_ticks")
    for name, row in one.items():
        np.testing.assert_allclose(other[name], row, rtol=1e-9, err_msg=name)


def test_without_a_source_all_is_unknown() -> None:
    assert np.isnan(build_micro(3, np.array([AT, AT + 60]), None, None)).all()
    assert build_micro(3, np.array([AT]), None, None).shape == (3, 1, len(MICRO_COLUMNS))


def test_signed_flow_is_the_same_for_each_row_and_turns_with_the_sides() -> None:
    rows, moments = np.array([0, 1, 0]), np.array([AT, AT, AT - 1])
    said = signed_flow(flow(), rows, moments)
    alone = values(flow=flow())
    np.testing.assert_allclose(said[0], [alone[name][0] for name in SIGNED], rtol=1e-6)
    assert not said[1:].any(), "what was not recorded to the second says nothing"
    tape = flow()
    turned = signed_flow(replace(tape, buy=tape.sell, sell=tape.buy), rows[:1], moments[:1])
    np.testing.assert_allclose(turned, -said[:1], rtol=1e-6)
    assert not signed_flow(None, rows, moments).any()
