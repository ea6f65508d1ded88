"""The live record of every voter: its votes on the newest judged minutes, measured in the background and kept.

A page only reads what was measured: a month of a panel is millions of votes. The sizing shadow is measured with it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import structlog
from django.db import connection
from numpy.typing import NDArray

from lib import clock
from markets.models import Instrument, Run
from markets.runs import market_time
from markets.values import FloatArray, IntArray
from models_ml.agents.meta import vote_log_odds
from models_ml.storing import finite
from models_ml.validation.contribution import errors_together, leave_one_out
from models_ml.validation.metrics import evaluate, rise_given_move, wilson
from models_ml.voters import SEATS
from signals import sizing_record
from signals.models import PanelRecord

log = structlog.get_logger(__name__)
LOOK_BACK = timedelta(days=30)
MOST_ROUNDS = 50_000
"""Newest judged rounds that are measured; with fifty instruments that is most of a day, with five a week."""

_JUDGED = """
SELECT r.close_time, r.p_down, r.p_neutral, r.p_up, r.directions, r.abstained, sign(c.close - c.open)::int
FROM signals_round r
JOIN markets_instrument i ON i.id = r.instrument_id
JOIN markets_candle c ON c.instrument_id = r.instrument_id AND c.open_time = r.close_time
WHERE i.venue_id = %s AND i.market_class = %s AND r.close_time > %s AND r.close_time <= %s
  AND cardinality(r.abstained) = %s
ORDER BY r.close_time DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """Votes on N minutes with what came of them."""

    probabilities: FloatArray  # (N, 9, 3), NaN where silent
    directions: NDArray[np.int8]  # (N, 9), 0 where neutral or silent
    labels: NDArray[np.int8]  # (N,) 0 down, 1 tie, 2 up
    times: IntArray  # (N,)


def measure(run: Run) -> list[PanelRecord]:
    """Measure every market class of the run's venue and keep the figures."""
    now = market_time(run)
    classes = Instrument.objects.filter(venue_id=run.venue_id, followed=True).values_list("market_class", flat=True)
    return [
        PanelRecord.objects.create(
            venue_id=run.venue_id,
            market_class=name,
            measured_at=clock.wall_now(),
            until=now,
            figures=figures_of(seen) | {"sizing": _sizing(run.venue_id, name, now)},
        )
        for name in sorted(set(classes))
        if len((seen := judged(run.venue_id, name, now)).labels)
    ]


def judged(venue_id: int, market_class: str, until: datetime) -> Judged:
    """The newest rounds whose next candle is there."""
    with connection.cursor() as cursor:
        cursor.execute(_JUDGED, [venue_id, market_class, until - LOOK_BACK, until, len(SEATS), MOST_ROUNDS])
        rows = cursor.fetchall()
    sides = [np.array([row[place] for row in rows], dtype=np.float64).reshape(-1, len(SEATS)) for place in (1, 2, 3)]
    silent = np.array([row[5] for row in rows], dtype=np.int64).reshape(-1, len(SEATS)) > 0
    said = np.array([[side or 0 for side in row[4]] for row in rows], dtype=np.int8).reshape(-1, len(SEATS))
    probabilities = np.where(silent[..., None], np.nan, np.stack(sides, axis=-1))
    return Judged(
        probabilities,
        np.where(silent, 0, said).astype(np.int8),
        np.array([row[6] + 1 for row in rows], dtype=np.int8),
        np.array([clock.epoch(row[0]) for row in rows], dtype=np.int64),
    )


def _sizing(venue_id: int, market_class: str, until: datetime) -> dict[str, Any] | None:
    """How the sizing shadow did; an operator is told when it comes to be better than Kelly."""
    found = sizing_record.figures_of(venue_id, market_class, until)
    before = newest(venue_id, market_class)
    if found and found["beats"] and not (before and (before.figures.get("sizing") or {}).get("beats")):
        log.warning("sizing_shadow_beats_kelly", venue_id=venue_id, market_class=market_class, **found)
    return None if found is None else dict(finite(found))


def newest(venue_id: int, market_class: str) -> PanelRecord | None:
    """What was measured last of a class."""
    return PanelRecord.objects.filter(venue_id=venue_id, market_class=market_class).order_by("-id").first()


def figures_of(seen: Judged) -> dict[str, Any]:
    """Plain figures of a panel: per voter, which voters err together, and what each adds to the others."""
    moved = seen.labels != 1
    up, odds = seen.labels[moved] == 2, vote_log_odds(seen.probabilities)[moved]
    added = leave_one_out(odds, up, seen.times[moved])
    together = errors_together(odds, up)
    found: dict[str, Any] = {
        "rounds": len(seen.labels),
        "first": int(seen.times.min()),
        "last": int(seen.times.max()),
        "voters": {seat: _voter(seen, place) for place, seat in enumerate(SEATS)},
        "correlation": [[None if np.isnan(value) else round(float(value), 4) for value in row] for row in together],
        "contributions": {} if added is None else dict(zip(SEATS, map(float, added), strict=True)),
    }
    return dict(finite(found))


def _voter(seen: Judged, place: int) -> dict[str, Any]:
    """One voter: hit rate of the sides it took, and how good its probabilities were, ties left out of both."""
    probabilities = seen.probabilities[:, place]
    spoke = np.isfinite(probabilities).all(axis=1)
    moved = spoke & (seen.labels != 1)
    sided = moved & (seen.directions[:, place] != 0)
    hits = int((seen.directions[sided, place] == seen.labels[sided] - 1).sum())
    n = int(sided.sum())
    low, high = wilson(hits, n)
    ups = float((seen.labels[sided] == 2).mean()) if n else None
    q, up = rise_given_move(probabilities[moved]), seen.labels[moved] == 2
    figures = evaluate(probabilities, seen.labels, seen.times)
    return {
        "n": n,
        "hit_rate": hits / n if n else None,
        "low": low,
        "high": high,
        "baseline": None if ups is None else max(ups, 1 - ups),
        "votes": int(spoke.sum()),
        "brier": float(((q - up) ** 2).mean()) if len(q) else None,
        "brier_skill": figures["brier_skill"],
        "slope": figures["reliability_slope"],
        "auc": figures["auc"],
    }
