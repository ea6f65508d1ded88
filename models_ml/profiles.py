"""Sizes of the panel: how big each voter is and how long it learns.

`standard` has the sizes the product promises, `quick` trains the whole panel in about three minutes on a busy core,
`full` keeps the sizes of `standard` and learns from everything, longer: it belongs on a GPU. On a CPU a net of these
sizes takes minutes for a few ten thousand windows, so `standard` shows the nets a sample of them, twice; what a line
can learn they know from the start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lib.errors import CandorError


class UnknownProfile(CandorError):
    """A profile name outside `PROFILES`."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Sizes of all voters; `window` counts base candles, `width` counts units."""

    name: str
    history_days: int = 90
    history_rows: int = 500_000  # minutes of all instruments whose features are built, all slices together
    # rows and loop of the nets
    max_rows: int = 60_000
    line_rows: int = 250_000  # for the linear part of a net
    epochs: int = 2
    patience: int = 2
    batch: int = 256
    learning_rate: float = 1e-3
    min_rows: int = 500
    judge_rows: int = 60_000  # of the validation and of the calibration slice, for thresholds, figures and calibration
    # trees
    tree_rows: int = 2_000_000
    xgb_trees: int = 500
    xgb_depth: int = 8
    xgb_rate: float = 0.03
    forest_trees: int = 200
    forest_depth: int = 12
    forest_leaf: int = 200
    forest_rows: int = 40_000  # a tree
    # nets
    lstm_layers: int = 3
    lstm_width: int = 256
    lstm_window: int = 32
    gru_layers: int = 2
    gru_width: int = 128
    gru_window: int = 30
    transformer_width: int = 64
    transformer_layers: int = 2
    cnn_channels: tuple[int, ...] = (16, 32, 64, 128)
    book_channels: int = 16
    book_width: int = 32
    book_window: int = 24
    book_hours: float = 24.0  # instrument-hours with a book before the book voter is trained at all
    # agents
    sizing_steps: int = 40_000  # decisions, with repeats, that the learned sizing is shown
    tuned: Mapping[str, Any] = field(default_factory=dict)  # sizes that tuning replaced, by name


STANDARD = Profile("standard")

QUICK = replace(
    STANDARD,
    name="quick",
    history_days=4,
    history_rows=60_000,
    max_rows=10_000,
    line_rows=30_000,
    epochs=4,
    patience=1,
    batch=256,
    learning_rate=2e-3,
    min_rows=300,
    judge_rows=10_000,
    tree_rows=30_000,
    xgb_trees=120,
    xgb_depth=5,
    xgb_rate=0.05,
    forest_trees=60,
    forest_depth=8,
    forest_leaf=100,
    forest_rows=15_000,
    lstm_layers=1,
    lstm_width=48,
    gru_layers=1,
    gru_width=32,
    transformer_width=32,
    transformer_layers=1,
    cnn_channels=(8, 16, 32),
    book_channels=8,
    book_width=16,
    book_hours=4.0,
    sizing_steps=10_000,
)

FULL = replace(
    STANDARD,
    name="full",
    history_days=365,
    history_rows=10_000_000,
    max_rows=10_000_000,
    line_rows=1_000_000,
    tree_rows=10_000_000,
    judge_rows=200_000,
    epochs=40,
    patience=5,
    batch=2048,
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (QUICK, STANDARD, FULL)}


def tuned_profile(profile: Profile, tuned: Mapping[str, Any]) -> Profile:
    """The profile with sizes that tuning found; names that no longer exist are passed over."""
    known = {name: value for name, value in tuned.items() if name in TUNABLE}
    return replace(profile, **known, tuned=known) if known else profile


TUNABLE = frozenset(
    {"xgb_trees", "xgb_depth", "xgb_rate", "forest_depth", "forest_leaf", "learning_rate", "batch", "epochs"}
)
"""Sizes that tuning may choose."""


def profile_of(name: str) -> Profile:
    """The profile called `name`; raises `UnknownProfile` with the choices."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UnknownProfile(f"unknown profile {name!r}: use one of {', '.join(PROFILES)}") from None
