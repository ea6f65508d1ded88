"""Reads of the candle store: the latest 500 candles against Django's own model instances, and windows of 50.

Both read the same rows of one PostgreSQL over one connection, in turn, in one run. The live window (`LiveWindow`) is
what a decision reads: after its first load a minute costs the rows of that minute.
"""

import sys
from collections.abc import Callable

from bench.ingest import INSTRUMENTS, START, best, tell, walks
from bench.rig import QUICK
from lib.clock import from_epoch
from markets.candles import Source, latest, load_panel, store_closed
from markets.models import Candle, Instrument, Venue
from markets.window import LiveWindow
from tests.database import own_database

BARS = 1500
LATEST = 500
REPEATS = 15 if QUICK else 60


def orm(instrument_id: int) -> list[Candle]:
    """The same rows as instances, oldest first."""
    rows = Candle.objects.filter(instrument_id=instrument_id).order_by("-open_time")[:LATEST]
    return list(rows)[::-1]


def main() -> int:
    """Print the figures; 1 when a goal was missed."""
    with own_database():
        venue = Venue.objects.create(key="bench", adapter="simulated", title="bench", kind="simulated")
        names = [f"X{number}" for number in range(INSTRUMENTS)]
        rows = [Instrument(venue=venue, raw_symbol=n, symbol=n, base=n, quote="", market_class="crypto") for n in names]
        ids = [row.pk for row in Instrument.objects.bulk_create(rows)]
        store_closed(walks(ids, BARS, START), source=Source.REST, now=from_epoch(START + 3 * 86_400))
        return 0 if measure(ids) else 1


def measure(ids: list[int]) -> bool:
    """Every read, the peer first."""
    end, window = START + BARS * 60, LiveWindow(ids, 1440)
    assert [row.close for row in orm(ids[0])] == latest(ids[0], LATEST)["close"].tolist()
    _, peer = best(REPEATS, lambda _: orm(ids[0]))
    met = True
    reads: list[tuple[str, float, Callable[[int], object]]] = [
        ("latest 500 candles", 1.0, lambda _: latest(ids[0], LATEST)),
        ("panel of 50 x 500", 60.0, lambda _: load_panel(ids, end, 500)),
        ("live window of 50 x 1440, next minute", 60.0, lambda n: window.panel(end - 60 * (REPEATS - n))),
    ]
    for name, gate, work in reads:
        work(0)
        low, median = best(REPEATS, work)
        met &= median * 1e3 <= gate
        peers = {"orm_median_ms": peer * 1e3, "ratio": peer / median} if name.startswith("latest") else {}
        facts = {"best_ms": low * 1e3, "median_ms": median * 1e3, "gate_ms": gate, **peers}
        tell(name, ok=median * 1e3 <= gate, **facts)
    return met


if __name__ == "__main__":
    sys.exit(main())
