"""Search a venue's stored candles for patterns, and keep what was tried, what was found and what was believed."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
import structlog
from django.db import transaction

from lib import clock
from lib.errors import CandorError
from markets import candles
from markets.models import Instrument, Venue
from models_ml.models import MiningRun, Pattern
from models_ml.patterns.mining import FDR, STEP_S, Mined, Trial, mine

log = structlog.get_logger(__name__)
HISTORY_DAYS = 30
DAY_MINUTES = 1440
LEAST_MINUTES = 3 * DAY_MINUTES
"""A shorter history has no later part worth a test."""

_TESTED = (
    *("descriptor", "state", "run", "early_n", "early_hits", "later_n", "later_hits", "later_ties", "base_rate"),
    *("p_value", "q_value", "result_bps", "risk_reward", "first_seen", "last_seen", "promoted_at"),
)


class NothingToMineError(CandorError):
    """No market class of the venue has enough stored candles."""


def prospect(venue: Venue, *, until: datetime | None = None, days: int = HISTORY_DAYS) -> list[MiningRun]:
    """Mine every market class of the venue's followed instruments; one run each.

    Args:
        until: market time of the last candle to read; the newest stored one by default.
        days: how far back to read.

    Raises:
        NothingToMineError: no class has three days of candles.
    """
    classes: dict[tuple[str, str], list[int]] = defaultdict(list)
    for instrument in Instrument.objects.filter(venue=venue, followed=True).order_by("pk"):
        classes[instrument.market_class, instrument.calendar].append(instrument.pk)
    runs = [_prospect_class(venue, *which, ids, until, days) for which, ids in classes.items()]
    done = [run for run in runs if run is not None]
    if not done:
        least = LEAST_MINUTES // DAY_MINUTES
        raise NothingToMineError(f"{venue.key} has no instrument with {least} days of candles: import or download some")
    return done


def _prospect_class(
    venue: Venue, market_class: str, calendar: str, ids: list[int], until: datetime | None, days: int
) -> MiningRun | None:
    newest = max(candles.newest_open_times(ids).values(), default=None)
    if newest is None:
        return None
    end = newest + STEP_S
    if until is not None:
        end = min(end, clock.epoch(until) // STEP_S * STEP_S)
    panel = candles.load_panel(ids, end, days * DAY_MINUTES, calendar=calendar)
    known = np.flatnonzero(np.isfinite(panel.ohlcv[..., 3]).any(axis=0))
    if not len(known) or len(panel.open_times) - known[0] < LEAST_MINUTES:
        return None
    times, ohlcv = panel.open_times[known[0] :], panel.ohlcv[:, known[0] :]
    run = MiningRun.objects.create(
        venue=venue,
        market_class=market_class,
        started_at=clock.wall_now(),
        mined_from=clock.from_epoch(int(times[0])),
        mined_until=clock.from_epoch(end),
        instruments=len(ids),
        fdr=FDR,
    )
    try:
        record(run, mine(times, ohlcv))
    except BaseException as error:
        _finish(run, state=MiningRun.State.FAILED, detail=str(error)[:500])
        raise
    return run


@transaction.atomic
def record(run: MiningRun, mined: Mined) -> None:
    """Write what a search found: new candidates, promotions, and newer figures of candidates that were there before.

    A promoted pattern keeps the figures it was promoted with, a retired one its end.
    """
    before = {(row.key, row.direction): row for row in Pattern.objects.filter(**_whose(run))}
    fresh = [trial for trial in mined.trials if (trial.key, trial.direction) not in before]
    again = [
        (row, trial)
        for trial in mined.trials
        if (row := before.get((trial.key, trial.direction))) and row.state == Pattern.State.CANDIDATE
    ]
    Pattern.objects.bulk_create([Pattern(**_whose(run), **_columns(run, trial)) for trial in fresh], batch_size=1000)
    for row, trial in again:
        for name, value in _columns(run, trial).items():
            setattr(row, name, value)
    Pattern.objects.bulk_update([row for row, _ in again], _TESTED, batch_size=500)
    promoted = sum(trial.is_promoted for trial in fresh) + sum(trial.is_promoted for _, trial in again)
    _finish(
        run,
        state=MiningRun.State.DONE,
        split_at=clock.from_epoch(mined.split_at),
        windows=mined.windows,
        tried=mined.tried,
        candidates=len(mined.trials),
        promoted=len(mined.promoted),
        base_up=mined.base_up,
        base_down=mined.base_down,
    )
    log.info("patterns_mined", run=run.pk, tried=mined.tried, candidates=len(mined.trials), newly_promoted=promoted)


def _whose(run: MiningRun) -> dict[str, Any]:
    return {"venue_id": run.venue_id, "market_class": run.market_class}


def _columns(run: MiningRun, trial: Trial) -> dict[str, Any]:
    seen = [at for at in (trial.later.last, trial.earlier.last) if at is not None]
    first = [at for at in (trial.earlier.first, trial.later.first) if at is not None]
    return {
        "kind": trial.kind,
        "key": trial.key,
        "direction": trial.direction,
        "descriptor": trial.descriptor,
        "state": Pattern.State.PROMOTED if trial.is_promoted else Pattern.State.CANDIDATE,
        "run": run,
        "early_n": trial.earlier.n,
        "early_hits": trial.earlier.hits,
        "later_n": trial.later.n,
        "later_hits": trial.later.hits,
        "later_ties": trial.later.ties,
        "base_rate": trial.base,
        "p_value": trial.p,
        "q_value": trial.q,
        "result_bps": trial.later.result_bps,
        "risk_reward": trial.later.risk_reward,
        "first_seen": _closed(first),
        "last_seen": _closed(seen),
        "promoted_at": run.mined_until if trial.is_promoted else None,
    }


def _closed(open_times: Iterable[int]) -> datetime | None:
    """Close of the first of these candles."""
    return next((clock.from_epoch(at + STEP_S) for at in open_times), None)


def _finish(run: MiningRun, **facts: object) -> None:
    facts["finished_at"] = clock.wall_now()
    for name, value in facts.items():
        setattr(run, name, value)
    run.save(update_fields=list(facts))
