"""The write that matters: a shard's rounds, its signals and what the live page is told, in one transaction."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
from django.conf import settings
from django.db import connection, transaction
from numpy.typing import NDArray

from lib import clock
from lib.postgres import ensure_partitions
from lib.transactions import on_commit
from markets.models import Run
from markets.runs import market_time
from signals import events, push
from signals.cards import cards_of
from signals.decided import Decided
from signals.models import Round, Signal
from signals.risk import label_of

_COLUMNS = [field.attname for field in Round._meta.concrete_fields if not field.primary_key]
_INSERT = (
    f"INSERT INTO signals_round ({', '.join(_COLUMNS)}) SELECT {', '.join(_COLUMNS)} "  # noqa: S608  # our own columns
    "FROM jsonb_populate_recordset(NULL::signals_round, %s::jsonb) ON CONFLICT DO NOTHING RETURNING instrument_id, id"
)


def save_rounds(run: Run, decided: list[Decided]) -> list[int]:
    """Write the rounds of one minute and, for issued ones, their signals; tell the live page on commit.

    The unique key (instrument, horizon, close_time) decides between two writers: the second writes nothing. Returns
    the ids of the rounds this call wrote.
    """
    if not decided:
        return []
    now = clock.wall_now()
    with transaction.atomic():
        at = clock.from_epoch(decided[0].close_time)
        ensure_partitions("signals_round", at, at)
        pairs = [(item, _round(item, now)) for item in decided]
        ids = _insert([row for _, row in pairs])
        for _, row in pairs:
            row.pk = ids.get(row.instrument_id)
        written = [(item, row) for item, row in pairs if row.pk is not None]
        if not written:
            return []
        signals = Signal.objects.bulk_create(
            [_signal(item, row, now) for item, row in written if row.state == Round.State.ISSUED]
        )
        _tell(run, written, signals)
    return [row.pk for _, row in written]


def _insert(rows: list[Round]) -> dict[int, int]:
    """Insert what is not there yet; instrument → id of each round written.

    All rows travel as one JSON parameter: 50 rounds of 45 columns, 8 of them arrays, otherwise cost more time to
    write as SQL than to store.
    """
    values = [{name: getattr(row, name) for name in _COLUMNS} for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode()])
        return dict(cursor.fetchall())


def _round(item: Decided, now: datetime) -> Round:
    decision, seen = item.decision, item.decision.probability
    return Round(
        instrument=item.instrument,
        horizon_s=settings.HORIZON_S,
        close_time=clock.from_epoch(item.close_time),
        state=Round.State.LATE if item.late else decision.state,
        reason=_reason(item),
        seats=decision.panel.seats,
        quorum=decision.panel.quorum,
        conservative=decision.conservative,
        p_down=_reals(item.ballot.probabilities[:, 0]),
        p_neutral=_reals(item.ballot.probabilities[:, 1]),
        p_up=_reals(item.ballot.probabilities[:, 2]),
        directions=[
            None if silent else int(side)
            for side, silent in zip(item.ballot.directions, item.ballot.abstained, strict=True)
        ],
        abstained=[int(reason) for reason in item.ballot.abstained],
        latency_ms=[float(ms) for ms in item.latency_ms],
        model_ids=[int(id_) for id_ in item.model_ids],
        lens_directions=[sight.direction for sight in item.lenses],
        lens_reasons=[sight.reason for sight in item.lenses],
        outlook=item.outlook,
        direction=decision.direction,
        up_votes=decision.consensus.up,
        down_votes=decision.consensus.down,
        neutral_votes=decision.consensus.neutral,
        vote_share=decision.consensus.share,
        score=decision.score,
        probability=seen.value if seen else None,
        probability_low=seen.low if seen else None,
        probability_high=seen.high if seen else None,
        probability_n=seen.n if seen else None,
        probability_source=seen.source if seen else "",
        probability_floor=seen.floor if seen else None,
        actionable=decision.actionable and not item.late,
        risk_score=decision.risk_score,
        risk_parts=decision.risk_parts,
        vetoes=list(decision.vetoes),
        taint=int(item.context.taint),
        close=_real(item.context.close),
        atr=_real(item.context.atr),
        volatility=_real(item.context.volatility),
        observed_at=clock.from_epoch(item.observed_at) if np.isfinite(item.observed_at) else None,
        decided_at=now,
        decision_ms=item.decision_ms,
    )


def _reason(item: Decided) -> str:
    """The one word that explains a round without a signal."""
    if item.late:
        return "late_data_or_decision"
    if item.decision.state == "silent":
        abstained = int((item.ballot.abstained[: item.decision.panel.seats] > 0).sum())
        can_agree = item.decision.panel.seats - abstained >= item.decision.panel.quorum
        return "no_consensus" if can_agree else "too_few_votes"
    if item.decision.state == "tainted":
        return "tainted_data"
    return item.decision.vetoes[0] if item.decision.state == "vetoed" else ""


def _signal(item: Decided, row: Round, now: datetime) -> Signal:
    levels, decision = item.decision.levels, item.decision
    assert levels is not None  # noqa: S101  # an issued decision carries levels by construction
    assert decision.tier is not None  # noqa: S101
    assert decision.size is not None  # noqa: S101
    return Signal(
        round_id=row.pk,
        instrument=item.instrument,
        horizon_s=row.horizon_s,
        close_time=row.close_time,
        expires_at=row.close_time + timedelta(seconds=row.horizon_s),
        issued_at=now,
        direction=decision.direction,
        entry=levels.entry,
        stop=_real(levels.stop),
        target=_real(levels.target),
        payout=settings.PAYOUT,
        expected_move_bps=_real(levels.expected_move_bps),
        tier=decision.tier,
        risk_label=label_of(decision.risk_score),
        vote_share=decision.consensus.share,
        score=decision.score,
        probability=row.probability,
        probability_low=row.probability_low,
        probability_high=row.probability_high,
        probability_n=row.probability_n,
        probability_source=row.probability_source,
        probability_floor=row.probability_floor,
        actionable=row.actionable,
        suggested_risk=decision.size.risk,
        suggested_position=decision.size.position,
        risk_note=decision.size.note,
    )


def _tell(run: Run, written: list[tuple[Decided, Round]], signals: list[Signal]) -> None:
    rows = [row for _, row in written]
    at, close_time = rows[0].close_time, clock.epoch(rows[0].close_time)
    candles = {str(item.instrument.pk): [close_time - clock.MINUTE_S, *item.candle] for item, _ in written}
    push.publish("candles", {"close_time": close_time, "candles": candles}, venue_id=run.venue_id, at=at)
    cards = cards_of(rows, signals, [], market_time(run).timestamp())
    push.publish("rounds", {"close_time": close_time, "cards": cards}, venue_id=run.venue_id, at=at)
    ids, signal_ids = [row.pk for row in rows], [signal.pk for signal in signals]
    on_commit(lambda: events.round_decided.send(Round, close_time=close_time, round_ids=ids))
    if signal_ids:
        on_commit(lambda: events.signal_issued.send(Signal, signal_ids=signal_ids))


def _real(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _reals(values: NDArray[np.floating[Any]]) -> list[float | None]:
    return [_real(value) for value in values]
