"""From the panel's lean to a calibrated probability that says how often it was right."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_ml.validation.bins import WIDTH as BIN_WIDTH
from models_ml.validation.bins import bin_of
from models_ml.validation.metrics import wilson

__all__ = [
    "BIN_WIDTH",
    "MIN_N",
    "Bin",
    "Calibration",
    "Chance",
    "Probability",
    "bin_of",
    "lean_of",
    "stated",
    "stated_by_stack",
]

MIN_N = 100
"""Fewer past cases than this in a bin and no probability is printed."""


@dataclass(frozen=True, slots=True)
class Probability:
    """P(the direction is right; a tie is not), and the past it rests on: n cases of its bin, their 95 % interval.

    `floor` is the stack's own lower bound of `value`; None where the panel's lean alone was calibrated.
    """

    value: float
    low: float
    high: float
    n: int
    source: str  # "validation" or "live"
    floor: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether it rests on enough to be told, and to decide anything."""
        return self.n >= MIN_N

    @property
    def cautious(self) -> float:
        """What tier, "actionable" and size are decided by: the lower bound, 0 while too little is known."""
        if not self.is_known:
            return 0.0
        return self.low if self.floor is None else self.floor


@dataclass(frozen=True, slots=True)
class Chance:
    """What the stack says of one instrument and minute: P(up | moved), its 95 % bounds, and P(tie)."""

    up: float
    low: float
    high: float
    tie: float

    def of(self, direction: int) -> tuple[float, float]:
        """P(the direction is right) and its lower bound; a tie is not right."""
        value, floor = (self.up, self.low) if direction > 0 else (1 - self.up, 1 - self.high)
        return (1 - self.tie) * value, (1 - self.tie) * floor


@dataclass(frozen=True, slots=True)
class Bin:
    """Past cases whose stated probability fell into this bin: how many, and how many came true."""

    n: int
    right: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Isotonic knots from the panel's lean towards its direction to the share that came true (ties did not).

    Fitted on decisions that met the quorum, on a slice later than anything a voter saw.
    """

    lean: tuple[float, ...]
    right: tuple[float, ...]
    validation: dict[int, Bin]  # bin of the stated probability → its past

    @classmethod
    def from_knots(cls, knots: dict[str, Any]) -> "Calibration | None":
        """Read what `models_ml.fitting.calibrate` wrote; None where no decision was there to learn from."""
        if not knots.get("x"):
            return None
        bins: dict[int, Bin] = {}
        for stated_as, n, won in zip(knots["y"], knots["n"], knots["won"], strict=True):
            past = bins.get(bin_of(stated_as), Bin(0, 0))
            bins[bin_of(stated_as)] = Bin(past.n + n, past.right + won)
        return cls(tuple(knots["x"]), tuple(knots["y"]), bins)

    def at(self, lean: float) -> float:
        """Interpolated probability at `lean`, constant beyond the outermost knots."""
        return float(np.interp(lean, self.lean, self.right))


def lean_of(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The panel's lean in [−1, 1]: the mean over voting voters of (p_up − p_down) / (p_up + p_down).

    Args:
        probabilities: (..., seats, 3) raw P(down, neutral, up), NaN rows where a voter abstained.

    Returns:
        (...), NaN where nobody voted.
    """
    down, up = probabilities[..., 0].astype(np.float64), probabilities[..., 2].astype(np.float64)
    total = down + up
    lean = np.where(total > 0, (up - down) / np.where(total > 0, total, 1.0), 0.0)
    voted = np.isfinite(total)
    votes = voted.sum(axis=-1)
    return np.where(votes > 0, np.where(voted, lean, 0.0).sum(axis=-1) / np.maximum(votes, 1), np.nan)


def stated(
    lean: float, direction: int, calibration: Calibration | None, live: dict[int, Bin] | None = None
) -> Probability | None:
    """The probability to state for `direction`, or None where there is no calibration to state one from.

    The interval and n are those of its bin: live outcomes once there are `MIN_N`, before that the later validation
    slice. A bin with fewer cases than that still returns its n, and whoever prints it prints no number (rule U6).
    """
    if calibration is None or direction == 0 or not np.isfinite(lean):
        return None
    return _with_past(calibration.at(lean * direction), None, calibration.validation, live)


def stated_by_stack(
    chance: Chance, direction: int, validation: dict[int, Bin], live: dict[int, Bin] | None = None
) -> Probability | None:
    """The same from the stack: its probability and bound, and the past of the bin that it falls into."""
    if direction == 0 or not np.isfinite([chance.up, chance.low, chance.high, chance.tie]).all():
        return None
    value, floor = chance.of(direction)
    return _with_past(value, floor, validation, live)


def _with_past(
    value: float, floor: float | None, validation: dict[int, Bin], live: dict[int, Bin] | None
) -> Probability:
    number = bin_of(value)
    past, source = (live or {}).get(number, Bin(0, 0)), "live"
    if past.n < MIN_N:
        past, source = validation.get(number, Bin(0, 0)), "validation"
    low, high = wilson(past.right, past.n)
    return Probability(value, low, high, past.n, source, floor)
