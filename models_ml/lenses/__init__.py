"""Five lenses: plain rules over the features of one minute, each with its own question. They never vote in the nine.

With the two language models they form the second panel ([5 + 2], `models_ml.lenses.second_panel`), shown beside the
nine. Only numpy is loaded, so that pages may name them.
"""

from dataclasses import dataclass
from importlib import import_module

from models_ml.lenses.base import Look


@dataclass(frozen=True, slots=True)
class LensSpec:
    """What pages must know about a lens: its title and the question it answers."""

    key: str
    title: str
    question: str
    path: str


def _lens(key: str, title: str, question: str) -> LensSpec:
    return LensSpec(key, title, question, f"models_ml.lenses.{key}.look")


LENSES: dict[str, LensSpec] = {
    spec.key: spec
    for spec in (
        _lens("logical", "Logical", "What do highs, lows and the levels broken say?"),
        _lens("analytical", "Analytical", "Does this market keep or undo such a distance from its mean?"),
        _lens("sentimental", "Sentimental", "In what mood are headlines and the crowd?"),
        _lens("technical", "Technical", "Where do most indicators point?"),
        _lens("fundamental", "Fundamental", "Where does price itself go, and does volume go with it?"),
    )
}

LENS_KEYS: tuple[str, ...] = tuple(LENSES)
"""The order of every stored array of five. Never reorder: rounds already written are read by position."""


def lens(key: str) -> Look:
    """The function of a lens."""
    module, name = LENSES[key].path.rsplit(".", 1)
    found: Look = getattr(import_module(module), name)
    return found
