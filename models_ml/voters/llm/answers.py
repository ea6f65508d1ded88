"""Reading what a language model said: a small JSON object of a fixed shape, or nothing."""

import re
import unicodedata
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.errors import CandorError
from models_ml.voters.llm.numbers import invented, told
from models_ml.votes import DOWN, NEUTRAL, UP

ANSWER_LENGTH = 4_000
"""Characters of an answer that are read at all."""
REASON_LENGTH = 400
THRESHOLD = 0.005
"""|p_up − p_down| under this is neutral. The difference is the stated confidence, so only 0 of 100 says nothing."""

_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)


class BadAnswer(CandorError):
    """An answer that is not the JSON object that was asked for. `str()` says what was wrong, without quoting it."""


class InventedNumber(CandorError):
    """An answer whose reason states a number that the snapshot does not hold."""


class Answer(BaseModel):
    """The object a model answers with; its JSON schema goes with the request."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    direction: Literal["UP", "DOWN", "NEUTRAL"]
    confidence: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
    risk: Literal["LOW", "MEDIUM", "HIGH"]
    reason: Annotated[str, Field(min_length=1, max_length=REASON_LENGTH)]

    @property
    def side(self) -> int:
        """1 up, −1 down, 0 neutral."""
        return {"UP": UP, "DOWN": DOWN}.get(self.direction, NEUTRAL)


def schema() -> dict[str, object]:
    """The JSON schema of an answer, as the two APIs take it."""
    return Answer.model_json_schema()


def read_answer(text: str, facts: str) -> Answer:
    """The answer in `text`, whose reason quotes only numbers of `facts` and holds printable signs only.

    Raises:
        BadAnswer: too long, not JSON, or another shape.
        InventedNumber: a number in the reason that was not told.
    """
    if len(text) > ANSWER_LENGTH:
        raise BadAnswer(f"the answer has more than {ANSWER_LENGTH} characters")
    fenced = _FENCE.match(text.strip())
    try:
        answer = Answer.model_validate_json(fenced.group(1) if fenced else text)
    except ValueError as error:  # pydantic's own is one as well
        raise BadAnswer(_complaint(error)) from None
    answer = answer.model_copy(update={"reason": printable(answer.reason)})
    if not answer.reason:
        raise BadAnswer("reason: no readable text")
    if wrong := invented(answer.reason, told(facts)):
        raise InventedNumber(f"the reason states {len(wrong)} numbers that are not in the facts")
    return answer


def probabilities(side: int, confidence: float) -> tuple[float, float, float]:
    """Raw P(down, neutral, up) of a direction (−1, 0, 1) that was stated with 0 to 100.

    Confidence c runs from knowing nothing (0: a third each) to certainty (100: 1 for what was said), in a straight
    line: P(said) = (1 + 2c) / 3, the other two (1 − c) / 3. |p_up − p_down| is then c itself. Stated confidences are
    no probabilities; nothing here makes them one, outcomes do.
    """
    sure = confidence / 100
    rest, said = (1 - sure) / 3, (1 + 2 * sure) / 3
    down, neutral, up = (said if side == column else rest for column in (DOWN, NEUTRAL, UP))
    return down, neutral, up


def _complaint(error: ValueError) -> str:
    """Which field was wrong and how, never what stood there: it is sent back and stored."""
    if not isinstance(error, ValidationError):
        return "not a JSON object"
    known = set(Answer.model_fields)
    faults = error.errors(include_url=False, include_context=False, include_input=False)[:4]
    named = (str(fault["loc"][0]) if fault["loc"] else "answer" for fault in faults)
    return "; ".join(
        f"{name if name in known or name == 'answer' else 'another field'}: {fault['type']}"
        for name, fault in zip(named, faults, strict=True)
    )


def printable(text: str) -> str:
    """Text without control, format (zero-width, bidirectional), surrogate and private signs; spaces collapsed."""
    kept = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in text)
    return " ".join(kept.split())
