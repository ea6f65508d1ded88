"""What became of the signals: the counts that every stated probability is held against."""

from functools import lru_cache

from django.db import connection
from django.db.models import Max

from signals.confidence import BIN_WIDTH, Bin, bin_of
from signals.models import Outcome

_BINS = """
SELECT least(floor(s.probability / %s + 1e-9)::int, %s) AS bin, count(*) AS n,
       count(*) FILTER (WHERE o.result = 'won') AS won
FROM signals_signal s
JOIN markets_instrument i ON i.id = s.instrument_id
JOIN LATERAL (SELECT result FROM signals_outcome o WHERE o.signal_id = s.id ORDER BY revision DESC LIMIT 1) o ON true
WHERE i.venue_id = %s AND s.probability IS NOT NULL AND o.result <> 'void'
GROUP BY 1
"""


def live_bins(venue_id: int) -> dict[int, Bin]:
    """Judged signals of a venue by the 5-point bin of their stated probability; ties count as not right."""
    newest = Outcome.objects.aggregate(newest=Max("pk"))["newest"] or 0
    return _bins(venue_id, newest)


@lru_cache(maxsize=8)
def _bins(venue_id: int, newest: int) -> dict[int, Bin]:
    """Counted once per newest outcome: the record only grows, and a minute must not pay for all of it."""
    with connection.cursor() as cursor:
        cursor.execute(_BINS, [BIN_WIDTH, bin_of(1.0), venue_id])
        return {number: Bin(n, won) for number, n, won in cursor.fetchall()}
