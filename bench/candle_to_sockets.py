"""From the write of a minute's first closing frame on the venue's socket to the last of 1,000 browsers' sockets.

Everything between is the product, in one process as `make run` has it: the ccxt adapter, the feed, the candle store,
Celery's worker threads, the decision by seven voters, the write of the rounds, the push and uvicorn. Venue, readers and
PostgreSQL (our own, durable) are processes of their own on the same machine.

Time is compressed: the market clock runs at rate 1 around each close and jumps over the idle part of the minute, book
snapshots every six seconds included, so that arrival delays and lateness are real while an hour takes minutes.

The voters have `standard` sizes and the weights of one short epoch (see `bench.panel`), because speed does not depend
on weights. The figure of a minute is the strictest one: the first of the 50 closing frames to the last socket's last
byte.
"""

import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from bench.rig import QUICK, Child, percentile, raise_file_limit, report, sign_in

if TYPE_CHECKING:
    from markets.models import Instrument, Run
    from markets.opening import Opened

SOCKETS = int(os.environ.get("SOCKETS", "1000"))
INSTRUMENTS = 50
WARM_UP = 6
MINUTES = int(os.environ.get("MINUTES", "5" if QUICK else "60"))
GATE_MS, REACH_MS = 1000.0, 250.0
BEFORE_S, AFTER_S = 1.0, 1.0
"""How long the clock runs at rate 1 before and after each close."""
VENUE_DELAY_S = 0.03
"""The closing frames are written this long after the close."""
MINUTE = 60
STAGES = ("load", "features", "votes", "context", "save")


class Clock:
    """The market clock of platform and venue: the wall clock and an offset that only grows."""

    def __init__(self, venue: Child, run: "Run") -> None:
        self.offset, self._venue, self._run = 0.0, venue, run

    def now(self) -> float:
        """Epoch seconds."""
        return time.time() + self.offset

    def jump(self, to: float) -> None:
        """Move on to an instant; one that has passed is let be."""
        self.offset += max(to - self.now(), 0.0)
        self._venue.ask(f"at {self.offset}")
        self.mark()

    def sleep_until(self, at: float) -> None:
        """Let time pass at rate 1."""
        time.sleep(max(at - self.now(), 0.0))

    def mark(self) -> None:
        """Tell those that read the clock from the run's row."""
        from lib.clock import from_epoch
        from markets.runs import mark

        mark(self._run, market_at=from_epoch(self.now()))


@contextmanager
def own_platform() -> Iterator[None]:
    """Django on a migrated PostgreSQL and a `var` of our own, with the settings of `make run`."""
    folder = Path(tempfile.mkdtemp(prefix="candor-bench-"))
    os.environ |= {"CANDOR_VAR": str(folder), "DJANGO_SETTINGS_MODULE": "config.settings.dev", "LOG_LEVEL": "ERROR"}
    os.environ.setdefault("SOCKET_ACCEPTS_A_SECOND", "100000")  # readers that come at once are not what is measured
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    from config.embedded import stop_database, use_embedded

    database = use_embedded(folder)
    assert database is not None
    try:
        import django

        django.setup()
        from config.processes import prepare

        prepare(lambda line: None)
        yield
        from django.db import connections

        connections.close_all()
    finally:
        data = (folder / "postgres").resolve()
        stop_database(database)
        shutil.rmtree(data.parent if data.parent.name.startswith("candor-pg-") else data, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def market_ids() -> list[str]:
    """Fifty markets that nobody lists."""
    return [f"C{ascii_uppercase[n // 26]}{ascii_uppercase[n % 26]}USDT" for n in range(INSTRUMENTS)]


def open_run(start: int, venue: Child, urls: dict[str, str]) -> "Opened":
    """Venue, instruments and a day of candles in the store, due since then, with the panel in its seats."""
    import numpy as np
    from django.conf import settings

    from bench.panel import crown
    from lib.clock import from_epoch
    from lib.postgres import ensure_partitions
    from markets import schedule
    from markets.candles import Source, store_closed
    from markets.models import Venue
    from markets.opening import Opened
    from markets.runs import start_run
    from markets.validation import CandleRows
    from signals.rounds import BARS
    from tests.venue_wire import generated

    for table in ("signals_round", "markets_candle", "markets_booksnapshot", "markets_tradeflow"):
        ensure_partitions(table, from_epoch(start - 2 * 86_400), from_epoch(start + 86_400))
    row = Venue.objects.create(key="binance", adapter="binance", title="Loopback", kind=Venue.Kind.LIVE)
    for market_id, rows in generated(market_ids(), minutes=2 * BARS + 200, end=start).items():
        instrument = _instrument(row, market_id)
        schedule.activate(instrument, from_epoch(start - 86_400))
        past = rows[rows[:, 0] < start]
        series = CandleRows.series(instrument.pk, past[:, 0].astype(np.int64), past[:, 1:])
        store_closed(series, source=Source.REST, observed_at=past[:, 0] + MINUTE + 0.2, now=from_epoch(start))
    crown(row.pk, "crypto", start, Path(settings.ARTIFACTS_DIR))
    options: dict[str, object] = {"base_url": urls["rest"], "ws_url": urls["sockets"]}
    return Opened(start_run(row), "binance", options)


def _instrument(venue: Any, market_id: str) -> "Instrument":  # noqa: ANN401  # a row
    from markets.models import Instrument

    symbol = f"{market_id[:3]}/USDT"
    return Instrument.objects.create(
        venue=venue, raw_symbol=symbol, symbol=symbol, base=market_id[:3], quote="USDT", market_class="crypto",
        tick_size=0.01, followed=True,
    )  # fmt: skip


def start_web() -> tuple[int, Callable[[], None]]:
    """Uvicorn in a thread of this process; its port and what stops it."""
    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    config = uvicorn.Config(
        "config.asgi:application", log_level="error", lifespan="off", ws="websockets-sansio",
        timeout_graceful_shutdown=3,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(20)

    return int(listener.getsockname()[1]), stop


def stage_sums() -> dict[str, float]:
    """Seconds spent so far in each stage of decisions, from the platform's own metric."""
    from prometheus_client import REGISTRY

    name = "candor_decision_seconds_sum"
    return {stage: REGISTRY.get_sample_value(name, {"stage": stage}) or 0.0 for stage in STAGES}


def play_minute(open_time: int, clock: Clock, venue: Child, crowd: Child) -> dict[str, Any]:
    """Let one minute pass and close; when its frames were written and when they were read."""
    from markets.tasks import ingest_closed, measure_quality

    for second in range(6, 54, 6):
        clock.jump(open_time + second)
        venue.ask("tell")
    close_time = open_time + MINUTE
    clock.jump(close_time - BEFORE_S)
    clock.sleep_until(close_time + 0.005)
    clock.mark()
    ingest_closed.apply_async(expires=50)  # what beat sends at each full minute
    measure_quality.apply_async(expires=50)
    clock.sleep_until(close_time + VENUE_DELAY_S)
    before = stage_sums()
    written = venue.ask(f"close {open_time}")
    arrived = crowd.ask(f"{close_time} 15")
    assert isinstance(written, dict)
    assert isinstance(arrived, dict)
    clock.sleep_until(close_time + VENUE_DELAY_S + AFTER_S)
    took = {f"{stage}_ms": (after - before[stage]) * 1e3 for stage, after in stage_sums().items()}
    return {
        "sockets": arrived["count"],
        "first_ms": (arrived["first"] - written["first"]) * 1e3,
        "last_ms": (arrived["last"] - written["first"]) * 1e3,
        "writes_ms": (written["last"] - written["first"]) * 1e3,
        "frame_kib": arrived["bytes"] / 1024 / SOCKETS,
        **took,
    }


def rounds_of(closes: list[int]) -> dict[str, Any]:
    """How the measured minutes were decided: states, and how many of the seven voted."""
    from lib.clock import from_epoch
    from models_ml.voters import SEATS
    from models_ml.votes import AbstainReason
    from signals.models import Round

    rows = list(Round.objects.filter(close_time__in=[from_epoch(at) for at in closes]))
    states = {state: sum(row.state == state for row in rows) for state in sorted({row.state for row in rows})}
    seven = sum(not any(row.abstained[:7]) for row in rows)
    silent = Counter(
        f"{SEATS[seat]}: {AbstainReason(reason).word}"
        for row in rows
        for seat, reason in enumerate(row.abstained[:7])
        if reason
    )
    late = states.get("late", 0) + states.get("missed", 0) + INSTRUMENTS * len(closes) - len(rows)
    return {
        "rounds": len(rows),
        "states": states,
        "all_seven_voted": seven / max(len(rows), 1),
        "abstained": dict(silent),
        "late_share": late / (INSTRUMENTS * len(closes)),
    }


def tell(minutes: list[dict[str, Any]], closes: list[int]) -> bool:
    """The figures; True when the gate is met."""
    last = [minute["last_ms"] for minute in minutes]
    facts = rounds_of(closes)
    whole = all(minute["sockets"] == SOCKETS for minute in minutes)
    p99 = percentile(last, 0.99)
    passed = p99 <= GATE_MS and whole and facts["all_seven_voted"] > 0.99
    report(
        "candle to last socket", minutes=len(minutes), instruments=INSTRUMENTS, sockets=SOCKETS,
        p50_ms=round(percentile(last, 0.5), 1), p99_ms=round(p99, 1), max_ms=round(max(last), 1),
        first_socket_p50_ms=round(percentile([minute["first_ms"] for minute in minutes], 0.5), 1),
        frame_kib=round(percentile([minute["frame_kib"] for minute in minutes], 0.5), 1),
        gate_ms=GATE_MS, reach_ms=REACH_MS, every_socket=whole, passed=passed, **facts,
    )  # fmt: skip
    names = ["writes_ms", *(f"{stage}_ms" for stage in STAGES)]
    split = {name: [minute[name] for minute in minutes] for name in names}
    report(
        "candle to last socket, medians of its stages",
        **{name: round(percentile(values, 0.5), 1) for name, values in split.items()},
    )
    return passed


def main() -> int:
    """Measure; 1 when the gate is missed."""
    raise_file_limit()
    with own_platform(), ExitStack() as stops:
        return 0 if measure(stops) else 1


def measure(stops: ExitStack) -> bool:
    """Start everything, play the minutes, tell."""
    from config.processes import hooks_of, start_worker
    from lib import clock as market_clock
    from markets.feed import FeedThread
    from signals.consumers import SOCKETS_A_USER
    from signals.rounds import BARS

    start = int(time.time()) // MINUTE * MINUTE
    environment = dict(os.environ)
    venue = Child(environment, "bench.loopback", ",".join(market_ids()), str(2 * BARS + 200), str(start))
    stops.callback(venue.stop)
    urls = venue.read()
    assert isinstance(urls, dict)
    opened = open_run(start, venue, urls)
    cookies = sign_in(-(-SOCKETS // SOCKETS_A_USER))
    clock = Clock(venue, opened.run)
    market_clock.follow(lambda: market_clock.from_epoch(clock.now()))
    clock.jump(start + 2)
    stops.callback(start_worker())
    port, stop_web = start_web()
    stops.callback(stop_web)
    crowd = Child(environment, "bench.crowd", str(port), str(SOCKETS))
    stops.callback(crowd.stop)
    crowd.ask(json.dumps(cookies))
    feed = FeedThread(opened, hooks_of(opened.run, print))
    feed.start()
    stops.callback(feed.stop)
    venue.ask("subscribed")
    clock.jump((int(clock.now()) // MINUTE + 1) * MINUTE)  # the minute of the start is not whole
    minutes, closes = [], []
    for number in range(WARM_UP + MINUTES):
        open_time = int(clock.now()) // MINUTE * MINUTE
        minute = play_minute(open_time, clock, venue, crowd)
        if number >= WARM_UP:
            minutes.append(minute)
            closes.append(open_time + MINUTE)
        if os.environ.get("VERBOSE"):
            report("minute", number=number, **{name: round(value, 1) for name, value in minute.items()})
    return tell(minutes, closes)


if __name__ == "__main__":
    sys.exit(main())
