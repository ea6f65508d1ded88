"""Calls to language models on the record: each is reserved before it is made, in one place for all workers.

One short transaction under one lock looks up what is known already, counts what was used up, and writes down what may
be asked. So two workers never put the same question, and together stay inside the limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from lib import clock
from models_ml.models import LlmAnswer, LlmCall
from models_ml.voters.llm.admission import BREAK_AFTER, FAILURES, WINDOW_S, Limits, Need, Standing, admit
from models_ml.votes import AbstainReason

_LOCK = 0x4C4C4D  # "LLM"
OUT_FOR = timedelta(seconds=60)
"""A call without an answer after this long lost its process."""

_DAY = """
SELECT coalesce(sum(coalesce(a.tokens, c.most_tokens)), 0),
       coalesce(sum(CASE WHEN a.call_id IS NULL THEN c.most_cost ELSE a.cost END), 0)
FROM models_ml_llmcall c LEFT JOIN models_ml_llmanswer a ON a.call_id = c.id WHERE c.asked_at >= %s
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """One question that somebody would like to put."""

    provider: str
    model: str
    instrument_id: int
    close_time: int
    template: str
    prompt_hash: str
    need: Need
    attempt: int = 1

    @property
    def key(self) -> "Key":
        """What is asked at most once."""
        return self.provider, self.model, self.prompt_hash, self.attempt


Key = tuple[str, str, str, int]
"""Provider, model, prompt hash, attempt."""


@dataclass(frozen=True, slots=True)
class Out:
    """Somebody else asked this already and waits for the answer, or never came back."""

    call: LlmCall

    @property
    def alive(self) -> bool:
        """Whether an answer may still come."""
        return clock.wall_now() - self.call.asked_at < OUT_FOR


Place = LlmCall | LlmAnswer | Out | AbstainReason
"""A call of one's own, to be made now; the answer on record; somebody else's call that is out; or why not to ask."""


def reserve(wishes: Sequence[Wish], limits: Limits) -> list[Place]:
    """For each wish its place, in order. Every `LlmCall` among them is written and is the caller's to make."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        places = _known(wishes)
        new = [wish for wish in wishes if wish.key not in places]
        tokens, cost = used() if new else (0, 0.0)
        for provider in dict.fromkeys(wish.provider for wish in new):
            standing = standing_of(provider, tokens, cost)
            made = _admitted([wish for wish in new if wish.provider == provider], standing, limits)
            tokens += sum(call.most_tokens for call in made.values() if isinstance(call, LlmCall))
            cost += sum(call.most_cost or 0.0 for call in made.values() if isinstance(call, LlmCall))
            places |= made
    return [places[wish.key] for wish in wishes]


def answered(calls: Sequence[LlmCall]) -> dict[int, LlmAnswer]:
    """The answers of those of `calls` that have one by now, by call."""
    return LlmAnswer.objects.in_bulk([call.pk for call in calls])


def recorded(keys: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], LlmAnswer]:
    """The last attempt's answer of each (provider, model, prompt hash) that was ever answered."""
    rows = LlmAnswer.objects.filter(call__prompt_hash__in={key[2] for key in keys}).select_related("call")
    found = {(row.call.provider, row.call.model, row.call.prompt_hash): row for row in rows.order_by("call__attempt")}
    return {key: found[key] for key in keys if key in found}


def standing_of(provider: str, tokens: int, cost: float) -> Standing:
    """How a provider stands now, from the record alone: a restart forgets nothing. `used` says the day's figures."""
    now = clock.wall_now()
    calls = LlmCall.objects.filter(provider=provider)
    last = list(LlmAnswer.objects.filter(call__provider=provider).order_by("-answered_at", "-call_id")[:BREAK_AFTER])
    failures = next((n for n, row in enumerate(last) if row.abstained not in FAILURES), len(last))
    failed_at = last[0].answered_at if failures else None
    probing = (
        failed_at is not None and calls.filter(asked_at__gt=max(failed_at, now - OUT_FOR), answer__isnull=True).exists()
    )
    rest = LlmAnswer.objects.filter(
        call__provider=provider, answered_at__gt=now - timedelta(hours=2), retry_at__gt=now
    ).order_by("-retry_at")
    retry_at = rest.values_list("retry_at", flat=True).first()
    return Standing(
        recent=calls.filter(asked_at__gt=now - timedelta(seconds=WINDOW_S)).count(),
        tokens=tokens,
        cost=cost,
        failures=failures,
        failed_at=failed_at.timestamp() if failed_at else 0.0,
        probing=probing,
        retry_at=retry_at.timestamp() if retry_at else 0.0,
    )


def forget(before: datetime) -> int:
    """Delete calls asked before that time with their answers; the application's role can do it no other way."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT candor_forget_language_calls(%s)", [before])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _known(wishes: Sequence[Wish]) -> dict[Key, Place]:
    """What the record says to each wish: its own attempt's answer, a later attempt's, or a call that is out."""
    found: dict[Key, Place] = {}
    rows = LlmCall.objects.filter(prompt_hash__in={wish.prompt_hash for wish in wishes}).select_related("answer")
    by_question: dict[tuple[str, str, str], list[LlmCall]] = {}
    for call in rows.order_by("attempt"):
        by_question.setdefault((call.provider, call.model, call.prompt_hash), []).append(call)
    for wish in wishes:
        asked = [call for call in by_question.get(wish.key[:3], []) if call.attempt >= wish.attempt]
        said = [call.answer for call in asked if hasattr(call, "answer")]
        if said:
            found[wish.key] = said[-1]
        elif asked:
            found[wish.key] = Out(asked[-1])
    return found


def used() -> tuple[int, float]:
    """Tokens and money of this UTC day over all providers; calls without an answer at the most they can use up."""
    with connection.cursor() as cursor:
        cursor.execute(_DAY, [clock.wall_now().replace(hour=0, minute=0, second=0, microsecond=0)])
        row = cursor.fetchone()
    return int(row[0]), float(row[1])


def _admitted(wishes: Sequence[Wish], standing: Standing, limits: Limits) -> dict[Key, Place]:
    """Write the calls that may be made now; the others get their reason."""
    now = clock.wall_now()
    refusals = admit([wish.need for wish in wishes], standing, limits, now.timestamp())
    pairs = list(zip(wishes, refusals, strict=True))
    calls = {wish.key: _call(wish, now) for wish, refusal in pairs if refusal is None}
    LlmCall.objects.bulk_create(calls.values())
    return {**calls, **{wish.key: refusal for wish, refusal in pairs if refusal is not None}}


def _call(wish: Wish, now: datetime) -> LlmCall:
    return LlmCall(
        provider=wish.provider,
        model=wish.model,
        instrument_id=wish.instrument_id,
        close_time=clock.from_epoch(wish.close_time),
        template=wish.template,
        prompt_hash=wish.prompt_hash,
        attempt=wish.attempt,
        asked_at=now,
        most_tokens=wish.need.tokens,
        most_cost=wish.need.cost,
    )
