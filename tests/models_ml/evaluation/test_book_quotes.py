"""Quotes are read as recorded, a decision sees nothing after it, an outcome nothing after the session."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models_ml.evaluation.book_quotes import (
    BREAK_S,
    FRAMES,
    REACH_S,
    BadQuotes,
    Session,
    decisions,
    frames_at,
    outcomes,
    read_sessions,
)
from models_ml.features.book_frames import order_flow
from tests.models_ml.evaluation.quotes import START, TICK, session, told, write


def at(*seconds: float) -> np.ndarray:
    return START + np.array(seconds)


HAND = session(
    [
        (0, 10.00, 10.01, 100, 100),
        (2, 10.00, 10.01, 300, 100),
        (3.5, 10.01, 10.02, 100, 100),
        (4, 10.00, 10.01, 100, 100),
        (30, 10.00, 10.01, 100, 200),
    ]
)


@pytest.mark.parametrize(
    ("horizon", "late", "expected"),
    [
        (None, 0.0, [2, 2, 0, -1, -1]),  # up at 3.5, down at 4, then no other mid
        (None, 1.0, [2, 0, -1, -1, -1]),  # entered at 2, 4 (back already), 4.5, 5, 31
        (2.0, 0.0, [1, 1, 0, 1, -1]),
        (2.0, 1.0, [1, 0, 1, 1, -1]),  # entered at 2 and left at 4, when it is back
        (10.0, 0.0, [1, 1, 0, 1, -1]),
        (26.5, 0.0, [1, 1, 0, -1, -1]),  # 4 + 26.5 lies past the last quote
    ],
)
def test_outcomes_by_hand(horizon: float | None, late: float, expected: list[int]) -> None:
    asked = {0.0: at(0, 2, 3.5, 4, 30), 1.0: at(1, 2.5, 3.5, 4, 30)}[late]
    assert outcomes(HAND, asked, horizon, late).tolist() == expected


def test_a_narrower_spread_around_the_same_mid_is_no_change() -> None:
    """0.1 + 0.7 and 0.3 + 0.5 differ in the last bit only."""
    whole = session([(0, 0.1, 0.7, 1, 1), (1, 0.3, 0.5, 1, 1), (2, 0.5, 0.7, 1, 1), (3, 0.5, 0.7, 1, 1)], tick=0.1)
    assert outcomes(whole, at(0), None, 0.0).tolist() == [2]


def test_no_outcome_crosses_a_break(tmp_path: Path) -> None:
    first = told(5)
    second = told(5, start=START + 300 + BREAK_S + 1)
    read = read_sessions(write([first, second], tmp_path / "x.parquet"))
    assert [len(one.times) for one in read] == [300, 300]
    assert outcomes(read[0], at(250, 290), 60.0, 0.0).tolist() == [-1, -1]


def test_a_file_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    whole = told(4)
    (read,) = read_sessions(write([whole], tmp_path / "BAC.parquet"))
    np.testing.assert_allclose(read.times, whole.times)
    np.testing.assert_allclose(read.prices, whole.prices)
    np.testing.assert_allclose(read.sizes, whole.sizes)
    assert read.instrument == "BAC"
    assert read.tick == pytest.approx(TICK)


def test_files_of_another_shape_are_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"ts": [1], "bid": [1.0]}), tmp_path / "odd.parquet")
    with pytest.raises(BadQuotes, match=r"odd\.parquet.*bid_px"):
        read_sessions(tmp_path / "odd.parquet")
    whole = told(1)
    mixed = replace(whole, times=whole.times[::-1].copy())
    with pytest.raises(BadQuotes, match="order of time"):
        read_sessions(write([mixed], tmp_path / "mixed.parquet"))


def test_decisions_lie_on_the_grid_after_the_look_back() -> None:
    asked = decisions(told(3), 5.0)
    assert asked[0] == START + REACH_S
    assert asked[-1] <= START + 180
    assert (np.diff(asked) == 5).all()


def test_frames_are_in_order_and_as_of_their_time() -> None:
    whole, asked = told(4), at(130.0, 171.5)
    frames = frames_at(whole, asked)
    assert frames.ages.shape == (2, FRAMES)
    assert (np.diff(frames.ages, axis=1) <= 0).all()
    assert (frames.ages >= 0).all()
    np.testing.assert_array_equal(frames.prices[0, -1], whole.prices[130])
    np.testing.assert_array_equal(frames.prices[1, -1], whole.prices[171])
    np.testing.assert_array_equal(frames.sizes[0, 0], whole.sizes[10])


def test_flow_between_frames_adds_up() -> None:
    whole = told(4)
    frames = frames_at(whole, at(150.0))
    steps = order_flow(whole.prices[..., 0], whole.sizes[..., 0])
    assert frames.flow.sum() == pytest.approx(steps[31:151].sum())


def test_lean_is_the_mean_imbalance_over_time() -> None:
    whole = session([(0, 10, 10.01, 300, 100), (121, 10, 10.01, 100, 300), (125, 10, 10.01, 100, 100)])
    frames = frames_at(whole, at(124.0))
    gaps = -np.diff(frames.ages, axis=1)
    mean = (frames.lean[:, 1:] * gaps).sum() / gaps.sum()
    assert mean == pytest.approx((0.5 * 117 - 0.5 * 3) / 120)


def test_later_quotes_change_no_frame() -> None:
    whole = told(5)
    after = whole.times > START + 200
    prices, sizes = whole.prices.copy(), whole.sizes.copy()
    prices[after] += 7.0
    sizes[after] *= 9.0
    changed = replace(whole, prices=prices, sizes=sizes)
    asked = at(150.0, 199.3, 200.0)
    for old, new in zip(_arrays(whole, asked), _arrays(changed, asked), strict=True):
        np.testing.assert_array_equal(old, new)


def _arrays(whole: Session, asked: np.ndarray) -> tuple[np.ndarray, ...]:
    frames = frames_at(whole, asked)
    return frames.ages, frames.prices, frames.sizes, frames.lean, frames.flow
