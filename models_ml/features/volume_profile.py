"""Volume at price: four hours of complete 5-minute bars sorted into 24 steps between their low and their high."""

import numpy as np
from numpy.typing import NDArray

from markets.values import FloatArray, IntArray
from models_ml.features.levels import BAR_MINUTES, BARS, windows
from models_ml.features.rolling import ratio
from models_ml.features.window import Feature, Window

STEPS = 24
VALUE_AREA = 0.7
"""Share of the volume around its middle that makes the value area."""


def profile(w: Window) -> FloatArray:
    """Share of the volume per step of price (I, B, STEPS); a bar's volume counts at its typical price."""
    return w.shared("volume profile", lambda: _profile(w))


def _step(price: FloatArray, low: FloatArray, high: FloatArray) -> IntArray:
    """Number of the step that a price lies in; a market that stood still fills the lowest."""
    return np.clip(np.nan_to_num((price - low) / (high - low), posinf=0) * STEPS, 0, STEPS - 1).astype(np.int64)


def _ends(w: Window) -> tuple[FloatArray, FloatArray]:
    """Low and high of the four hours."""
    return w.wanted(w.lowest(BARS)), w.wanted(w.highest(BARS))


def _profile(w: Window) -> FloatArray:
    low, high = _ends(w)
    place = _step(windows(w, w.typical), low[..., None], high[..., None])
    volume = windows(w, w.volume)
    rows = volume.shape[0] * volume.shape[1]
    steps = place.reshape(rows, BARS) + STEPS * np.arange(rows)[:, None]
    total = np.bincount(steps.reshape(-1), volume.reshape(-1), rows * STEPS).reshape(*volume.shape[:2], STEPS)
    share: FloatArray = total / total.sum(axis=-1, keepdims=True)
    return share


def point_of_control(w: Window) -> FloatArray:
    """(close − middle of the fullest step) / MTR."""
    low, high = _ends(w)
    level = low + (profile(w).argmax(axis=-1) + 0.5) / STEPS * (high - low)
    return np.where(_known(w), ratio(w.wanted(w.close) - level, w.wanted(w.reach)), np.nan)


def _known(w: Window) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = np.isfinite(profile(w)[..., 0])
    return known


def _own_step(w: Window) -> IntArray:
    return _step(w.wanted(w.close), *_ends(w))


def volume_below(w: Window) -> FloatArray:
    """Share of the volume below the step of the close, half of its own step included, −1..1."""
    whole, step = profile(w), _own_step(w)[..., None]
    below = np.take_along_axis(np.cumsum(whole, axis=-1), step, -1) - np.take_along_axis(whole, step, -1) / 2
    return 2 * below[..., 0] - 1


def node(w: Window) -> FloatArray:
    """Volume in the step of the close over that of an even step, ln(1 + ratio): ln 2 is usual, less is a thin place."""
    own = np.take_along_axis(profile(w), _own_step(w)[..., None], -1)[..., 0]
    return np.log1p(own * STEPS)


def value_place(w: Window) -> FloatArray:
    """Place of the close in the value area: −1 at its lower end, 1 at its upper."""
    filled = np.cumsum(profile(w), axis=-1)
    first = (filled < (1 - VALUE_AREA) / 2).sum(axis=-1)
    last = (filled < (1 + VALUE_AREA) / 2).sum(axis=-1) + 1
    low, high = _ends(w)
    middle, half = low + (first + last) / 2 / STEPS * (high - low), (last - first) / 2 / STEPS * (high - low)
    return np.where(_known(w), ratio(w.wanted(w.close) - middle, half), np.nan)


ON_BARS = (
    Feature(
        "point_of_control_gap_48", "MTR", "volume profile: (close − fullest step) / MTR 14", BARS, point_of_control
    ),
    Feature("volume_below_48", "−1..1", "volume profile: share below the close", BARS, volume_below),
    Feature("volume_node_48", "ln", "volume profile: ln(1 + volume at the close / even)", BARS, node),
    Feature("value_area_place_48", "1 at the ends", "volume profile: place in the middle 70 %", BARS, value_place),
)

FEATURES = tuple(feature.on(BAR_MINUTES, "5m") for feature in ON_BARS)
