"""Drift: voters whose log loss rose, or whose features left what they learned from, are muted and trained anew.

Only background commands import this: river takes seconds. The stream of a voter begins with its promotion, or when its
last mute was lifted, so nobody is muted twice for the same past.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path

import numpy as np
import structlog
from django.conf import settings
from django.db import connection

from lib import clock
from markets.models import Instrument, Run
from markets.runs import market_time
from markets.values import FloatArray
from models_ml import artifacts, muting
from models_ml.features import FEATURES_HASH, VECTOR, WARM_UP
from models_ml.models import ModelVersion, Mute
from models_ml.samples import Samples
from models_ml.training import samples_of
from models_ml.voters import LOCAL_SEATS, SEATS
from models_ml.voters.base import CorruptArtifact

log = structlog.get_logger(__name__)

LOOK_BACK = timedelta(days=7)
WORST = 3.0
"""Nats at which a loss is capped: ADWIN wants a bounded stream, and one surprise is no drift."""
DELTA = 0.002
"""ADWIN's confidence: the chance of a false alarm (Bifet and Gavaldà, SDM 2007)."""
DAY_MINUTES = 1440
MOST_ROWS = 100_000
"""Rows whose features are built to look at the last day's; of fifty instruments a third of them fall into it."""

_LOSSES = """
SELECT r.close_time, avg(least(-ln(greatest(
         CASE WHEN c.close > c.open THEN r.p_up[%(place)s] ELSE r.p_down[%(place)s] END
         / nullif(r.p_up[%(place)s] + r.p_down[%(place)s], 0), 1e-9)), %(worst)s))
FROM signals_round r
JOIN markets_instrument i ON i.id = r.instrument_id
JOIN markets_candle c ON c.instrument_id = r.instrument_id AND c.open_time = r.close_time
WHERE i.venue_id = %(venue)s AND i.market_class = %(market_class)s
  AND r.close_time > %(since)s AND r.close_time <= %(until)s
  AND r.model_ids[%(place)s] = %(model)s AND r.abstained[%(place)s] = 0 AND c.close <> c.open
GROUP BY r.close_time ORDER BY r.close_time
"""


@dataclass(frozen=True, slots=True)
class Drift:
    """Why a voter is to be muted."""

    reason: Mute.Reason
    detail: str


def check(run: Run) -> list[Mute]:
    """Look at every champion that votes, and mute those that drifted; the mutes made."""
    made, until = [], market_time(run)
    recent = cache(partial(recent_rows, run.venue_id, until=until))
    champions = ModelVersion.objects.filter(venue_id=run.venue_id, state=ModelVersion.State.CHAMPION)
    for version in champions.filter(voter__in=LOCAL_SEATS).order_by("pk"):
        if version.voter in muting.muted_seats(run.venue_id, version.market_class):
            continue
        found = loss_drift(version, until) or feature_drift(version, until, recent)
        if found:
            by = "command:review_panel"
            made.append(
                muting.mute(run.venue_id, version.market_class, version.voter, found.reason, by=by, detail=found.detail)
            )
    return made


def loss_drift(version: ModelVersion, until: datetime) -> Drift | None:
    """Whether the log loss of a champion's judged votes rose, minute by minute, ties left out."""
    since = max(_since(version), until - LOOK_BACK)
    with connection.cursor() as cursor:
        cursor.execute(
            _LOSSES,
            {
                "place": SEATS.index(version.voter) + 1,
                "worst": WORST,
                "venue": version.venue_id,
                "market_class": version.market_class,
                "since": since,
                "until": until,
                "model": version.pk,
            },
        )
        losses = np.array([loss for _, loss in cursor.fetchall() if loss is not None], dtype=np.float64)
    change = rise_in(losses)
    if change is None:
        return None
    before, after = change
    return Drift(Mute.Reason.LOSS, f"log loss rose from {before:.3f} to {after:.3f} over {len(losses)} minutes")


def rise_in(losses: FloatArray) -> tuple[float, float] | None:
    """Mean before and after, in nats, where ADWIN last cut the stream (N,) because the losses rose; else None."""
    from river.drift import ADWIN

    window, cut = ADWIN(delta=DELTA), 0  # type: ignore[no-untyped-call]  # river has no types
    for seen, loss in enumerate(losses.tolist(), start=1):
        window.update(loss / WORST)  # type: ignore[no-untyped-call]  # as above
        if window.drift_detected:
            cut = seen - int(window.width)
    if not 0 < cut < len(losses):
        return None
    before, after = float(losses[:cut].mean()), float(losses[cut:].mean())
    return (before, after) if after > before else None  # where it fell, what was wrong is over


def recent_rows(venue_id: int, market_class: str, *, until: datetime) -> Samples:
    """At most `MOST_ROWS` minutes of the last day and of the warm-up before it, the same for every voter."""
    ids = Instrument.objects.filter(venue_id=venue_id, market_class=market_class, followed=True)
    days = -(-(DAY_MINUTES + WARM_UP) // DAY_MINUTES) + 1
    return samples_of(list(ids.values_list("pk", flat=True)), clock.epoch(until), days, most=MOST_ROWS)


def feature_drift(
    version: ModelVersion, until: datetime, recent: Callable[[str], Samples] | None = None
) -> Drift | None:
    """Whether the last day's features lie farther from the training slice than that slice's own days did.

    `recent` gives the `recent_rows` of a class that were built already.
    """
    folder = Path(settings.ARTIFACTS_DIR) / version.path
    try:
        slice_ = artifacts.read_slice(folder, version.voter, version.sha256, FEATURES_HASH)
    except CorruptArtifact:
        return None  # it abstains as corrupt or too old already
    if slice_ is None:
        return None
    since = max(_since(version), until - timedelta(days=1))
    samples = (recent or partial(recent_rows, version.venue_id, until=until))(version.market_class)
    rows = samples.pick(samples.open_times[samples.index[:, 1]] + clock.MINUTE_S > clock.epoch(since))
    if len(rows) < DAY_MINUTES // 2:
        return None
    columns = np.array([VECTOR.index(name) for name in slice_.columns])
    distance = slice_.distance(rows.matrix(columns))
    if distance <= slice_.limit:
        return None
    return Drift(Mute.Reason.FEATURES, f"median PSI {distance:.2f} over {len(rows)} rows, limit {slice_.limit:.2f}")


def _since(version: ModelVersion) -> datetime:
    """From when on a champion is held to its record."""
    lifted = Mute.objects.filter(
        venue_id=version.venue_id, market_class=version.market_class, voter=version.voter, lifted_at__isnull=False
    )
    newest = lifted.order_by("-lifted_at").values_list("lifted_at", flat=True).first()
    return max(version.trained_until, newest) if newest else version.trained_until
