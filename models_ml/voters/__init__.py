"""The panel of nine: its order and where each voter lives.

Nothing heavy is imported here; `load_voter` imports the one module that a worker asks for.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from lib.errors import CandorError

if TYPE_CHECKING:
    from models_ml.voters.base import Voter

DAY_S = 86_400
STACK = "meta"
"""The key of the stack over the nine: it has a chair, champions and tests as a voter has, and no vote."""
STACK_MAX_AGE = 14 * DAY_S


class UnknownVoter(CandorError):
    """A seat outside the panel of nine."""


@dataclass(frozen=True, slots=True)
class VoterSpec:
    """What the panel must know about a seat before its module is imported.

    `deadline_s` is the longest one batched call may take, `max_age` the seconds of market time after the last candle
    learned from at which the voter falls silent, `lookback` the base candles it reads before a decision, `prompt` the
    template in force of a language model's question.
    """

    key: str
    title: str
    path: str
    lookback: int
    needs_book: bool = False
    llm: bool = False
    prompt: str = ""
    deadline_s: float = 1.0
    max_age: int = 14 * DAY_S


def _seat(key: str, title: str, class_name: str, lookback: int, **options: object) -> VoterSpec:
    return VoterSpec(key, title, f"models_ml.voters.{key}.{class_name}", lookback, **options)  # type: ignore[arg-type]  # options are VoterSpec's own fields


VOTERS: dict[str, VoterSpec] = {
    spec.key: spec
    for spec in (
        _seat("lstm", "LSTM", "LstmVoter", 65),
        _seat("gru", "GRU", "GruVoter", 400),
        _seat("transformer", "Transformer", "TransformerVoter", 1080),
        _seat("xgb", "XGBoost", "XgbVoter", 1),
        _seat("random_forest", "Random Forest", "RandomForestVoter", 1),
        _seat("cnn", "Chart CNN", "ChartVoter", 32),
        _seat("cnn_lstm_book", "Order-book CNN-LSTM", "BookVoter", 1, needs_book=True),
        _seat("gemini", "Gemini", "GeminiVoter", 50, llm=True, prompt="gemini_v1"),
        _seat("grok", "Grok", "GrokVoter", 20, llm=True, prompt="grok_v1"),
    )
}

SEATS: tuple[str, ...] = tuple(VOTERS)
"""The panel order of every stored array of nine. Never reorder: rounds already written are read by position."""

LANGUAGE_SEATS: tuple[str, ...] = tuple(key for key, spec in VOTERS.items() if spec.llm)
LOCAL_SEATS: tuple[str, ...] = tuple(key for key, spec in VOTERS.items() if not spec.llm)
LOOKBACK = max(spec.lookback for spec in VOTERS.values())
"""Base candles that the voters read by themselves; the features have their own look-back."""


def voter_class(key: str) -> "type[Voter]":
    """Import the class of a seat; raises `UnknownVoter` with the choices."""
    if key not in VOTERS:
        raise UnknownVoter(f"unknown voter {key!r}: use one of {', '.join(SEATS)}")
    module, name = VOTERS[key].path.rsplit(".", 1)
    found: type[Voter] = getattr(import_module(module), name)
    return found
