"""What the live pages show of the current market: newest rounds, newest signals, instruments, feeds."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from accounts.access import Viewer
from lib.clock import epoch
from markets.calendars import is_open, sessions
from markets.models import Candle, Instrument, Run
from markets.quality import shown_states
from signals.access import (
    access_instruments,
    access_outcomes,
    access_rounds,
    access_signals,
    event_position,
    market_now,
)
from signals.cards import Card, cards_of
from signals.groups import tier_of
from signals.models import Round, Signal
from signals.reading import signals_of
from signals.wording import decimals_of, price_text

RECENT_SIGNALS = 10
OPENS_WITHIN_S = 8 * 86_400
"""No calendar is closed for longer than a week."""
LOOK_BACK = timedelta(hours=6)
"""How far back the board looks for an instrument's newest round: enough to cross any pause of a feed on a trading day,
short enough to touch one partition."""


def socket_attributes(viewer: Viewer, run: Run | None) -> dict[str, Any]:
    """What `board.js` starts from: the market clock, its speed, the viewer's delay and the last event the page holds.

    Read before the rows, so that an event in between is replayed rather than lost.
    """
    return {
        "now": int(market_now(run).timestamp() * 1000),
        "speed": (run.speed_reached or run.speed) if run else 1,
        "delay": viewer.delay_s,
        "event_id": event_position(viewer, run),
    }


def board_cards(viewer: Viewer, run: Run | None, instruments: Sequence[Instrument]) -> list[Card]:
    """The newest round of each instrument that the viewer may see, in the instruments' order."""
    now = market_now(run)
    newest = access_rounds(viewer, run).filter(
        instrument__in=[instrument.pk for instrument in instruments],
        close_time__gte=now - timedelta(seconds=viewer.delay_s) - LOOK_BACK,
    )
    rounds = newest.order_by("instrument_id", "-close_time", "-id").distinct("instrument_id")
    return _cards(viewer, run, list(rounds.select_related("instrument__venue")))


def recent_cards(viewer: Viewer, run: Run | None, instrument: Instrument | None = None) -> list[Card]:
    """The newest signals, each with what became of it."""
    signals = access_signals(viewer, run)
    if instrument is not None:
        signals = signals.filter(instrument=instrument)
    return signal_cards(viewer, run, list(signals[:RECENT_SIGNALS]))


def signal_cards(viewer: Viewer, run: Run | None, signals: Sequence[Signal]) -> list[Card]:
    """Cards of signals, in their order."""
    keys = {(signal.round_id, signal.close_time) for signal in signals}
    rows = access_rounds(viewer, run).filter(pk__in=[key[0] for key in keys], close_time__in=[key[1] for key in keys])
    found = {row.pk: row for row in rows.select_related("instrument__venue")}
    rounds = [found[signal.round_id] for signal in signals if signal.round_id in found]
    return _cards(viewer, run, rounds, signals)


def _cards(
    viewer: Viewer, run: Run | None, rounds: Sequence[Round], signals: Sequence[Signal] | None = None
) -> list[Card]:
    issued = signals_of(rounds) if signals is None else signals
    outcomes = access_outcomes(viewer, run).filter(signal__in=[signal.pk for signal in issued])
    return cards_of(rounds, issued, list(outcomes), market_now(run).timestamp())


def instrument_rows(instruments: Sequence[Instrument], cards: Iterable[Card], since: datetime) -> list[dict[str, Any]]:
    """The instrument list: each with its newest card and the last price stored since `since`."""
    by_instrument = {card["instrument"]: card for card in cards}
    newest = Candle.objects.filter(instrument__in=[instrument.pk for instrument in instruments], open_time__gte=since)
    last = {row.instrument_id: row for row in newest.order_by("instrument_id", "-open_time").distinct("instrument_id")}
    rows = []
    for instrument in instruments:
        candle = last.get(instrument.pk)
        decimals = decimals_of(instrument.tick_size, candle.close if candle else 1.0)
        rows.append(
            {
                "instrument": instrument.pk,
                "symbol": instrument.symbol,
                "headline": "Waiting for a round",
                "attrs": {"direction": "none"},
                **by_instrument.get(instrument.pk, {}),
                "price": price_text(candle.close if candle else None, instrument.tick_size),
                "as_of": epoch(candle.open_time) + 60 if candle else 0,
                "decimals": decimals,
            }
        )
    return rows


def locked_rows(viewer: Viewer, run: Run | None) -> list[dict[str, Any]]:
    """Followed instruments that the viewer's plan does not include; what was not chosen is not locked."""
    most = tier_of(viewer).instruments
    if run is None or most is None or access_instruments(viewer, run).count() < most:
        return []
    hidden = Instrument.objects.filter(venue_id=run.venue_id, followed=True)
    included = access_instruments(viewer, run).values_list("pk", flat=True)
    return [{"symbol": symbol} for symbol in hidden.exclude(pk__in=list(included)).values_list("symbol", flat=True)]


def feed_rows(run: Run | None) -> list[dict[str, Any]]:
    """The state of the venue's feed and of each instrument's."""
    if run is None:
        return []
    names = dict(Instrument.objects.filter(venue_id=run.venue_id, followed=True).values_list("pk", "symbol"))
    return [
        {
            "key": run.venue.key if key is None else key,
            "name": run.venue.title if key is None else names[key],
            "state": state.state,
            "detail": state.detail,
            "since": epoch(state.since),
            "attrs": {"state": state.state},
        }
        for key, state in sorted(shown_states(run).items(), key=lambda item: item[0] or 0)
        if key is None or key in names
    ]


def closed_until(instrument: Instrument, run: Run | None) -> int:
    """When the instrument's market opens again, epoch seconds; 0 while it is open."""
    now = epoch(market_now(run))
    if is_open(instrument.calendar, now):
        return 0
    return sessions(instrument.calendar, now, now + OPENS_WITHIN_S)[0][0]


def stale_limit(horizon_s: int = 60) -> int:
    """Seconds after which a widget that changes once a round is stale: one round and the wait for its candle."""
    return horizon_s + int(settings.STALE_AFTER_S)
