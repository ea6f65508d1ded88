"""The language models that an operator has set up: whom to ask, what it costs, how much is allowed."""

from dataclasses import dataclass

from django.conf import settings

from models_ml.voters import LANGUAGE_SEATS, VOTERS, voter_class
from models_ml.voters.language import LanguageVoter
from models_ml.voters.llm.admission import Limits, Need
from models_ml.voters.llm.client import ANSWER_TOKENS, Account, Client
from models_ml.voters.llm.prompts import Prompt

PREFIXES = {"gemini": "GEMINI", "grok": "XAI"}
"""Seat → what the names of its settings start with."""
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Opener:
    """Makes a seat's client; the provider's library is imported when this is called and not before."""

    seat: str

    def __call__(self, account: Account) -> Client:
        """A client on that account."""
        found = voter_class(self.seat)
        assert issubclass(found, LanguageVoter)  # noqa: S101  # the registry says so
        return found.client(account)


@dataclass(frozen=True, slots=True)
class Provider:
    """One language model; prices are money for a million tokens, both 0 where they are not known."""

    seat: str
    account: Account
    price_in: float = 0.0
    price_out: float = 0.0

    @property
    def opener(self) -> Opener:
        """What makes its client."""
        return Opener(self.seat)

    @property
    def template(self) -> str:
        """Version of its prompt in force."""
        return VOTERS[self.seat].prompt

    @property
    def candles(self) -> int:
        """Candles that its prompt tells."""
        return VOTERS[self.seat].lookback

    def cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """Money for so many tokens; None without prices."""
        if not (self.price_in or self.price_out):
            return None
        return (tokens_in * self.price_in + tokens_out * self.price_out) / MILLION

    def need(self, prompt: Prompt) -> Need:
        """The most that one call can use up: a token for every byte, and the longest answer."""
        return Need(prompt.size + ANSWER_TOKENS, self.cost(prompt.size, ANSWER_TOKENS))


def providers() -> dict[str, Provider]:
    """Seat → provider, for the seats that have a key and a model."""
    named = {seat: _provider(seat, PREFIXES[seat]) for seat in LANGUAGE_SEATS}
    return {seat: found for seat, found in named.items() if found.account.key and found.account.model}


def limits() -> Limits:
    """What may be asked."""
    return Limits(settings.LLM_CALLS_PER_MINUTE, settings.LLM_DAILY_COST_CAP, settings.LLM_DAILY_TOKEN_CAP)


def _provider(seat: str, prefix: str) -> Provider:
    key, model, url, price_in, price_out = (
        getattr(settings, f"{prefix}_{name}") for name in ("API_KEY", "MODEL", "BASE_URL", "PRICE_IN", "PRICE_OUT")
    )
    return Provider(seat, Account(model, key, url), price_in, price_out)
