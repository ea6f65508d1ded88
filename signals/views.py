"""Pages: fetch through `signals.access`, present through `signals.board`, render."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.access import Viewer, viewer_of
from lib.clock import epoch, from_epoch
from markets.models import Instrument, Run
from markets.runs import current_run
from signals import board as desk
from signals.access import access_instruments, access_outcomes, access_signals, market_now
from signals.banner import delay_line
from signals.charts import LAST_INSTANT, TIMEFRAMES, chart_data, chart_frame, signal_frame
from signals.errors import bad_request, forbidden, not_found, server_error
from signals.expectations import BREAK_EVEN, CONSISTENCY, REALISTIC
from signals.prefs import CHOICES, groups, parse, preferences_of, remember, zones

__all__ = [
    "bad_request",
    "board",
    "chart",
    "disclaimer",
    "forbidden",
    "not_found",
    "server_error",
    "settings_page",
    "signal",
    "terms",
]


@require_GET
def board(request: HttpRequest) -> HttpResponse:
    """The landing page for visitors, the dashboard for members."""
    viewer, run = viewer_of(request), current_run()
    socket = desk.socket_attributes(viewer, run)
    instruments = list(access_instruments(viewer, run))
    cards = desk.board_cards(viewer, run, instruments)
    shared = {
        "live": True,
        "socket": socket,
        "cards": cards,
        "limit": desk.stale_limit(),
        "recent": desk.recent_cards(viewer, run),
        "feeds": desk.feed_rows(run),
        "delay": delay_line(viewer.delay_s),
    }
    if viewer.is_visitor:
        tables = {"realistic": REALISTIC, "break_even": BREAK_EVEN, "consistency": CONSISTENCY}
        return render(request, "signals/landing.html", {**shared, **tables})
    return render(request, "signals/dashboard.html", {**shared, **_desk(request, viewer, run, instruments, cards)})


def _desk(
    request: HttpRequest, viewer: Viewer, run: Run | None, instruments: list[Instrument], cards: list[dict[str, Any]]
) -> dict[str, Any]:
    """The part of the dashboard that hangs on the chosen instrument."""
    wanted = request.GET.get("instrument", "")
    first = instruments[0] if instruments else None
    chosen = next((instrument for instrument in instruments if str(instrument.pk) == wanted), first)
    timeframe = request.GET.get("timeframe", "")
    opens = desk.closed_until(chosen, run) if chosen else 0
    return {
        "opens": opens,
        "closed_note": f"Market closed until {from_epoch(opens):%A %H:%M} UTC." if opens else "",
        "items": desk.instrument_rows(instruments, cards, market_now(run) - desk.LOOK_BACK),
        "locked": desk.locked_rows(viewer, run),
        "chosen": chosen.pk if chosen else None,
        "card": next((card for card in cards if chosen and card["instrument"] == chosen.pk), None),
        "chart": chart_frame(chosen, timeframe if timeframe in TIMEFRAMES else TIMEFRAMES[0]) if chosen else None,
    }


@require_GET
def signal(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """One signal with its full life. What the viewer may not see yet does not exist."""
    viewer, run = viewer_of(request), current_run()
    socket = desk.socket_attributes(viewer, run)
    found = get_object_or_404(access_signals(viewer, run).select_related("instrument"), public_id=public_id)
    cards = desk.signal_cards(viewer, run, [found])
    revisions = access_outcomes(viewer, run).filter(signal=found, revision__gt=1).order_by("revision")
    context = {
        "live": True,
        "socket": socket,
        "limit": desk.stale_limit(),
        "card": cards[0],
        "revisions": revisions,
        "chart": signal_frame(found.instrument, epoch(found.expires_at)),
    }
    return render(request, "signals/signal.html", context)


@require_GET
def chart(request: HttpRequest, instrument_id: int) -> HttpResponse:
    """Candles, lines and signals of one instrument as JSON."""
    viewer, run = viewer_of(request), current_run()
    instrument = get_object_or_404(access_instruments(viewer, run), pk=instrument_id)
    timeframe = request.GET.get("timeframe", TIMEFRAMES[0])
    if timeframe not in TIMEFRAMES:
        detail = f"unknown timeframe {timeframe!r}: use one of {', '.join(TIMEFRAMES)}"
        return JsonResponse({"detail": detail}, status=400)
    until = request.GET.get("until", "")
    if until and not (until.isdecimal() and 0 < int(until[:12]) <= LAST_INSTANT):
        return JsonResponse({"detail": f"until={until[:20]!r} is no time: give epoch seconds"}, status=400)
    data = chart_data(viewer, run, instrument, timeframe, int(until) if until else None)
    return JsonResponse(data, headers={"Cache-Control": "no-store"})


@require_http_methods(["GET", "POST"])
def settings_page(request: HttpRequest) -> HttpResponse:
    """How the pages look; kept in a cookie, so it needs no account."""
    if request.method == "POST":
        names = (*CHOICES, "time_zone")
        chosen = parse("&".join(f"{name}={request.POST.get(name, '')}" for name in names))
        response = HttpResponseRedirect("/settings?saved=1")
        remember(response, chosen, secure=request.is_secure())
        return response
    chosen = preferences_of(request)
    context = {"groups": groups(chosen), "zones": zones(), "chosen": chosen, "saved": "saved" in request.GET}
    return render(request, "signals/settings.html", context)


@require_GET
def disclaimer(request: HttpRequest) -> HttpResponse:
    """The risks, in plain words."""
    return render(request, "signals/disclaimer.html")


@require_GET
def terms(request: HttpRequest) -> HttpResponse:
    """The terms of use."""
    return render(request, "signals/terms.html")
