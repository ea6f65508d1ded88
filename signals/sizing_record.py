"""The record of learned sizing: what it may learn from, and how its shadow did against volatility-targeted Kelly.

Background commands measure it and keep the figures in `PanelRecord`; pages and operators read what was kept.
"""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection

from lib import clock
from models_ml.agents.sizing_learning import Record
from models_ml.agents.sizing_rl import Decisions, brought_by, verdict
from models_ml.validation.metrics import DAY_S
from signals.confidence import MIN_N
from signals.sizing_shadow import SIDES

LEARN_BACK = timedelta(days=90)
MOST_LEARNED = 50_000
"""Newest judged decisions that are learned from."""
MOST_MEASURED = 200_000
LEAST_JUDGED, LEAST_DAYS = 1_000, 20
"""Judged rows, and UTC days that they lie on, under which nothing is said of who is better: days are what is drawn."""

_DECIDED = """
SELECT s.close_time, s.probability, s.payout, s.volatility, o.result, greatest(s.expires_at, o.evidence_observed_at)
FROM (
  SELECT s.*, sqrt((r.outlook->'variance'->>'60')::float8 / nullif((r.outlook->>'usual')::float8, 0)) AS volatility
  FROM signals_signal s
  JOIN markets_instrument i ON i.id = s.instrument_id
  JOIN signals_round r ON r.close_time = s.close_time AND r.id = s.round_id
  WHERE i.venue_id = %(venue)s AND i.market_class = %(market_class)s AND s.probability_n >= %(least)s
    AND s.close_time > %(since)s AND s.expires_at <= %(until)s
) s
JOIN LATERAL (
  SELECT result, evidence_observed_at FROM signals_outcome
  WHERE signal_id = s.id AND evidence_observed_at <= %(until)s ORDER BY revision DESC LIMIT 1
) o ON o.result <> 'void'
WHERE s.volatility IS NOT NULL ORDER BY s.close_time DESC, s.id DESC LIMIT %(most)s
"""
_SHADOWED = """
SELECT s.close_time, h.stake, h.kelly, s.payout, o.result, h.version_id FROM signals_sizingshadow h
JOIN signals_signal s ON s.id = h.signal_id
JOIN markets_instrument i ON i.id = s.instrument_id
JOIN LATERAL (SELECT result FROM signals_outcome WHERE signal_id = s.id ORDER BY revision DESC LIMIT 1) o
  ON o.result <> 'void'
WHERE i.venue_id = %s AND i.market_class = %s AND s.expires_at <= %s
ORDER BY s.expires_at DESC, s.id DESC LIMIT %s
"""


def recorded(venue_id: int, market_class: str, until: datetime) -> Record:
    """Issued signals of a class with calibrated probability, payout, forecast volatility and outcome, oldest first.

    Nothing that was judged from a candle received after `until` (market clock), not even a correction; void signals,
    which no candle judged, are left out.
    """
    given: dict[str, Any] = {
        "venue": venue_id, "market_class": market_class, "least": MIN_N, "since": until - LEARN_BACK, "until": until,
        "most": MOST_LEARNED,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_DECIDED, given)
        rows = cursor.fetchall()[::-1]
    numbers = np.array([row[1:4] for row in rows], dtype=np.float64).reshape(-1, 3)
    won = np.array([SIDES[row[4]] for row in rows], dtype=np.float64)
    times, known = (np.array([clock.epoch(row[place]) for row in rows], dtype=np.int64) for place in (0, 5))
    return Record(Decisions(times, numbers[:, 0], numbers[:, 1], numbers[:, 2], won), known)


def figures_of(venue_id: int, market_class: str, until: datetime) -> dict[str, Any] | None:
    """How the shadow of a class did on its judged rows, of all versions together; None where there is none yet.

    What `models_ml.agents.sizing_rl.verdict` says, on how many `days` and `versions`, how many rows and days are
    `missing` before it says anything, and `beats` only once none are.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SHADOWED, [venue_id, market_class, until, MOST_MEASURED])
        rows = cursor.fetchall()[::-1]
    if not rows:
        return None
    times = np.array([clock.epoch(row[0]) for row in rows], dtype=np.int64)
    stakes, kelly, payout = np.array([row[1:4] for row in rows], dtype=np.float64).T
    won = np.array([SIDES[row[4]] for row in rows], dtype=np.float64)
    found = verdict(stakes, kelly, brought_by(won, payout), times)
    days = len(np.unique(times // DAY_S))
    missing = {"rows": max(LEAST_JUDGED - len(rows), 0), "days": max(LEAST_DAYS - days, 0)}
    return found | {
        "beats": found["beats"] and not any(missing.values()),
        "days": days,
        "missing": missing,
        "versions": len({row[5] for row in rows}),
        "first": int(times[0]),
        "last": int(times[-1]),
    }
