"""Two instruments that both providers are asked about, and the wall clock to move."""

from datetime import UTC, datetime, timedelta

import time_machine

from lib import clock
from markets.models import Instrument
from models_ml import asking
from models_ml.asking import Asking
from models_ml.panel import LanguageVotes
from models_ml.votes import AbstainReason
from tests.models_ml.llm.minutes import minute

SEATS = ("gemini", "grok")
DEADLINE_S = 5.0
CLOSE = clock.epoch(datetime(2026, 3, 2, 9, 30, tzinfo=UTC))


def about(instruments: list[Instrument], seed: int = 0) -> list[Asking]:
    return [Asking(one.pk, CLOSE, minute(seed + place, symbol=one.symbol)) for place, one in enumerate(instruments)]


def ask(what: list[Asking], deadline_s: float = DEADLINE_S) -> dict[str, LanguageVotes]:
    return asking.ask(what, deadline_s=deadline_s).votes()


def later(seconds: float) -> time_machine.travel:
    """The wall clock, moved."""
    return time_machine.travel(clock.wall_now() + timedelta(seconds=seconds))


def words(votes: LanguageVotes) -> list[str]:
    return [AbstainReason(why).word if why else "vote" for why in votes.abstained]
