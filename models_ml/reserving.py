"""Calls to language models on the record: each is reserved before it is made, in one place for all workers.

One short transaction under one lock looks up what is known already, counts what was used up, and writes down what may
be asked. So two workers never put the same question, and together stay inside the limits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Max

from lib import clock
from models_ml.models import LlmAnswer, LlmCall, LlmDay
from models_ml.voters.llm.admission import BREAK_AFTER, FAILURES, WINDOW_S, Limits, Need, Standing, admit
from models_ml.votes import AbstainReason

_LOCK = 0x4C4C4D  # "LLM"
OUT_FOR = timedelta(seconds=60)
"""A call without an answer after this long lost its process."""

_COUNT = """
INSERT INTO models_ml_llmday (day, tokens, cost) VALUES (%s, %s, %s)
ON CONFLICT (day) DO UPDATE SET tokens = models_ml_llmday.tokens + excluded.tokens,
                                cost = models_ml_llmday.cost + excluded.cost
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


def reserve(wishes: Sequence[Wish], limits: Limits, patience_s: float = 0.0) -> list[Place]:
    """For each wish its place, in order. Every `LlmCall` among them is written and is the caller's to make.

    It is to be made at its `asked_at`, which lies at most `patience_s` ahead.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        places = _known(wishes)
        new = [wish for wish in wishes if wish.key not in places]
        for provider in dict.fromkeys(wish.provider for wish in new):
            mine = [wish for wish in new if wish.provider == provider]
            places |= _admitted(mine, standing_of(provider), limits, patience_s)
    return [places[wish.key] for wish in wishes]


def record(answers: Sequence[LlmAnswer]) -> None:
    """Write what came of calls, and count what they used up in place of the most they could have."""
    if not answers:
        return
    with transaction.atomic():
        LlmAnswer.objects.bulk_create(answers)
        _count((answer.call, *_beyond(answer)) for answer in answers)


def _beyond(answer: LlmAnswer) -> tuple[int, float]:
    """Tokens and money beyond what its reservation counted; mostly less than nothing."""
    call = answer.call
    return answer.tokens - call.most_tokens, (answer.cost or 0.0) - (call.most_cost or 0.0)


def answered(calls: Sequence[LlmCall]) -> dict[int, LlmAnswer]:
    """The answers of those of `calls` that have one by now, by call."""
    return LlmAnswer.objects.in_bulk([call.pk for call in calls])


def recorded(keys: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], LlmAnswer]:
    """The last attempt's answer of each (provider, model, prompt hash) that was ever answered."""
    rows = LlmAnswer.objects.filter(call__prompt_hash__in={key[2] for key in keys}).select_related("call")
    found = {(row.call.provider, row.call.model, row.call.prompt_hash): row for row in rows.order_by("call__attempt")}
    return {key: found[key] for key in keys if key in found}


def standing_of(provider: str) -> Standing:
    """How a provider stands now, from the record alone: a restart forgets nothing."""
    now = clock.wall_now()
    calls = LlmCall.objects.filter(provider=provider)
    said = LlmAnswer.objects.filter(provider=provider)
    last = list(said.order_by("-answered_at")[:BREAK_AFTER])
    failures = next((n for n, row in enumerate(last) if row.abstained not in FAILURES), len(last))
    failed_at = last[0].answered_at if failures else None
    probing = (
        failed_at is not None and calls.filter(asked_at__gt=max(failed_at, now - OUT_FOR), answer__isnull=True).exists()
    )
    retry_at = said.filter(retry_at__gt=now).aggregate(at=Max("retry_at"))["at"]
    today = LlmDay.objects.filter(day=_day(now)).first() or LlmDay()
    recent = calls.filter(asked_at__gt=now - timedelta(seconds=WINDOW_S))
    return Standing(
        recent=tuple(at.timestamp() for at in recent.values_list("asked_at", flat=True)),
        tokens=today.tokens,
        cost=today.cost,
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


def _day(at: datetime) -> date:
    """The UTC day whose budget a call counts against."""
    return at.astimezone(UTC).date()


def _count(used: Iterable[tuple[LlmCall, int, float]]) -> None:
    """Add tokens and money of calls to the days they were asked on."""
    days: dict[date, tuple[int, float]] = {}
    for call, tokens, cost in used:
        before = days.get(_day(call.asked_at), (0, 0.0))
        days[_day(call.asked_at)] = before[0] + tokens, before[1] + cost
    with connection.cursor() as cursor:
        cursor.executemany(_COUNT, [(day, *sums) for day, sums in sorted(days.items())])


def _admitted(wishes: Sequence[Wish], standing: Standing, limits: Limits, patience_s: float) -> dict[Key, Place]:
    """Write the calls that may be made; the others get their reason."""
    now = clock.wall_now().timestamp()
    places = zip(wishes, admit([wish.need for wish in wishes], standing, limits, now, patience_s), strict=True)
    found: dict[Key, Place] = {
        wish.key: place if isinstance(place, AbstainReason) else _call(wish, clock.from_epoch(place))
        for wish, place in places
    }
    calls = [place for place in found.values() if isinstance(place, LlmCall)]
    if calls:
        LlmCall.objects.bulk_create(calls)
        _count((call, call.most_tokens, call.most_cost or 0.0) for call in calls)
    return found


def _call(wish: Wish, at: datetime) -> LlmCall:
    return LlmCall(
        provider=wish.provider,
        model=wish.model,
        instrument_id=wish.instrument_id,
        close_time=clock.from_epoch(wish.close_time),
        template=wish.template,
        prompt_hash=wish.prompt_hash,
        attempt=wish.attempt,
        asked_at=at,
        most_tokens=wish.need.tokens,
        most_cost=wish.need.cost,
    )
