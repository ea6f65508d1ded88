"""Candle ingest: rows a second against Django's `bulk_create` with conflict updates, on the same table.

The peer upserts as a Django application would: `bulk_create(update_conflicts=True)`, 2,000 rows a batch. Both write
the same rows into empty months of one PostgreSQL (a suite database without fsync, so disks do not decide), in one
process and over one connection. `reach` holds the goals of docs/performance.md, `ok` whether they were met.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import django
import numpy as np

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
django.setup()


from lib.clock import from_epoch  # noqa: E402
from markets.candles import Source, store_closed  # noqa: E402
from markets.models import Candle, Instrument, Venue  # noqa: E402
from markets.validation import CandleRows  # noqa: E402
from markets.values import Ohlcv  # noqa: E402
from tests.database import own_database  # noqa: E402

START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
INSTRUMENTS = 50


def best(repeats: int, work: Callable[[int], object]) -> tuple[float, float]:
    """Best and median seconds of `repeats` calls; each gets its number."""
    took = []
    for number in range(repeats):
        begin = time.perf_counter()
        work(number)
        took.append(time.perf_counter() - begin)
    return min(took), float(np.median(took))


def tell(name: str, *, ok: bool, **facts: float | int) -> None:
    """One JSON line."""
    shown = {key: round(value, 3) if isinstance(value, float) else value for key, value in facts.items()}
    print(json.dumps({"bench": name, **shown, "ok": ok}), flush=True)


def walks(ids: list[int], minutes: int, start: int) -> CandleRows:
    """Random candles of all instruments, minute by minute."""
    rng = np.random.default_rng(3)
    count = len(ids) * minutes
    base = 100 + rng.random(count)
    ohlcv = np.stack([base, base + 1, base - 1, base + rng.normal(0, 0.3, count), rng.random(count)], axis=1)
    times = np.repeat(start + 60 * np.arange(minutes), len(ids))
    return CandleRows(
        np.tile(np.array(ids), minutes), times, ohlcv, np.ones(count, np.bool_), np.zeros(count, np.int64)
    )


def peer(rows: CandleRows) -> None:
    """The same rows as Django's bulk_create would upsert them."""
    now = from_epoch(START + 40 * 86_400)
    candles = [
        Candle(
            instrument_id=int(key),
            open_time=from_epoch(int(at)),
            open=float(v[0]),
            high=float(v[1]),
            low=float(v[2]),
            close=float(v[3]),
            volume=float(v[4]),
            observed_at=now,
            source=2,
            flags=0,
        )
        for key, at, v in zip(rows.instrument_ids, rows.open_times, rows.ohlcv, strict=True)
    ]
    fields = ["open", "high", "low", "close", "volume", "observed_at", "source", "flags"]
    Candle.objects.bulk_create(
        candles,
        update_conflicts=True,
        unique_fields=["instrument", "open_time"],
        update_fields=fields,
        batch_size=2000,
    )


def against_bulk_create(ids: list[int], minutes: int, now: datetime) -> bool:
    """Rows a second of fresh rows and of rows that are there already, ours and the peer's, in turn."""
    day = 3 * 86_400
    batches = [walks(ids, minutes, START + day * n) for n in range(6)]
    size = len(batches[0])
    ours, _ = best(3, lambda n: store_closed(batches[2 * n], source=Source.REST, now=now))
    theirs, _ = best(3, lambda n: peer(batches[2 * n + 1]))
    again, _ = best(3, lambda n: store_closed(batches[2 * n], source=Source.REST, now=now))
    their_again, _ = best(3, lambda n: peer(batches[2 * n + 1]))
    changed = [walks(ids, minutes, START + day * 2 * n) for n in range(3)]
    for batch in changed:
        batch.ohlcv[:, 4] += 1
    corrected, _ = best(3, lambda n: store_closed(changed[n], source=Source.REST, now=now))
    met = theirs / ours >= 8
    tell(
        "ingest",
        ok=met,
        rows=size,
        ours_rows_s=int(size / ours),
        bulk_create_rows_s=int(size / theirs),
        ratio=theirs / ours,
        reach_ratio=8,
        known_rows_ratio=their_again / again,
        corrections_rows_s=int(size / corrected),
    )
    return met


def a_minute(ids: list[int], repeats: int, now: datetime) -> bool:
    """One closing minute of 50 instruments, as the feed stores it."""
    start = START + 20 * 86_400

    def store(number: int) -> None:
        pairs = [(key, Ohlcv("x", start + 60 * number, 100, 101, 99, 100.5, 1.0)) for key in ids]
        store_closed(pairs, source=Source.STREAM, now=now)

    low, median = best(repeats, store)
    tell(
        "ingest_minute",
        ok=median <= 0.010,
        instruments=len(ids),
        best_ms=low * 1e3,
        median_ms=median * 1e3,
        reach_ms=10,
    )
    return median <= 0.010


def main() -> int:
    """Print the figures; 1 when a goal was missed."""
    quick = os.environ.get("QUICK") == "1"
    with own_database():
        venue = Venue.objects.create(key="bench", adapter="simulated", title="bench", kind="simulated")
        ids = [
            Instrument.objects.create(
                venue=venue, raw_symbol=f"X{n}", symbol=f"X{n}", base="X", quote="", market_class="crypto"
            ).pk
            for n in range(INSTRUMENTS)
        ]
        now = from_epoch(START + 60 * 86_400)
        met = against_bulk_create(ids, 200 if quick else 1000, now)
        met &= a_minute(ids, 40 if quick else 200, now)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
