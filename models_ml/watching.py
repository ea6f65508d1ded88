"""Promoted patterns in real time: seen as minutes close, judged by the next candle, retired when they stop working."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import structlog
from django.conf import settings
from django.db.models import Avg, Count, Max, Q
from numpy.typing import NDArray
from prometheus_client import Counter

from lib import clock
from markets.candles import load_panel
from markets.models import Candle, Instrument, Run
from markets.values import FloatArray, IntArray
from models_ml.models import Pattern, PatternOccurrence
from models_ml.patterns.matching import NAMED_LOOKBACK, confirmation, mined_matches, named_matches, window_of
from models_ml.patterns.windows import LOOKBACK, Descriptor
from models_ml.validation.metrics import wilson

log = structlog.get_logger(__name__)
RETIRED = Counter("candor_patterns_retired_total", "Promoted patterns that stopped working")

CATCH_UP = 5
"""Minutes that are looked at again: a task may be lost or come late, and a second look changes nothing."""
VOID_AFTER = timedelta(hours=24)
SOON, LATE = 30, 100
"""Judged occurrences from which a pattern can be retired: by its interval, by its rate."""
BP = 1e4
Outcome = PatternOccurrence.Outcome


def promoted_windows(venue_id: int, market_class: str) -> list[tuple[Descriptor, int]]:
    """The mined windows that may confirm a signal, with their direction."""
    rows = Pattern.objects.filter(
        venue_id=venue_id, market_class=market_class, state=Pattern.State.PROMOTED, kind=Pattern.Kind.MINED
    )
    return [(window_of(descriptor), way) for descriptor, way in rows.values_list("descriptor", "direction")]


def watch(run: Run, close_time: int, instrument_ids: Sequence[int]) -> int:
    """Note the promoted patterns that the last minutes made known; returns how many sightings are new."""
    patterns = list(Pattern.objects.filter(venue_id=run.venue_id, state=Pattern.State.PROMOTED))
    if not patterns:
        return 0
    seen: list[PatternOccurrence] = []
    for (market_class, calendar), ids in _groups(run, patterns, instrument_ids).items():
        wanted = [pattern for pattern in patterns if pattern.market_class == market_class]
        seen += _sightings(wanted, ids, close_time, calendar)
    fresh = _unknown(seen)
    PatternOccurrence.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)


def _groups(run: Run, patterns: list[Pattern], ids: Sequence[int]) -> dict[tuple[str, str], list[int]]:
    """The instruments of classes that have a promoted pattern, by class and calendar: one time axis each."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    classes = {pattern.market_class for pattern in patterns}
    found = Instrument.objects.filter(venue_id=run.venue_id, pk__in=ids, market_class__in=classes)
    for instrument in found.order_by("pk"):
        groups[instrument.market_class, instrument.calendar].append(instrument.pk)
    return groups


def _unknown(seen: list[PatternOccurrence]) -> list[PatternOccurrence]:
    """Those not stored yet; of one pattern and minute only the first counts, as in the search."""
    stored = PatternOccurrence.objects.filter(
        pattern_id__in={row.pattern_id for row in seen}, close_time__in={row.close_time for row in seen}
    )
    known = set(stored.values_list("pattern_id", "close_time", "instrument_id"))
    minutes = {(pattern, at) for pattern, at, _ in known}
    fresh = []
    for row in sorted(seen, key=lambda row: (row.pattern_id, row.close_time, row.instrument_id)):
        if (row.pattern_id, row.close_time, row.instrument_id) in known:
            continue
        row.counts = (row.pattern_id, row.close_time) not in minutes
        minutes.add((row.pattern_id, row.close_time))
        fresh.append(row)
    return fresh


def _sightings(patterns: list[Pattern], ids: list[int], close_time: int, calendar: str) -> list[PatternOccurrence]:
    named = [pattern for pattern in patterns if pattern.kind == Pattern.Kind.NAMED]
    mined = [pattern for pattern in patterns if pattern.kind == Pattern.Kind.MINED]
    panel = load_panel(ids, close_time, CATCH_UP + (NAMED_LOOKBACK if named else LOOKBACK), calendar=calendar)
    times, ohlcv = panel.open_times, panel.ohlcv
    windows = [window_of(pattern.descriptor) for pattern in mined]
    keys = [(pattern.key, pattern.direction) for pattern in named]
    parts = (
        (mined, mined_matches(times, ohlcv, windows, CATCH_UP)),
        (named, named_matches(times, ohlcv, keys, CATCH_UP)),
    )
    closes = times[-CATCH_UP:] + clock.MINUTE_S
    return [
        PatternOccurrence(pattern=group[who], instrument_id=ids[where], close_time=at)
        for group, matches in parts
        for who, where, when in np.argwhere(matches)
        if (at := clock.from_epoch(int(closes[when]))) > (group[who].promoted_at or at)
    ]


def judge(run: Run, now: datetime) -> int:
    """Judge the occurrences whose next candle is there, and retire what stopped working; how many were judged."""
    waiting = list(
        PatternOccurrence.objects.filter(
            outcome=Outcome.OPEN, pattern__venue_id=run.venue_id, close_time__lt=now
        ).select_related("pattern")
    )
    if not waiting:
        return 0
    candles = Candle.objects.filter(
        instrument_id__in={row.instrument_id for row in waiting}, open_time__in={row.close_time for row in waiting}
    )
    bars = {(row.instrument_id, row.open_time): row for row in candles}
    judged = [row for row in waiting if _settle(row, bars.get((row.instrument_id, row.close_time)), now)]
    for row in judged:
        same = PatternOccurrence.objects.filter(pk=row.pk, outcome=Outcome.OPEN)
        same.update(outcome=row.outcome, result_bps=row.result_bps)
    for pattern in {row.pattern_id: row.pattern for row in judged}.values():
        _count(pattern, now)
    return len(judged)


def _settle(row: PatternOccurrence, candle: Candle | None, now: datetime) -> bool:
    """Fill in what became of it; False while that is unknown."""
    if candle is None:
        row.outcome = Outcome.VOID
        return now - row.close_time > VOID_AFTER
    result = row.pattern.direction * float(np.log(candle.close / candle.open)) * BP
    row.result_bps = result
    row.outcome = Outcome.WON if result > 0 else Outcome.LOST if result < 0 else Outcome.TIE
    return True


def _count(pattern: Pattern, now: datetime) -> None:
    """Count its live record anew, and retire it where the rule says so."""
    moved = Q(outcome__in=[Outcome.WON, Outcome.LOST])
    facts = pattern.occurrences.filter(counts=True).aggregate(
        n=Count("pk", filter=moved),
        hits=Count("pk", filter=Q(outcome=Outcome.WON)),
        result=Avg("result_bps"),
        last=Max("close_time"),
    )
    reason = reason_to_retire(facts["hits"], facts["n"], pattern.base_rate, settings.PAYOUT)
    changes = {
        "live_n": facts["n"],
        "live_hits": facts["hits"],
        "live_result_bps": facts["result"],
        "last_seen": facts["last"],
    }
    if reason and pattern.state == Pattern.State.PROMOTED:
        changes |= {"state": Pattern.State.RETIRED, "retired_at": now, "reason": reason}
        RETIRED.inc()
        log.warning("pattern_retired", pattern=pattern.key, direction=pattern.direction, reason=reason)
    Pattern.objects.filter(pk=pattern.pk).update(**changes)


def reason_to_retire(hits: int, n: int, base_rate: float, payout: float) -> str:
    """Why a pattern is retired, empty while it is not; ties are in neither number.

    From 30 judged occurrences on where the upper end of the 95 % interval of its hit rate is under the base rate of its
    direction; from 100 on where the hit rate itself is under the break-even of the stated payout.
    """
    if n >= SOON and wilson(hits, n)[1] < base_rate:
        most = wilson(hits, n)[1]
        return f"after {n} live occurrences at most {most:.1%} are right, under the base rate {base_rate:.1%}"
    break_even = 1 / (1 + payout)
    if n >= LATE and hits / n < break_even:
        return f"right in {hits / n:.1%} of {n} live occurrences, under the break-even {break_even:.1%}"
    return ""


def confirming(venue_id: int, market_class: str, open_times: IntArray, ohlcv: FloatArray) -> NDArray[np.int8]:
    """The side that promoted mined windows take at the last candle, (I,)."""
    return confirmation(open_times, ohlcv, promoted_windows(venue_id, market_class))
