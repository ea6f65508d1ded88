"""What a net sees of an order book: its last states in order, scale-free, what they sum up to, and who traded.

A frame is the book as it stood at one moment, with what happened since the frame before. Live they are the stored
snapshots; from a file of quotes they are taken in clock time and in event time. Every channel either changes its sign
or stays as it is when bids and asks change places.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from markets.values import Books, FloatArray, IntArray
from models_ml.features.microstructure import SIGNED

CLIP = 8.0
DECAYS = (1.0, 5.0, 15.0, 60.0)
"""Seconds over which imbalance, flow and moves fade, longest last."""
INKS = 4
"""Bid distance, ask distance (each in units of the window's mean distance), bid size, ask size (likewise, log)."""
ODD = ("imbalance", "lean", "flow", "move", "distance", "micro")
EVEN = ("spread", "depth", "gap", "age")
PATH = (*ODD, *EVEN)
"""Channels of a frame; those of `ODD` turn their sign in the mirror."""
SUMMARY = (
    "imbalance",
    "imbalance_tight",
    "micro",
    *(f"lean_{decay:g}" for decay in DECAYS),
    *(f"flow_{decay:g}" for decay in DECAYS),
    *(f"move_{decay:g}" for decay in DECAYS),
)
"""What the frames sum up to; all of it turns its sign in the mirror."""
SUMMARIES = (*SUMMARY, *(f"market_{name}" for name in SUMMARY))
"""The instrument's own sums, then the mean of the other instruments' sums at the same moment."""
TRADES = (*SIGNED, *(f"market_{name}" for name in SIGNED))
"""The same of the signed trade flow, where trades are recorded; a net may read them after `SUMMARIES`."""

Tensors = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Heat (n, 4, K, L), path (n, K, len(PATH)), sums (n, S): `SUMMARY`, or `SUMMARIES`, or `TRADES` after them."""


@dataclass(frozen=True, slots=True)
class Frames:
    """K states of the book before each of n decisions, oldest first, L levels a side."""

    ages: FloatArray  # (n, K) seconds before the decision
    prices: FloatArray  # (n, K, 2, L), bids first, NaN where a level is absent
    sizes: FloatArray  # (n, K, 2, L), 0 where a level is absent
    lean: FloatArray  # (n, K) mean queue imbalance over the time since the frame before
    flow: FloatArray  # (n, K) order-flow imbalance since the frame before, in units of size
    tick: FloatArray  # (n,) smallest step of the price

    @property
    def mid(self) -> FloatArray:
        """Middle of the best prices (n, K)."""
        middle: FloatArray = self.prices[..., 0].mean(axis=-1)
        return middle

    @property
    def imbalance(self) -> FloatArray:
        """Queue imbalance of the best level (n, K)."""
        return queue_imbalance(self.sizes[:, :, 0, 0], self.sizes[:, :, 1, 0])


def queue_imbalance(bid: FloatArray, ask: FloatArray) -> FloatArray:
    """(bid − ask size) / both; 0 where nothing stands."""
    return _over(bid - ask, bid + ask)


def order_flow(prices: FloatArray, sizes: FloatArray) -> FloatArray:
    """Order-flow imbalance (Cont, Kukanov, Stoikov 2014) of each state (..., K) since the one before, 0 at first.

    `prices` and `sizes` (..., K, 2) are those of the best bid and ask. A side's flow is what was added at a price at
    least as good, less what stood there at a price no better.
    """
    sign = np.array([1.0, -1.0])  # a higher bid and a lower ask are better
    step = sign * np.diff(prices, axis=-2)
    flow = sizes[..., 1:, :] * (step >= 0) - sizes[..., :-1, :] * (step <= 0)
    out = np.zeros(prices.shape[:-1])
    out[..., 1:] = flow[..., 0] - flow[..., 1]
    return out


def snapshot_frames(books: Books, instruments: IntArray, picked: IntArray, decided: IntArray, levels: int) -> Frames:
    """The frames of stored snapshots: instruments (n, 1), snapshot numbers (n, K), decisions (n,) in epoch seconds."""
    prices = books.prices((instruments, picked))[..., :levels]
    sizes = np.nan_to_num(books.sizes[instruments, picked][..., :levels].astype(np.float64))
    ages = decided[:, None] - books.times[instruments, picked]
    imbalance = queue_imbalance(sizes[:, :, 0, 0], sizes[:, :, 1, 0])
    before = np.concatenate([imbalance[:, :1], imbalance[:, :-1]], axis=1)
    flow = order_flow(prices[..., 0], sizes[..., 0])
    return Frames(ages, prices, sizes, (imbalance + before) / 2, flow, smallest_step(prices))


def smallest_step(prices: FloatArray) -> FloatArray:
    """The smallest distance of neighbouring prices in each window (n,): its tick, as far as the window shows it."""
    bids, asks = prices[:, :, 0], prices[:, :, 1]
    spread = np.abs(asks[..., :1] - bids[..., :1])
    steps = np.concatenate([spread, np.abs(np.diff(bids)), np.abs(np.diff(asks))], axis=-1).reshape(len(prices), -1)
    floor = np.abs(np.nan_to_num(prices[:, -1:, 0, 0])) * 1e-9  # rounding is no step
    smallest: FloatArray = np.where(steps > floor, steps, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(smallest), smallest, 1.0)


@dataclass(frozen=True, slots=True)
class _Scaled:
    """The steps of a window in units of its own depth and speed, each (n, K)."""

    depth: FloatArray  # (n, 1) mean size of the best level
    speed: FloatArray  # (n, 1) ticks per square root of a second
    moves: FloatArray  # of the mid since the frame before, ticks
    flow: FloatArray  # since the frame before, in units of depth


def _scaled(frames: Frames) -> _Scaled:
    depth = frames.sizes[..., 0].mean(axis=(1, 2))[:, None]
    moves = np.diff(frames.mid, axis=1, prepend=frames.mid[:, :1]) / frames.tick[:, None]
    span = frames.ages[:, :1] - frames.ages[:, -1:]
    speed = np.sqrt(_over((moves**2).sum(axis=1, keepdims=True), span)) + SLOWEST
    return _Scaled(depth, speed, moves, _over(frames.flow, depth))


SLOWEST = 0.05
"""Ticks per square root of a second added to the speed of a mid that hardly moves."""


def tensors(frames: Frames) -> Tensors:
    """The arrays a net reads of the instrument itself."""
    scaled = _scaled(frames)
    return _heat(frames), _path(frames, scaled), _summary(frames, scaled)


def summary(frames: Frames) -> NDArray[np.float32]:
    """The last of `tensors` alone (n, len(SUMMARY))."""
    return _summary(frames, _scaled(frames))


def others(sums: NDArray[np.float32], moments: FloatArray | IntArray) -> NDArray[np.float32]:
    """The mean of the other rows of each row's moment (N, S), 0 where there is none.

    Given one row an instrument and moment (N, S), that is what the rest of the market does at that time.
    """
    _, place = np.unique(moments, return_inverse=True)
    count = np.bincount(place)[place] - 1
    whole = np.stack([np.bincount(place, column) for column in sums.T], axis=1)[place]
    return np.asarray((whole - sums) / np.maximum(count, 1)[:, None] * (count > 0)[:, None], dtype=np.float32)


def mirrored(parts: Tensors) -> Tensors:
    """The same frames had bids and asks changed places."""
    heat, path, sums = parts
    sign = np.array([-1.0] * len(ODD) + [1.0] * len(EVEN), dtype=np.float32)
    return heat[:, [1, 0, 3, 2]], path * sign, -sums


def _path(frames: Frames, scaled: _Scaled) -> NDArray[np.float32]:
    spread = np.maximum(frames.prices[:, :, 1, 0] - frames.prices[:, :, 0, 0], 0) / frames.tick[:, None]
    distance = (frames.mid - frames.mid[:, -1:]) / frames.tick[:, None]
    channels = (
        frames.imbalance,
        frames.lean,
        _squashed(scaled.flow),
        _squashed(scaled.moves),
        _squashed(distance / scaled.speed),
        _squashed(frames.imbalance * spread / 2),
        np.log1p(spread),
        np.log1p(_over(frames.sizes[..., 0].sum(axis=2), 2 * scaled.depth)),
        np.log1p(-np.diff(frames.ages, axis=1, prepend=frames.ages[:, :1])),
        np.log1p(np.maximum(frames.ages, 0)),
    )
    return _finite(np.stack(channels, axis=-1))


def _summary(frames: Frames, scaled: _Scaled) -> NDArray[np.float32]:
    spread = np.maximum(frames.prices[:, -1, 1, 0] - frames.prices[:, -1, 0, 0], 0) / frames.tick
    now = frames.imbalance[:, -1]
    values = [now, now / (1 + np.maximum(spread - 1, 0)), _squashed(now * spread / 2)]
    ages = np.maximum(frames.ages, 0)
    fading = [np.exp(-ages / decay) for decay in DECAYS]
    older = [np.concatenate([fade[:, :1], fade[:, :-1]], axis=1) for fade in fading]
    values += [
        _over((frames.lean * (fade - old)).sum(axis=1), (fade - old).sum(axis=1))
        for fade, old in zip(fading, older, strict=True)
    ]
    for steps in (scaled.flow, scaled.moves / scaled.speed):
        values += [
            _squashed((steps * fade).sum(axis=1) / np.sqrt(decay)) for fade, decay in zip(fading, DECAYS, strict=True)
        ]
    return _finite(np.stack(values, axis=-1))


def _heat(frames: Frames) -> NDArray[np.float32]:
    distance = np.nan_to_num(np.abs(frames.prices - frames.mid[..., None, None]))  # (n, K, 2, L)
    parts = (_relative(distance), np.log1p(_relative(frames.sizes)))
    return _finite(np.concatenate(parts, axis=2).transpose(0, 2, 1, 3))


def _relative(values: FloatArray) -> FloatArray:
    """In units of the window's own mean."""
    return _over(values, values.mean(axis=(1, 2, 3), keepdims=True))


def _squashed(values: FloatArray) -> FloatArray:
    """sign(x) · ln(1 + |x|): far tails weigh little."""
    return np.sign(values) * np.log1p(np.abs(values))


def _over(values: FloatArray, unit: FloatArray) -> FloatArray:
    out: FloatArray = np.zeros(np.broadcast_shapes(values.shape, unit.shape))
    np.divide(values, unit, out=out, where=unit > 0)
    return out


def _finite(values: FloatArray) -> NDArray[np.float32]:
    return np.clip(np.nan_to_num(values, posinf=CLIP, neginf=-CLIP), -CLIP, CLIP).astype(np.float32)
