"""What a lens is given, and what it may answer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from models_ml.votes import DOWN, NEUTRAL, UP

Figures = Mapping[str, float]
"""Figures by name; what is unknown is not there."""

LONGEST_REASON = 200
"""Characters of a stored reason at most."""

WORDS = {UP: "up", DOWN: "down", NEUTRAL: "neither way"}


@dataclass(frozen=True, slots=True)
class Facts:
    """One instrument at one minute.

    Attributes:
        row: features by column, known ones only.
        text: what is known beyond candles: `headlines` (how many of the last hours), `headline_tone` (their mean,
            −1..1), `fear_greed` (0..100).
    """

    row: Figures
    text: Figures = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sight:
    """A lens's verdict: a direction (1, −1, 0) and one sentence made of the figures it rests on."""

    direction: int
    reason: str


Look = Callable[[Facts], Sight]


def side(value: float, least: float = 0.0) -> int:
    """Sign of `value` where its size is above `least`, else 0."""
    return UP if value > least else DOWN if value < -least else NEUTRAL


def neutral(reason: str) -> Sight:
    """No direction, and why."""
    return Sight(NEUTRAL, reason)


def joined(parts: Iterable[str]) -> str:
    """`a, b and c`."""
    words = list(parts)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def sentence(text: str) -> str:
    """With a capital at its head and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:]}."


def signed(value: float, digits: int = 1) -> str:
    """`+1.2` or `−0.3`, with a real minus sign; a rounded zero has none."""
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"+{text}" if value > 0 else f"−{text}"
