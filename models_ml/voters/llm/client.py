"""One question to one provider: what a client promises. The wire under it is in `wire.py`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from models_ml.voters.llm.prompts import Prompt
from models_ml.votes import AbstainReason

ANSWER_TOKENS = 400
"""The most that a model may write; the object that is asked for takes about a hundred."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where and as whom a provider is asked. `repr` keeps the key to itself."""

    model: str
    key: str
    base_url: str = ""

    def __repr__(self) -> str:
        return f"Account(model={self.model!r}, base_url={self.base_url!r})"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said, with the tokens its provider counts; None where it did not say."""

    text: str
    tokens_in: int | None
    tokens_out: int | None


class NoReply(Exception):
    """The provider gave no answer; `detail` names the error's class or status, never its text."""

    def __init__(self, reason: AbstainReason, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.retry_after_s = reason, detail, retry_after_s


class Client(ABC):
    """Speaks one provider's API. Used on one event loop, asked many times at once."""

    def __init__(self, account: Account) -> None:
        self.account = account

    @abstractmethod
    async def ask(self, prompt: Prompt) -> Reply:
        """One call, no retries; raises `NoReply`. The caller sets the deadline by cancelling it."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""
