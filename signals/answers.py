"""REST answers of the signal floor: encoded bytes, made once per change of state and tier of viewers."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from django.db.models import QuerySet

from accounts.access import Viewer
from lib.clock import MINUTE_S, epoch, from_epoch
from markets.models import Instrument, Run
from markets.runs import market_time
from signals.access import access_outcomes, access_rounds, access_signals, event_position
from signals.confidence import MIN_N
from signals.facts import Judgement, RoundFacts, VoteFacts
from signals.groups import tier_of
from signals.models import PushEvent, Round, Signal
from signals.reading import facts_of

KEPT = 256
"""Encoded answers a process keeps."""

_kept: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()


def once(viewer: Viewer, run: Run | None, name: tuple[Any, ...], make: Callable[[], dict[str, Any]]) -> bytes:
    """The encoded answer `name` for the viewer's tier, made anew after an event and on each minute of the market.

    What a delay uncovers appears on the minute, because close times and expiries lie on it.
    """
    if run is None:
        return orjson.dumps(make())
    last = PushEvent.objects.filter(venue_id=run.venue_id).order_by("-id").values_list("id", flat=True).first()
    key = (*name, run.pk, run.state, tier_of(viewer), last, epoch(market_time(run)) // MINUTE_S)
    if (found := _kept.get(key)) is None:
        found = _kept[key] = orjson.dumps(make())
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found


def round_page(
    viewer: Viewer,
    run: Run | None,
    limit: int,
    *,
    before: str = "",
    instrument: Instrument | None = None,
    state: str = "",
) -> dict[str, Any]:
    """A page of rounds, newest first; `before` is the `next` of the page that came before."""
    rows = access_rounds(viewer, run)
    if instrument is not None:
        rows = rows.filter(instrument=instrument)
    if state:
        rows = rows.filter(state=state)
    return _page(viewer, run, list(_after(rows, before)[: limit + 1]), limit)


def signal_page(
    viewer: Viewer, run: Run | None, limit: int, instrument: Instrument, *, before: str = ""
) -> dict[str, Any]:
    """A page of the rounds of an instrument that became signals, newest first."""
    rows = access_rounds(viewer, run).filter(instrument=instrument, state=Round.State.ISSUED)
    return _page(viewer, run, list(_after(rows, before)[: limit + 1]), limit)


def latest(viewer: Viewer, run: Run | None, instrument: Instrument) -> dict[str, Any]:
    """The newest signal of an instrument."""
    signal = access_signals(viewer, run).filter(instrument=instrument).first()
    rows = access_rounds(viewer, run).filter(pk=signal.round_id, close_time=signal.close_time) if signal else []
    found = round_answers(viewer, run, list(rows))
    return {
        "delay_s": viewer.delay_s,
        "instrument": {"id": instrument.pk, "symbol": instrument.symbol, "venue": instrument.venue.title},
        "signal": found[0] if found else None,
    }


def round_answers(viewer: Viewer, run: Run | None, rows: Sequence[Round]) -> list[dict[str, Any]]:
    """Rounds with their signals and outcomes, as far as the viewer may see them."""
    signals = list(access_signals(viewer, run).filter(round_id__in=[row.pk for row in rows]))
    outcomes = list(access_outcomes(viewer, run).filter(signal__in=[signal.pk for signal in signals]))
    return [round_answer(facts) for facts in facts_of(rows, signals, outcomes)]


def round_of(viewer: Viewer, run: Run | None, public_id: str) -> Round | None:
    """The round of a public id (`round-<number>`, or its signal's), None where the viewer may not see one."""
    number = public_id.removeprefix("round-")
    rows = access_rounds(viewer, run).select_related("instrument__venue")
    if number != public_id:
        return rows.filter(pk=int(number)).first() if number.isdecimal() and len(number) < 19 else None
    signal: Signal | None = access_signals(viewer, run).filter(public_id=public_id).first()
    return rows.filter(pk=signal.round_id, close_time=signal.close_time).first() if signal else None


def round_answer(facts: RoundFacts) -> dict[str, Any]:
    """One round as REST tells it."""
    return {
        "id": facts.public_id,
        "instrument": {"id": facts.instrument_id, "symbol": facts.symbol, "venue": facts.venue},
        "close_time": facts.close_time,
        "horizon_s": facts.horizon_s,
        "decided_at": facts.decided_at,
        "state": facts.state,
        "reason": facts.reason,
        "direction": facts.direction,
        "quorum": facts.quorum,
        "seats": facts.seats,
        "votes": [_vote(vote) for vote in facts.votes],
        "second_panel": _second_panel(facts),
        "outlook": _outlook(facts),
        "score": facts.score,
        "probability": _probability(facts),
        "risk_score": facts.risk_score,
        "risk_label": facts.risk_label,
        "vetoes": facts.vetoes,
        "taints": facts.taints,
        "signal": _signal(facts) if facts.state == Round.State.ISSUED else None,
    }


def _after(rows: QuerySet[Round], before: str) -> QuerySet[Round]:
    rows = rows.select_related("instrument__venue")
    if not before:
        return rows
    close_time, number = (int(part) for part in before.split("-"))
    at = from_epoch(close_time)
    return rows.filter(close_time__lte=at).exclude(close_time=at, pk__gte=number)


def _page(viewer: Viewer, run: Run | None, rows: list[Round], limit: int) -> dict[str, Any]:
    more, rows = len(rows) > limit, rows[:limit]
    return {
        "delay_s": viewer.delay_s,
        "last_event_id": event_position(viewer, run),
        "rounds": round_answers(viewer, run, rows),
        "next": f"{epoch(rows[-1].close_time)}-{rows[-1].pk}" if more else None,
    }


def _vote(vote: VoteFacts) -> dict[str, Any]:
    raw = None if vote.p_up is None else {"down": vote.p_down, "neutral": vote.p_neutral, "up": vote.p_up}
    return {
        "voter": vote.voter,
        "direction": vote.direction,
        "abstained": vote.abstained,
        "raw": raw,
        "latency_ms": vote.latency_ms,
        "version": vote.version,
    }


def _second_panel(facts: RoundFacts) -> dict[str, Any] | None:
    panel = facts.panel
    if panel is None:
        return None
    return {
        "strength": panel.strength,
        "direction": panel.direction,
        "up": panel.up,
        "down": panel.down,
        "neutral": panel.neutral,
        "abstained": panel.abstained,
        "lens_consensus": panel.lens_consensus,
        "full_consensus": panel.full_consensus,
        "tie": panel.tie,
        "disagreement": panel.disagreement,
        "lenses": [{"lens": lens.lens, "direction": lens.direction, "reason": lens.reason} for lens in facts.lenses],
    }


def _outlook(facts: RoundFacts) -> dict[str, Any] | None:
    """What the agents said; a part that none of them said is null, or no band at all."""
    outlook = facts.outlook
    if outlook is None:
        return None
    return {
        "bands": [
            {
                "minutes": band.minutes,
                "low": band.low,
                "high": band.high,
                "low_bps": band.low_bps,
                "high_bps": band.high_bps,
            }
            for band in outlook.bands
        ],
        "volatility_ratio": outlook.volatility_ratio,
        "regime": outlook.regime or None,
    }


def _probability(facts: RoundFacts) -> dict[str, Any] | None:
    """No number before a hundred judged statements: until then it would say more than we know."""
    if facts.track is None:
        return None
    enough = facts.track.n >= MIN_N
    return {
        "value": facts.probability if enough else None,
        "n": facts.track.n,
        "low": facts.track.low if enough else None,
        "high": facts.track.high if enough else None,
        "basis": facts.track.source,
    }


def _signal(facts: RoundFacts) -> dict[str, Any]:
    return {
        "tier": facts.tier,
        "entry": facts.entry,
        "stop": facts.stop,
        "target": facts.target,
        "expected_move_bps": facts.expected_move_bps,
        "actionable": facts.actionable,
        "suggested_risk": facts.suggested_risk,
        "suggested_position": facts.suggested_position,
        "risk_note": facts.risk_note,
        "expires_at": facts.expires_at,
        "permalink": facts.permalink,
        "outcome": _judgement(facts.outcome) if facts.outcome else None,
    }


def _judgement(judged: Judgement) -> dict[str, Any]:
    return {
        "result": judged.result,
        "at": judged.at,
        "entry": judged.open,
        "exit": judged.close,
        "note": judged.note,
        "superseded": judged.superseded,
    }
