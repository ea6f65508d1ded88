"""Channels by hand, and the mirror: bids and asks are interchangeable."""

import numpy as np
import pytest

from models_ml.features.book_frames import (
    DECAYS,
    PATH,
    SUMMARIES,
    SUMMARY,
    Frames,
    mirrored,
    order_flow,
    others,
    queue_imbalance,
    smallest_step,
    summary,
    tensors,
)

Side = tuple[tuple[int, int], tuple[int, int]]
"""Best prices, their sizes."""


def frames(rows: int = 3, count: int = 6, levels: int = 2, seed: int = 0) -> Frames:
    rng = np.random.default_rng(seed)
    mid = 100 + 0.01 * rng.integers(-3, 4, (rows, count)).cumsum(axis=1)
    step = 0.01 * (1 + np.arange(levels)) - 0.005
    prices = np.stack([mid[..., None] - step, mid[..., None] + step], axis=2)
    sizes = rng.integers(100, 900, (rows, count, 2, levels)).astype(np.float64)
    ages = np.broadcast_to(np.arange(count)[::-1] * 2.0, (rows, count)).copy()
    lean = queue_imbalance(sizes[:, :, 0, 0], sizes[:, :, 1, 0])
    return Frames(ages, prices, sizes, lean, order_flow(prices[..., 0], sizes[..., 0]), np.full(rows, 0.01))


def turned(one: Frames) -> Frames:
    """Every price the other way round 100, sides exchanged."""
    prices, sizes = (200 - one.prices)[:, :, ::-1], one.sizes[:, :, ::-1]
    return Frames(one.ages, prices, sizes, -one.lean, -one.flow, one.tick)


@pytest.mark.parametrize(
    ("before", "after", "flow"),
    [
        (((10, 11), (5, 5)), ((10, 11), (8, 5)), 3.0),  # three more bid
        (((10, 11), (5, 5)), ((10, 11), (5, 9)), -4.0),  # four more offered
        (((10, 12), (5, 5)), ((11, 12), (2, 5)), 2.0),  # a better bid of two
        (((10, 11), (5, 5)), ((9, 11), (7, 5)), -5.0),  # the bid of five is gone
        (((10, 11), (5, 5)), ((10, 12), (5, 6)), 5.0),  # the offer of five is gone
    ],
)
def test_order_flow_by_hand(before: Side, after: Side, flow: float) -> None:
    prices, sizes = (np.array([before[part], after[part]], dtype=np.float64) for part in (0, 1))
    assert order_flow(prices, sizes).tolist() == [0.0, flow]


def test_the_last_imbalance_and_the_spread_are_in_their_places() -> None:
    one = frames()
    _, path, sums = tensors(one)
    bid, ask = one.sizes[:, -1, 0, 0], one.sizes[:, -1, 1, 0]
    np.testing.assert_allclose(sums[:, SUMMARY.index("imbalance")], (bid - ask) / (bid + ask), rtol=1e-6)
    np.testing.assert_allclose(path[:, :, PATH.index("spread")], np.log(2), rtol=1e-5)
    np.testing.assert_array_equal(summary(one), sums)


def test_lean_fades_with_its_age() -> None:
    one = frames(rows=1, count=3)
    lean = np.array([[0.0, 1.0, 0.0]])
    faded = tensors(Frames(one.ages, one.prices, one.sizes, lean, one.flow, one.tick))[2]
    for decay in DECAYS:
        weight = np.exp(-2 / decay) - np.exp(-4 / decay)
        assert faded[0, SUMMARY.index(f"lean_{decay:g}")] == pytest.approx(weight / (1 - np.exp(-4 / decay)), rel=1e-5)


def test_the_mirror_of_the_arrays_is_the_arrays_of_the_mirror() -> None:
    one = frames()
    for mine, theirs in zip(mirrored(tensors(one)), tensors(turned(one)), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_no_scale_is_left() -> None:
    """Sizes in other units, prices with another tick: the same arrays."""
    one = frames()
    large = Frames(one.ages, one.prices * 50, one.sizes * 1000, one.lean, one.flow * 1000, one.tick * 50)
    for mine, theirs in zip(tensors(one), tensors(large), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_absent_levels_and_an_empty_side_are_finite() -> None:
    one = frames()
    one.prices[:, :, :, 1] = np.nan
    one.sizes[:, :, :, 1] = 0
    one.sizes[0] = 0
    assert all(np.isfinite(part).all() for part in tensors(one))


def test_the_smallest_step_is_the_tick() -> None:
    one = frames()
    np.testing.assert_allclose(smallest_step(one.prices), 0.01, rtol=1e-9)
    flat = np.full((1, 2, 2, 1), 5.0)
    assert smallest_step(flat).tolist() == [1.0]


def test_others_are_the_mean_without_oneself() -> None:
    sums = np.array([[1.0, 10.0], [3.0, 20.0], [5.0, 60.0], [7.0, 7.0]], dtype=np.float32)
    out = others(sums, np.array([60, 60, 60, 120]))
    np.testing.assert_allclose(out, [[4.0, 40.0], [3.0, 35.0], [2.0, 15.0], [0.0, 0.0]], rtol=1e-6)
    assert len(SUMMARIES) == 2 * len(SUMMARY)
