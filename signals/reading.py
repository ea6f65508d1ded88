"""From stored rows to facts: one look-up of the models a list of rounds names, none per round."""

from collections.abc import Iterable, Sequence

from django.urls import reverse

from lib.clock import epoch
from markets.values import TaintFlag
from models_ml.lenses import LENS_KEYS, LENSES
from models_ml.lenses import second_panel as seven
from models_ml.models import ModelVersion
from models_ml.validation.metrics import Z95
from models_ml.voters import LANGUAGE_SEATS, SEATS, VOTERS
from models_ml.votes import AbstainReason
from signals.confidence import BIN_WIDTH, bin_of
from signals.facts import Judgement, LensFacts, RoundFacts, Track, VoteFacts
from signals.models import Outcome, Round, Signal
from signals.outlook import outlook_of
from signals.risk import label_of

TRUSTED = frozenset({Round.State.ISSUED, Round.State.SILENT, Round.State.VETOED})
"""States whose candles were in time and whole: what was forecast from them is shown."""


def facts_of(rounds: Sequence[Round], signals: Iterable[Signal], outcomes: Iterable[Outcome]) -> list[RoundFacts]:
    """Facts of `rounds`, in their order; of several revisions of an outcome the newest counts."""
    by_round = {signal.round_id: signal for signal in signals}
    newest: dict[int, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda row: row.revision):
        newest[outcome.signal_id] = outcome
    models = ModelVersion.objects.in_bulk({model_id for row in rounds for model_id in row.model_ids if model_id})
    found = []
    for row in rounds:
        signal = by_round.get(row.pk)
        found.append(_facts(row, signal, newest.get(signal.pk) if signal else None, models))
    return found


def signals_of(rounds: Iterable[Round]) -> list[Signal]:
    """The signals that `rounds` issued."""
    issued = [row.pk for row in rounds if row.state == Round.State.ISSUED]
    return list(Signal.objects.filter(round_id__in=issued)) if issued else []


def _facts(row: Round, signal: Signal | None, outcome: Outcome | None, models: dict[int, ModelVersion]) -> RoundFacts:
    instrument = row.instrument
    return RoundFacts(
        public_id=str(signal.public_id) if signal else f"round-{row.pk}",
        instrument_id=instrument.pk,
        symbol=instrument.symbol,
        venue=instrument.venue.title,
        market_class=instrument.market_class,
        close_time=epoch(row.close_time),
        horizon_s=row.horizon_s,
        state=row.state,
        reason=row.reason,
        quorum=row.quorum,
        seats=row.seats,
        votes=_votes(row, models),
        lenses=_lenses(row),
        panel=_panel(row),
        direction=row.direction,
        score=row.score,
        probability=row.probability,
        track=_track(row),
        tier=signal.tier if signal else None,
        entry=signal.entry if signal else None,
        stop=signal.stop if signal else None,
        target=signal.target if signal else None,
        tick_size=instrument.tick_size,
        risk_score=row.risk_score,
        risk_label="" if row.risk_score is None else label_of(row.risk_score),
        risk_parts=tuple(sorted(row.risk_parts.items())),
        vetoes=tuple(row.vetoes),
        taints=tuple((flag.name or "").lower() for flag in TaintFlag(row.taint)),
        expected_move_bps=signal.expected_move_bps if signal else None,
        actionable=bool(signal and signal.actionable),
        suggested_risk=signal.suggested_risk if signal else None,
        suggested_position=signal.suggested_position if signal else None,
        risk_note=signal.risk_note if signal else "",
        outlook=outlook_of(row.outlook, row.close) if row.state in TRUSTED else None,
        decided_at=epoch(row.decided_at),
        outcome=_judgement(signal, outcome) if signal and outcome else None,
        permalink=reverse("signal", args=[signal.public_id]) if signal else "",
    )


def _votes(row: Round, models: dict[int, ModelVersion]) -> tuple[VoteFacts, ...]:
    """Votes in seat order; none where the round was never decided (missed)."""
    at = row.close_time
    votes = []
    for seat, key in enumerate(SEATS[: len(row.abstained)]):
        model = models.get(row.model_ids[seat]) if seat < len(row.model_ids) else None
        silent = row.abstained[seat]
        votes.append(
            VoteFacts(
                voter=key,
                title=VOTERS[key].title,
                p_down=row.p_down[seat],
                p_neutral=row.p_neutral[seat],
                p_up=row.p_up[seat],
                direction=None if silent else row.directions[seat],
                abstained=AbstainReason(silent).word if silent else None,
                latency_ms=row.latency_ms[seat] if row.latency_ms and not silent else None,
                version=f"v{model.pk}" if model else "",
                age_s=(at - model.trained_until).total_seconds() if model else None,
            )
        )
    return tuple(votes)


def _lenses(row: Round) -> tuple[LensFacts, ...]:
    """The five verdicts as they were given; none where the round is older than the lenses, or was never decided."""
    said = zip(LENS_KEYS, row.lens_directions, row.lens_reasons, strict=False)
    return tuple(LensFacts(key, LENSES[key].title, direction, reason) for key, direction, reason in said)


def _panel(row: Round) -> seven.SecondPanel | None:
    """The second panel: the lenses of the round and the votes of its two language models."""
    if len(row.lens_directions) != len(LENS_KEYS):
        return None
    places = [SEATS.index(seat) for seat in LANGUAGE_SEATS]
    return seven.count(row.lens_directions, [row.directions[place] for place in places])


def _track(row: Round) -> Track | None:
    """The history behind the round's probability: n and interval are stored, the rate follows from them.

    Wilson's interval is centred on (rate + z²/2n) / (1 + z²/n), which is solved here for the rate.
    """
    if row.probability is None or row.probability_n is None:
        return None
    low, high = row.probability_low or 0.0, row.probability_high if row.probability_high is not None else 1.0
    spread = Z95 * Z95 / max(row.probability_n, 1)
    rate = (low + high) / 2 * (1 + spread) - spread / 2
    floor = bin_of(row.probability) * BIN_WIDTH
    return Track(
        n=row.probability_n,
        rate=min(max(rate, 0.0), 1.0),
        low=low,
        high=high,
        bin_low=floor,
        bin_high=floor + BIN_WIDTH,
        source=row.probability_source,
    )


def _judgement(signal: Signal, outcome: Outcome) -> Judgement:
    return Judgement(
        result=outcome.result,
        at=epoch(signal.expires_at),
        open=outcome.entry,
        close=outcome.exit,
        note=outcome.reason,
        superseded=outcome.revision > 1,
    )
