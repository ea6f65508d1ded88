"""The record in pages and as a file: filters are read once, both answers show the same rows."""

import csv
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, Final, Protocol, cast

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.core.paginator import Paginator
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.access import Viewer, viewer_of
from lib.clock import from_epoch
from markets.models import Run
from markets.runs import current_run
from signals.access import access_instruments, access_outcomes, access_rounds, access_signals, market_now
from signals.cards import Card, cards_of
from signals.models import Outcome, Round
from signals.reading import signals_of

PAGE: Final = 50
FILE_ROWS: Final = 50_000
CHUNK: Final = 500
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that starts with one of these (OWASP, CSV injection)."""
PENDING: Final = "pending"


@dataclass(frozen=True, slots=True)
class Filters:
    """What to show. `errors` names every input that was passed over, by field."""

    instrument: int | None = None
    state: str = Round.State.ISSUED
    outcome: str = ""
    since: date | None = None
    until: date | None = None
    errors: dict[str, str] = field(default_factory=dict)


def filters_of(query: QueryDict) -> Filters:
    """Read the filters; a value that cannot be used is named in `errors` and left out."""
    errors: dict[str, str] = {}
    return Filters(
        instrument=_whole(query.get("instrument", ""), errors),
        state=_choice("state", query.get("state", Round.State.ISSUED), ["", *Round.State.values], errors),
        outcome=_choice("outcome", query.get("outcome", ""), ["", PENDING, *Outcome.Result.values], errors),
        since=_day("since", query.get("since", ""), errors),
        until=_day("until", query.get("until", ""), errors),
        errors=errors,
    )


def _whole(text: str, errors: dict[str, str]) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18:
        errors["instrument"] = f"{text[:20]!r} is not an instrument: choose one from the list"
        return None
    return int(text)


def _choice(name: str, text: str, choices: list[str], errors: dict[str, str]) -> str:
    if text in choices:
        return text
    errors[name] = f"{text[:20]!r} is unknown: choose one from the list"
    return ""


def _day(name: str, text: str, errors: dict[str, str]) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        errors[name] = f"{text[:20]!r} is not a date: write it as 2025-03-31"
        return None


def rounds_of(viewer: Viewer, run: Run | None, filters: Filters) -> QuerySet[Round]:
    """The rounds that the viewer may see and the filters let through, newest first."""
    rounds = access_rounds(viewer, run)
    if filters.instrument is not None:
        rounds = rounds.filter(instrument=filters.instrument)
    if filters.state:
        rounds = rounds.filter(state=filters.state)
    if filters.since:
        rounds = rounds.filter(close_time__gte=_midnight(filters.since))
    if filters.until:
        rounds = rounds.filter(close_time__lt=_midnight(filters.until) + timedelta(days=1))
    if filters.outcome:
        rounds = _by_outcome(viewer, run, rounds, filters.outcome)
    return rounds.select_related("instrument__venue")


def _by_outcome(viewer: Viewer, run: Run | None, rounds: QuerySet[Round], wanted: str) -> QuerySet[Round]:
    """Rounds whose signal's newest outcome, as far as the viewer may know it, is `wanted`."""
    newest = access_outcomes(viewer, run).filter(signal=OuterRef("pk")).order_by("-revision").values("result")[:1]
    signals = access_signals(viewer, run).annotate(newest=Subquery(newest))
    chosen = signals.filter(newest__isnull=True) if wanted == PENDING else signals.filter(newest=wanted)
    return rounds.filter(pk__in=chosen.values("round_id"))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _cards(viewer: Viewer, run: Run | None, rounds: list[Round]) -> list[Card]:
    signals = signals_of(rounds)
    outcomes = access_outcomes(viewer, run).filter(signal__in=[signal.pk for signal in signals])
    return cards_of(rounds, signals, list(outcomes), market_now(run).timestamp())


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """One page of the record."""
    viewer, run = viewer_of(request), current_run()
    filters = filters_of(request.GET)
    shown = Paginator(rounds_of(viewer, run, filters), PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context: dict[str, Any] = {
        "filters": filters,
        "cards": _cards(viewer, run, list(shown.object_list)),
        "page": shown,
        "query": query.urlencode(),
        "instruments": access_instruments(viewer, run),
        "states": Round.State.choices,
        "results": [*Outcome.Result.choices, (PENDING, "Not judged yet")],
    }
    return render(request, "signals/history.html", context)


COLUMNS: Final[dict[str, str]] = {
    "id": "id",
    "instrument": "symbol",
    "venue": "venue",
    "state": "state",
    "why": "why",
    "direction": "direction",
    "vote_share": "vote_share",
    "score": "score",
    "probability": "probability",
    "probability_history": "probability_n",
    "tier": "tier",
    "entry": "entry",
    "stop": "stop",
    "target": "target",
    "risk": "risk",
    "actionable": "actionable",
    "suggested_size": "size",
    "risk_note": "size_note",
    "outcome": "outcome",
    "evidence": "outcome_text",
    "permalink": "permalink",
}
"""Column of the file → slot of the card, so that a page and its file say the same."""


class Writer(Protocol):
    """`csv.writer` over `_Line`: what `writerow` returns is the line."""

    def writerow(self, row: list[str]) -> str:
        """One line."""
        ...


class _Line:
    """A file-like object that hands each written line back."""

    def write(self, text: str) -> str:
        return text


@require_GET
def csv_file(request: HttpRequest) -> StreamingHttpResponse:
    """The filtered record as CSV, newest first, at most `FILE_ROWS` rounds."""
    viewer, run = viewer_of(request), current_run()
    rounds = rounds_of(viewer, run, filters_of(request.GET))[:FILE_ROWS]
    lines = _lines(viewer, run, rounds)
    content = _in_turns(lines) if isinstance(request, ASGIRequest) else lines
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="candor-history.csv"'
    return response


async def _in_turns(lines: Iterator[str]) -> AsyncIterator[str]:
    """The lines for an asynchronous server, some hundreds at a time: Django would gather all of them first."""
    while part := await sync_to_async(lambda: "".join(islice(lines, CHUNK)))():
        yield part


def _lines(viewer: Viewer, run: Run | None, rounds: QuerySet[Round]) -> Iterator[str]:
    writer = cast("Writer", csv.writer(_Line()))
    yield writer.writerow(["close_time", "expires_at", *COLUMNS])
    batch: list[Round] = []
    for row in rounds.iterator(chunk_size=CHUNK):
        batch.append(row)
        if len(batch) == CHUNK:
            yield from _written(writer, _cards(viewer, run, batch))
            batch = []
    yield from _written(writer, _cards(viewer, run, batch))


def _written(writer: "Writer", cards: list[Card]) -> Iterator[str]:
    for card in cards:
        values = {**card, **card["attrs"]}
        times = [from_epoch(card[name]).isoformat() for name in ("close_time", "expires_at")]
        yield writer.writerow([*times, *(_safe(str(values[slot] or "")) for slot in COLUMNS.values())])


def _safe(text: str) -> str:
    """A cell that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
