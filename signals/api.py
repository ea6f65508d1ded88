"""Routes of the signal floor under /api/v1. What is answered is decided in `signals.access`; here it is asked for."""

import uuid
from typing import Any

import orjson
from django.http import HttpResponse
from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts.access import Viewer, viewer_of
from markets.api import ProblemSerializer
from markets.models import Instrument, Run
from markets.runs import current_run
from signals import answers, patterns, shapes
from signals.access import access_events, access_instruments, followed_ids, is_known
from signals.groups import HELD_KINDS, tier_of
from signals.health import health
from signals.push import Event, frame_for, included_of

BAD, MISSING = {400: ProblemSerializer}, {404: ProblemSerializer}
INSTRUMENT = OpenApiParameter("instrument", str, OpenApiParameter.PATH, description="Id, or symbol such as BTC-USDT")


class ForgottenError(APIException):
    """The events asked for are no longer kept."""

    status_code = 410
    default_detail = "these events are no longer kept: read /rounds and go on from its last_event_id"


class Rounds(APIView):
    """Rounds, issued or not."""

    @extend_schema(
        operation_id="rounds", parameters=[shapes.RoundQuery], responses={200: shapes.RoundPage, **BAD, **MISSING}
    )
    def get(self, request: Request) -> HttpResponse:
        """List the rounds the caller may see, newest first."""
        viewer, run, asked = _viewer(request), current_run(), _query(request, shapes.RoundQuery)
        instrument = _instrument(viewer, run, asked["instrument"]) if "instrument" in asked else None
        limit, before, state = asked["limit"], asked.get("before", ""), asked.get("state", "")
        if before:
            return _answer(
                orjson.dumps(answers.round_page(viewer, run, limit, before=before, instrument=instrument, state=state))
            )
        name = ("rounds", limit, instrument and instrument.pk, state)
        make = lambda: answers.round_page(viewer, run, limit, instrument=instrument, state=state)  # noqa: E731
        return _answer(answers.once(viewer, run, name, make))


class OneRound(APIView):
    """One round."""

    @extend_schema(operation_id="round", responses={200: shapes.RoundShape, **MISSING})
    def get(self, request: Request, public_id: str) -> HttpResponse:
        """Show a round by the id that lists and frames give it."""
        viewer, run = _viewer(request), current_run()
        found = answers.round_of(viewer, run, public_id) if _is_round_id(public_id) else None
        if found is None:
            raise NotFound(f"there is no round {public_id[:60]!r} that you may see")
        return _answer(orjson.dumps(answers.round_answers(viewer, run, [found])[0]))


class LatestSignal(APIView):
    """The newest signal of an instrument."""

    @extend_schema(operation_id="latest_signal", parameters=[INSTRUMENT], responses={200: shapes.Latest, **MISSING})
    def get(self, request: Request, instrument: str) -> HttpResponse:
        """Show the newest signal of an instrument that the caller may see; null where there is none yet."""
        viewer, run = _viewer(request), current_run()
        found = _instrument(viewer, run, instrument)
        return _answer(answers.once(viewer, run, ("latest", found.pk), lambda: answers.latest(viewer, run, found)))


class SignalHistory(APIView):
    """The signals of an instrument."""

    @extend_schema(
        operation_id="signal_history",
        parameters=[INSTRUMENT, shapes.PageQuery],
        responses={200: shapes.RoundPage, **BAD, **MISSING},
    )
    def get(self, request: Request, instrument: str) -> HttpResponse:
        """List the signals of an instrument with their outcomes, newest first."""
        viewer, run, asked = _viewer(request), current_run(), _query(request, shapes.PageQuery)
        found = _instrument(viewer, run, instrument)
        page = answers.signal_page(viewer, run, asked["limit"], found, before=asked.get("before", ""))
        return _answer(orjson.dumps(page))


class Patterns(APIView):
    """Patterns with their proof."""

    @extend_schema(
        operation_id="patterns", parameters=[shapes.PatternQuery], responses={200: shapes.PatternPage, **BAD}
    )
    def get(self, request: Request) -> HttpResponse:
        """List patterns in one state, promoted ones by default, with the searches that they come from."""
        asked = _query(request, shapes.PatternQuery)
        return _answer(orjson.dumps(patterns.answer(current_run(), **asked)))


class PushEvents(APIView):
    """What the live page was told."""

    @extend_schema(
        operation_id="events",
        parameters=[shapes.EventQuery],
        responses={200: shapes.Events, 410: ProblemSerializer, **BAD},
    )
    def get(self, request: Request) -> HttpResponse:
        """Read on after an event id: the same frames in the same order as the WebSocket's."""
        viewer, run, asked = _viewer(request), current_run(), _query(request, shapes.EventQuery)
        after, limit, tier = asked["after"], asked["limit"], tier_of(viewer)
        if not is_known(after, run):
            raise ForgottenError
        events = access_events(viewer, after, run)
        rows = list((events if tier.is_live else events.filter(kind__in=HELD_KINDS))[: limit + 1])
        included = included_of(tier, followed_ids(run))
        texts = [frame_for(Event.of_row(row), tier, included) for row in rows[:limit]]
        body = {
            "events": [orjson.Fragment(text) for text in texts if text is not None],
            "last_event_id": rows[:limit][-1].pk if rows else after,
            "more": len(rows) > limit,
        }
        return _answer(orjson.dumps(body))


class HealthCheck(APIView):
    """Whether the platform works; asked by machines that must not be turned away."""

    throttle_classes = ()

    @extend_schema(operation_id="health", responses={200: shapes.Health, 503: shapes.Health})
    def get(self, request: Request) -> HttpResponse:
        """Look at database, Redis, feed and queues; 503 without a database."""
        facts = health()
        return _answer(orjson.dumps(facts), status=200 if facts["database"] else 503)


def _viewer(request: Request) -> Viewer:
    return viewer_of(request._request)


def _query(request: Request, shape: type[Serializer[Any]]) -> dict[str, Any]:
    """The checked query; the first thing wrong with it as 400."""
    asked = shape(data=request.query_params)
    if not asked.is_valid():
        name, problems = next(iter(asked.errors.items()))
        raise ParseError(f"{name}: {problems[0]}")
    found: dict[str, Any] = asked.validated_data
    return found


def _instrument(viewer: Viewer, run: Run | None, name: str) -> Instrument:
    """An instrument by id or symbol, among those the caller may see."""
    included = access_instruments(viewer, run).select_related("venue")
    if name.isdecimal() and len(name) < 19:
        found = included.filter(pk=int(name)).first()
    else:
        found = included.filter(symbol__in=[name.upper(), name.upper().replace("-", "/")]).first()
    if found is None:
        raise NotFound(
            f"there is no instrument {name[:60]!r} that you may see: take an id or symbol from /api/v1/instruments/"
        )
    return found


def _is_round_id(public_id: str) -> bool:
    if public_id.startswith("round-"):
        return True
    try:
        return bool(uuid.UUID(public_id))
    except ValueError:
        return False


def _answer(body: bytes, status: int = 200) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"})


urlpatterns: list[URLPattern] = [
    path("rounds/", Rounds.as_view(), name="rounds"),
    path("rounds/<str:public_id>/", OneRound.as_view(), name="round"),
    path("signals/latest/<str:instrument>/", LatestSignal.as_view(), name="latest-signal"),
    path("signals/history/<str:instrument>/", SignalHistory.as_view(), name="signal-history"),
    path("patterns/", Patterns.as_view(), name="patterns"),
    path("events/", PushEvents.as_view(), name="events"),
    path("health/", HealthCheck.as_view(), name="health"),
]
