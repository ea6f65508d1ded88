"""Routes of the market floor under /api/v1: instruments and their closed candles."""

from typing import Any

import numpy as np
import orjson
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import api_view, renderer_classes
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from lib.clock import MINUTE_S
from markets.candles import load_ohlcv, newest_open_times
from markets.models import FeedState, Instrument
from markets.quality import shown_states
from markets.runs import current_run
from markets.timeframes import TIMEFRAMES, aggregate, minutes_of

MOST_CANDLES = 1500
MOST_MINUTES = 300 * 1440
"""Minutes one answer may rest on: 300 daily candles."""


class OrjsonRenderer(BaseRenderer):
    """JSON by orjson, numpy arrays included; NaN becomes null."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:  # noqa: ANN401  # DRF's signature
        """Encode."""
        return b"" if data is None else orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


class InstrumentSerializer(serializers.Serializer[dict[str, Any]]):
    """A followed instrument of the market that is shown."""

    id = serializers.IntegerField()
    symbol = serializers.CharField()
    base = serializers.CharField()
    quote = serializers.CharField(allow_blank=True)
    market_class = serializers.CharField()
    tick_size = serializers.FloatField()
    calendar = serializers.CharField()
    venue = serializers.CharField(help_text="Key of the venue, or of the run of a recording")
    market = serializers.ChoiceField(["live", "simulated", "replay"])
    state = serializers.ChoiceField(FeedState.State.choices, help_text="State of its feed")
    since = serializers.DateTimeField(allow_null=True)


class CandlesSerializer(serializers.Serializer[dict[str, Any]]):
    """Closed candles of one instrument, oldest first, as columns of equal length."""

    instrument = serializers.IntegerField()
    timeframe = serializers.CharField()
    open_time = serializers.ListField(child=serializers.IntegerField(), help_text="Epoch seconds UTC")
    open = serializers.ListField(child=serializers.FloatField())
    high = serializers.ListField(child=serializers.FloatField())
    low = serializers.ListField(child=serializers.FloatField())
    close = serializers.ListField(child=serializers.FloatField())
    volume = serializers.ListField(child=serializers.FloatField())


class ProblemSerializer(serializers.Serializer[dict[str, Any]]):
    """What went wrong, in one sentence."""

    detail = serializers.CharField()
    request_id = serializers.CharField(required=False)


@extend_schema(responses={200: InstrumentSerializer(many=True)}, summary="Followed instruments")
@api_view(["GET"])
@renderer_classes([OrjsonRenderer])
def instruments(request: Request) -> Response:
    """The followed instruments of the market that is shown, with the state of their feeds; empty before one opens."""
    run = current_run()
    if run is None:
        return Response([])
    states = shown_states(run)
    rows = Instrument.objects.filter(venue_id=run.venue_id, followed=True)
    return Response([_instrument(row, run.venue.key, run.venue.kind, states.get(row.pk)) for row in rows])


def _instrument(row: Instrument, venue: str, kind: str, state: FeedState | None) -> dict[str, Any]:
    return {
        "id": row.pk,
        "symbol": row.symbol,
        "base": row.base,
        "quote": row.quote,
        "market_class": row.market_class,
        "tick_size": row.tick_size,
        "calendar": row.calendar,
        "venue": venue,
        "market": kind,
        "state": state.state if state else FeedState.State.DOWN,
        "since": state.since if state else None,
    }


@extend_schema(
    parameters=[
        OpenApiParameter("instrument", OpenApiTypes.INT, required=True, description="Id from the list of instruments"),
        OpenApiParameter("timeframe", OpenApiTypes.STR, enum=list(TIMEFRAMES), default="1m"),
        OpenApiParameter("limit", OpenApiTypes.INT, default=500, description=f"1 to {MOST_CANDLES}"),
    ],
    responses={200: CandlesSerializer, 400: ProblemSerializer, 404: ProblemSerializer},
    summary="Closed candles",
)
@api_view(["GET"])
@renderer_classes([OrjsonRenderer])
def candles(request: Request) -> Response:
    """The last `limit` closed candles; higher timeframes are aggregated from minutes, missing minutes left out."""
    timeframe = request.query_params.get("timeframe", "1m")
    minutes = minutes_of(timeframe)
    limit = _whole(request, "limit", 500, MOST_CANDLES)
    if limit * minutes > MOST_MINUTES:
        raise ValidationError(
            {"detail": f"limit: at most {MOST_MINUTES // minutes} candles of {timeframe} in one answer"}
        )
    instrument = _instrument_id(request)
    end = newest_open_times([instrument]).get(instrument, 0) + MINUTE_S
    step = minutes * MINUTE_S
    end = end // step * step  # a bucket that is still forming is not closed
    times, rows = aggregate(*load_ohlcv(instrument, end - limit * step, end), minutes)
    columns = {
        name: np.ascontiguousarray(rows[:, at]) for at, name in enumerate(("open", "high", "low", "close", "volume"))
    }
    return Response({"instrument": instrument, "timeframe": timeframe, "open_time": times, **columns})


def _whole(request: Request, name: str, default: int | None, most: int) -> int:
    """A whole number from 1 to `most` out of the query; anything else is a 400 that says so."""
    text = request.query_params.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:19]) <= most):
        raise ValidationError({"detail": f"{name}: give a whole number from 1 to {most}"})
    return int(text)


def _instrument_id(request: Request) -> int:
    """The instrument asked for, of the market that is shown; an unlisted one is not there."""
    key = _whole(request, "instrument", None, 2**63 - 1)
    run = current_run()
    if run is None or not Instrument.objects.filter(pk=key, venue_id=run.venue_id, followed=True).exists():
        raise NotFound("no such instrument in the market that is shown: take an id from /api/v1/instruments/")
    return key


urlpatterns: list[URLPattern] = [
    path("instruments/", instruments, name="instruments"),
    path("candles/", candles, name="candles"),
]
