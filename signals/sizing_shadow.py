"""The shadow of the learned sizing: what it would stake on a signal, written before anybody knows the outcome.

It runs in a task of its own after the round is written, so that nothing of it can cost a round anything. It changes no
suggested size, and nothing else reads its rows but `sizing_record`.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from django.db import connection, transaction
from django.db.models import QuerySet

from lib import clock
from markets.models import Run
from markets.runs import market_time
from models_ml import sizing_shadow
from models_ml.agents.sizing_rl import EPISODE, Account, Decisions
from signals.confidence import MIN_N
from signals.models import Outcome, Round, Signal, SizingShadow
from signals.outlook import ratio_of

SIDES = {Outcome.Result.WON: 1.0, Outcome.Result.TIE: 0.0, Outcome.Result.LOST: -1.0}
"""What a result is to a stake; a void one is none and is left out."""

_JUDGED = """
SELECT h.stake, s.payout, o.result FROM signals_signal s
JOIN signals_sizingshadow h ON h.signal_id = s.id
JOIN markets_instrument i ON i.id = s.instrument_id
JOIN LATERAL (SELECT result FROM signals_outcome WHERE signal_id = s.id ORDER BY revision DESC LIMIT 1) o
  ON o.result <> 'void'
WHERE i.venue_id = %s AND i.market_class = %s AND s.expires_at <= %s
ORDER BY s.expires_at DESC, s.id DESC LIMIT %s
"""


def record(run: Run, signal_ids: Sequence[int]) -> int:
    """Write the shadow of those signals of the run that are still open and have none; returns the rows written.

    A signal without a known probability, or without a forecast of volatility, is not sized by either of the two.
    """
    groups: dict[str, list[tuple[Signal, float]]] = defaultdict(list)
    waiting = _open(run, signal_ids).filter(probability_n__gte=MIN_N, sizing_shadow=None)
    for signal, volatility in _with_volatility(list(waiting.select_related("instrument"))):
        groups[signal.instrument.market_class].append((signal, volatility))
    return sum(_record(run, name, group) for name, group in groups.items())


def account_of(venue_id: int, market_class: str, until: int) -> Account:
    """The shadow's account: its newest `EPISODE` judged stakes by `until` (epoch s), oldest first, from a fresh start.

    The policy learned on accounts no older than that, so an older peak would be one that it never saw.
    """
    account = Account()
    with connection.cursor() as cursor:
        cursor.execute(_JUDGED, [venue_id, market_class, clock.from_epoch(until), EPISODE])
        rows = cursor.fetchall()
    for staked, payout, result in reversed(rows):
        side = SIDES[result]
        account.take(staked, payout if side > 0 else side)
    return account


def _open(run: Run, signal_ids: Sequence[int]) -> QuerySet[Signal]:
    """Those whose outcome nobody can know yet."""
    return Signal.objects.filter(
        pk__in=signal_ids, instrument__venue_id=run.venue_id, expires_at__gt=market_time(run), outcomes=None
    ).order_by("pk")


def _with_volatility(signals: list[Signal]) -> list[tuple[Signal, float]]:
    """Signals with the forecast that their round was decided with; those without one are left out."""
    times, ids = {signal.close_time for signal in signals}, [signal.round_id for signal in signals]
    said = dict(Round.objects.filter(close_time__in=times, pk__in=ids).values_list("pk", "outlook"))
    found = [(signal, ratio_of(said.get(signal.round_id, {}))) for signal in signals]
    return [(signal, ratio) for signal, ratio in found if ratio is not None]


def _record(run: Run, market_class: str, group: list[tuple[Signal, float]]) -> int:
    at = max(clock.epoch(signal.close_time) for signal, _ in group)
    account = account_of(run.venue_id, market_class, at)
    staked = sizing_shadow.stake(run.venue_id, market_class, _decisions(group), account, at)
    if staked is None:
        return 0
    drawdown, now = 1 - account.equity / account.peak, market_time(run)
    rows = [
        SizingShadow(
            signal=signal,
            version_id=staked.version_id,
            stake=float(stake),
            kelly=float(kelly),
            volatility=volatility,
            drawdown=drawdown,
            recent=account.recent,
            decided_at=now,
        )
        for (signal, volatility), stake, kelly in zip(group, staked.stakes, staked.kelly, strict=True)
    ]
    with transaction.atomic():  # the policy had its time: whatever was judged meanwhile is too late
        still = set(_open(run, [signal.pk for signal, _ in group]).values_list("pk", flat=True))
        rows = [row for row in rows if row.signal_id in still]
        SizingShadow.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _decisions(group: list[tuple[Signal, float]]) -> Decisions:
    """Signals as the policy reads them; what came of them is not known yet and is not read."""
    return Decisions(
        np.array([clock.epoch(signal.close_time) for signal, _ in group], dtype=np.int64),
        np.array([signal.probability for signal, _ in group], dtype=np.float64),
        np.array([signal.payout for signal, _ in group], dtype=np.float64),
        np.array([volatility for _, volatility in group], dtype=np.float64),
        np.full(len(group), np.nan),
    )
