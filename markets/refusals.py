"""Refused candles are not dropped in silence: counted per instrument, day and reason, with the last one as it came."""

from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray
from prometheus_client import Counter
from psycopg.types.json import Jsonb

from markets.validation import CandleRows, samples, verdicts

REFUSED = Counter("candor_candles_refused_total", "Candles that were refused", ["reason"])

_COUNT = """
INSERT INTO markets_refusal (instrument_id, day, reason, count, sample) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (instrument_id, day, reason)
DO UPDATE SET count = markets_refusal.count + EXCLUDED.count, sample = EXCLUDED.sample
"""


def count_refused(rows: CandleRows, now: datetime) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which rows (N,) may be stored, and how many were refused for which reason (reasons that hit only)."""
    good = np.ones(len(rows), np.bool_)
    counts: dict[str, int] = {}
    for reason, hit in verdicts(rows, now.timestamp()).items():
        if hit.any():
            good &= ~hit
            counts[reason.value] = int(hit.sum())
            _keep(rows, hit, reason.value, now)
    return good, counts


def _keep(rows: CandleRows, hit: NDArray[np.bool_], reason: str, now: datetime) -> None:
    REFUSED.labels(reason).inc(int(hit.sum()))
    found: list[Any] = [(key, now.date(), reason, count, Jsonb(sample)) for key, count, sample in samples(rows, hit)]
    with connection.cursor() as cursor:
        cursor.executemany(_COUNT, found)
