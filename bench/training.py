"""Training: processor time of `quick`, and the memory of what a training reads: `python -m bench.training`.

Both go the way of a live training: candles and books from PostgreSQL, `train` into the registry, `samples_of` at the
sizes of `standard`. Each step is a process of its own, because a peak covers everything a process has done; the one
that starts them stays small, because a child's peak begins at its parent's.
"""

import os
import resource
import subprocess
import sys
import time
from tempfile import TemporaryDirectory

import django
import numpy as np

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
django.setup()

from bench.rig import QUICK, ROOT, report  # noqa: E402
from lib.clock import from_epoch  # noqa: E402
from markets.models import Instrument, Venue  # noqa: E402
from tests.database import own_database  # noqa: E402

DAY_MINUTES, TICK = 1440, 0.01
LEARNED, READ = (8, 3), (50, 9 if QUICK else 90)
"""Instruments and days."""
BOOKS = 1 if QUICK else 3
"""Days of books beside what is read: of fifty instruments, training reads no more."""
GATE_S, GATE_GIB = 180.0, 3.0


def store(key: str, instruments: int, days: int) -> None:
    """A venue with so many instruments and candles."""
    from bench.features import market
    from markets.candles import Source, store_closed
    from markets.validation import CandleRows

    venue = Venue.objects.create(key=key, adapter="simulated", title=key, kind=Venue.Kind.SIMULATED)
    times, candles = market(instruments, days * DAY_MINUTES)
    for number, ohlcv in enumerate(candles):
        base = f"X{number}"
        instrument = Instrument.objects.create(
            venue=venue, raw_symbol=f"{base}/USDT", symbol=f"{base}/USDT", base=base, quote="USDT",
            market_class="crypto", tick_size=TICK, followed=True,
        )  # fmt: skip
        rows = CandleRows.series(instrument.pk, times, ohlcv)
        store_closed(rows, source=Source.REST, observed_at=times + 61.0, now=from_epoch(int(times[-1]) + 120))


def books(key: str, days: int) -> None:
    """A book every five seconds, and a trade a second, of the last days of a venue."""
    from markets.candles import newest_open_times

    ids = list(Instrument.objects.filter(venue__key=key).values_list("pk", flat=True))
    end = max(newest_open_times(ids).values()) + 60
    for day in range(days):
        _books_of_a_day(ids, end - day * DAY_MINUTES * 60)


def _books_of_a_day(ids: list[int], end: int) -> None:
    from bench.panel import books_of
    from markets.books import PackedBooks, PackedFlow, store_books, store_flow
    from markets.candles import load_ohlcv

    minutes: dict[int, dict[int, PackedBooks]] = {}
    for key in ids:
        times, ohlcv = load_ohlcv(key, end - DAY_MINUTES * 60, end)
        drawn = books_of(times, ohlcv[None], len(times), key + end)
        offsets = np.tile(np.arange(5_000, 61_000, 5_000, dtype="<i4"), len(times)).reshape(len(times), -1)
        mids = drawn.mid[0].reshape(len(times), -1)
        steps = drawn.levels[0].astype("<i4")
        columns = (offsets, mids, steps.reshape(*mids.shape, 2, -1), drawn.sizes[0].reshape(*mids.shape, 2, -1))
        for place, minute in enumerate(times.tolist()):
            packed = PackedBooks(drawn.tick[0, 0], *(column[place].tobytes() for column in columns))
            minutes.setdefault(minute, {})[key] = packed
    size, count = np.ones(60, "<f4").tobytes(), np.ones(60, "<i4").tobytes()
    for minute, packs in minutes.items():
        store_books(minute, packs)
        store_flow(minute, dict.fromkeys(packs, PackedFlow(size, size, count, size)))


def learn(key: str) -> bool:
    """Train `quick` on a venue; whether it kept to its processor time."""
    from models_ml.models import ModelVersion
    from models_ml.profiles import QUICK as PROFILE
    from models_ml.training import train
    from models_ml.voters import LOCAL_SEATS, STACK
    from signals.scoring import panel_score

    began, started = time.perf_counter(), processor_s()
    train(Venue.objects.get(key=key), profile=PROFILE, score=panel_score)
    took, wall = processor_s() - started, time.perf_counter() - began
    seats = ModelVersion.objects.filter(venue__key=key).exclude(voter=STACK).values_list("voter", flat=True)
    passed = took <= GATE_S and set(seats) == set(LOCAL_SEATS)
    report(
        "training, quick", instruments=LEARNED[0], days=LEARNED[1], cpu_s=round(took, 1), wall_s=round(wall, 1),
        voters=len(set(seats)), peak_gib=peak_gib(), gate_s=GATE_S, passed=passed,
    )  # fmt: skip
    return passed


def read(key: str) -> bool:
    """Build what `standard` learns from; whether it kept to its memory."""
    from markets.candles import newest_open_times
    from models_ml.profiles import STANDARD
    from models_ml.training import samples_of

    before = peak_gib()
    ids = list(Instrument.objects.filter(venue__key=key).order_by("pk").values_list("pk", flat=True))
    end = max(newest_open_times(ids).values()) + 60
    started = processor_s()
    samples = samples_of(ids, end, READ[1], most=STANDARD.history_rows, seed=7)
    passed = peak_gib() <= GATE_GIB
    report(
        "training, what it reads", instruments=READ[0], days=READ[1], rows=len(samples),
        columns=samples.features.shape[2], snapshots=samples.books.times.size if samples.books else 0,
        cpu_s=round(processor_s() - started, 1), before_gib=before, peak_gib=peak_gib(), gate_gib=GATE_GIB,
        passed=passed,
    )  # fmt: skip
    return passed


def processor_s() -> float:
    """Processor seconds of this process and of those it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_gib() -> float:
    """The most that this process ever held in memory."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)


STEPS = {"learn": learn, "read": read}


def main() -> int:
    """Run each step in a process of its own; 1 when one failed or missed its gate."""
    orders = [
        ("store", "quick", *LEARNED), ("books", "quick", LEARNED[1]), ("learn", "quick"),
        ("store", "wide", *READ), ("books", "wide", BOOKS), ("read", "wide"),
    ]  # fmt: skip
    with TemporaryDirectory(prefix="candor-bench-") as folder, own_database():
        environment = os.environ | {"CANDOR_VAR": folder, "LOG_LEVEL": "ERROR"}
        commands = [[sys.executable, "-m", "bench.training", *map(str, order)] for order in orders]
        codes = [subprocess.run(one, env=environment, cwd=ROOT, check=False).returncode for one in commands]
    return int(any(codes))


def step(name: str, key: str, *sizes: str) -> int:
    """One step, in this process."""
    if name == "store":
        store(key, *map(int, sizes))
    elif name == "books":
        books(key, *map(int, sizes))
    else:
        return 0 if STEPS[name](key) else 1
    return 0


if __name__ == "__main__":
    sys.exit(step(*sys.argv[1:]) if sys.argv[1:] else main())
