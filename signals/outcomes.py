"""What became of a signal: judged at expiry from stored candles, never from "now", never edited afterwards."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from prometheus_client import Counter

from lib import clock
from lib.transactions import on_commit
from markets.models import Candle, Run
from markets.runs import market_time
from signals import events, push
from signals.cards import cards_of
from signals.models import Outcome, Round, Signal

log = structlog.get_logger(__name__)
JUDGED = Counter("candor_outcomes_total", "Outcomes that were written", ["result"])

VOID_AFTER = timedelta(hours=24)
"""A signal whose candles are still missing this long after expiry is void, and counted as such in public."""

CORRECTABLE = timedelta(days=7)
"""Market time for which a corrected candle still changes what was judged from it."""

MINUTE = timedelta(minutes=1)

_CORRECTED = """
SELECT DISTINCT s.* FROM markets_candlerevision r
JOIN markets_instrument i ON i.id = r.instrument_id
JOIN signals_signal s ON s.instrument_id = r.instrument_id
  AND r.open_time IN (s.close_time, s.expires_at - interval '1 minute')
JOIN LATERAL (
  SELECT result, entry, exit FROM signals_outcome WHERE signal_id = s.id ORDER BY revision DESC LIMIT 1
) o ON o.result <> 'void'
JOIN markets_candle a ON a.instrument_id = s.instrument_id AND a.open_time = s.close_time
JOIN markets_candle b ON b.instrument_id = s.instrument_id AND b.open_time = s.expires_at - interval '1 minute'
WHERE i.venue_id = %s AND r.open_time > %s AND (a.open, b.close) IS DISTINCT FROM (o.entry, o.exit)
ORDER BY s.id
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a signal ended, with the candles it rests on."""

    result: str
    entry: float | None = None
    exit: float | None = None
    observed_at: datetime | None = None
    reason: str = ""


def judge(direction: int, entry: float, exit_: float) -> str:
    """won, lost or tie of entering at `entry` and leaving at `exit_`: an equal price is a tie, whatever was said."""
    moved = (exit_ > entry) - (exit_ < entry)
    if moved == 0:
        return Outcome.Result.TIE
    return Outcome.Result.WON if moved == direction else Outcome.Result.LOST


def resolve_due(run: Run, now: datetime, *, final: bool = False) -> list[int]:
    """Judge every expired signal of the run whose candles are there, and judge again what was corrected.

    Args:
        run: the market whose signals are judged.
        now: market clock.
        final: the recording ended, so what cannot be judged any more is void.

    Returns:
        Ids of the outcomes written.
    """
    with transaction.atomic():  # an outcome and the news of it are one write
        written = [
            outcome
            for signal in _open_signals(run, now, final=final)
            if (outcome := _resolve(signal, now, final=final))
        ]
        written += [outcome for signal in _corrected(run, now) if (outcome := _supersede(signal))]
        return _tell(run, written)


def _open_signals(run: Run, now: datetime, *, final: bool) -> list[Signal]:
    judged = Outcome.objects.filter(signal=OuterRef("pk"))
    waiting = Signal.objects.filter(instrument__venue_id=run.venue_id)
    if not final:  # of a recording that ended also those of its last minute, which no candle will follow
        waiting = waiting.filter(expires_at__lte=now)
    return list(waiting.filter(~Exists(judged)).order_by("expires_at", "id"))  # one order, so that two never deadlock


def _corrected(run: Run, now: datetime) -> list[Signal]:
    """Signals whose newest outcome rests on prices that a correction has replaced; void ones rest on none."""
    return list(Signal.objects.raw(_CORRECTED, [run.venue_id, now - CORRECTABLE]))


def verdict_of(signal: Signal) -> Verdict | None:
    """Read the two candles and judge; None while one of them is missing."""
    first, last = signal.close_time, signal.expires_at - MINUTE
    found = {
        candle.open_time: candle
        for candle in Candle.objects.filter(instrument_id=signal.instrument_id, open_time__in={first, last})
    }
    if first not in found or last not in found:
        return None
    entry, exit_ = found[first].open, found[last].close
    seen = max(found[first].observed_at, found[last].observed_at)
    return Verdict(judge(signal.direction, entry, exit_), entry, exit_, seen)


def _resolve(signal: Signal, now: datetime, *, final: bool) -> Outcome | None:
    verdict = verdict_of(signal)
    if verdict is None and final:
        verdict = Verdict(Outcome.Result.VOID, reason="recording_ended")
    if verdict is None and now - signal.expires_at > VOID_AFTER:
        verdict = Verdict(Outcome.Result.VOID, reason="no_candle")
    return _write(signal, verdict, 1) if verdict else None


def _supersede(signal: Signal) -> Outcome | None:
    """The next revision, from the corrected candles; also when the result stays the same."""
    verdict = verdict_of(signal)
    revision = signal.outcomes.latest("revision").revision + 1
    return _write(signal, verdict, revision, reason="candle_corrected") if verdict else None


def _write(signal: Signal, verdict: Verdict, revision: int, reason: str = "") -> Outcome | None:
    """Insert one outcome; None when another worker wrote that revision first."""
    row = Outcome(
        signal=signal,
        revision=revision,
        result=verdict.result,
        reason=verdict.reason or reason,
        entry=verdict.entry,
        exit=verdict.exit,
        entry_candle=signal.close_time if verdict.entry is not None else None,
        exit_candle=signal.expires_at - MINUTE if verdict.exit is not None else None,
        evidence_observed_at=verdict.observed_at,
        resolved_at=clock.wall_now(),
    )
    Outcome.objects.bulk_create([row], ignore_conflicts=True)
    kept = Outcome.objects.filter(signal=signal, revision=revision).first()
    if kept is None or kept.resolved_at != row.resolved_at:
        return None
    kept.signal = signal
    JUDGED.labels(verdict.result).inc()
    if verdict.result == Outcome.Result.VOID:
        log.warning("signal_void", signal_id=signal.pk, reason=row.reason)
    return kept


def _tell(run: Run, outcomes: list[Outcome]) -> list[int]:
    if not outcomes:
        return []
    signals = [outcome.signal for outcome in outcomes]
    keys = {(signal.close_time, signal.round_id) for signal in signals}
    rounds = Round.objects.select_related("instrument__venue").filter(
        close_time__in={time for time, _ in keys}, pk__in={id_ for _, id_ in keys}
    )
    at = max(signal.expires_at for signal in signals)
    cards = cards_of(list(rounds), signals, outcomes, market_time(run).timestamp())
    push.publish("outcomes", {"cards": cards}, venue_id=run.venue_id, at=at)
    ids = [outcome.pk for outcome in outcomes]
    on_commit(lambda: events.signal_resolved.send(Outcome, outcome_ids=ids))
    return ids
