"""A small platform under faults: the loopback venue, the feed, a worker and what beat would start, on a clock we move.

The market clock stands still until the scenario moves it, so that a minute takes as long as its work and nothing
depends on how fast the machine is. Everything else is as in life: real sockets, the real adapter, the real tasks in a
real Celery worker, the database.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from django.db import InterfaceError, OperationalError, connection
from django.test import Client

from config.celery import app
from config.embedded import APP
from config.processes import start_worker
from lib import clock
from lib.postgres import ensure_partitions
from markets.candles import Source, store_closed
from markets.live import Feed, FeedLimits
from markets.models import FeedState, Instrument, Run
from markets.models import Venue as VenueRow
from markets.opening import Opened
from markets.runs import start_run
from markets.validation import CandleRows
from markets.venues import Venue
from signals.models import Round
from signals.rounds import BARS, TAINT_BARS
from tests.database import connect
from tests.faults.counts import times, within
from tests.faults.installation import READY_S, Processes
from tests.faults.oracle import Key, Oracle, Script, Values
from tests.faults.players import Staged, StagedFeed, metronome
from tests.faults.proxy import FaultProxy
from tests.faults.timing import MINUTE, QUICK, START, write_clock
from tests.faults.votes import Seer
from tests.faults.witness import Witness, witnessing
from tests.venue_wire import generated

HISTORY = BARS + 10
AHEAD = times(90, 1200)
"""Minutes of candles that lie ahead of the start."""
IDS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
SYMBOLS = {"BTCUSDT": "BTC/USDT", "ETHUSDT": "ETH/USDT", "SOLUSDT": "SOL/USDT"}


@dataclass
class Stage:
    """See the module's docstring; made by `staged`."""

    server: Staged
    wire: FaultProxy  # in front of the venue's sockets; REST goes directly
    witness: Witness
    limits: FeedLimits = QUICK
    make_feed: Callable[..., Feed] = Feed
    sweeping: bool = True
    options: dict[str, Any] = field(default_factory=dict)  # of the adapter
    now: float = float(START)
    since: int = START  # the oracle looks at the minutes from here on
    clock_file: Path | None = None  # where other processes read the market clock
    journal: list[tuple[float, float]] = field(default_factory=list)
    told: dict[Key, list[Values]] = field(default_factory=dict)
    patience_s: float = within(15.0)  # how long the scenario waits for what must come
    clock_error_s: float = 0.0  # how far our market clock is ahead of the venue's
    witnesses: Callable[["Stage"], list[Venue]] = lambda stage: []  # other venues that are asked for their time

    def __post_init__(self) -> None:
        clock.follow(lambda: clock.from_epoch(self.now + self.clock_error_s))
        for table in ("signals_round", "markets_candle", "markets_booksnapshot", "markets_tradeflow"):
            ensure_partitions(table, clock.from_epoch(START - 86_400), clock.from_epoch(START + 86_400))
        self.venue = VenueRow.objects.create(
            key="binance", adapter="binance", title="Binance", kind=VenueRow.Kind.LIVE, capabilities=[]
        )
        self.instruments = {
            market_id: Instrument.objects.create(
                venue=self.venue, raw_symbol=symbol, symbol=symbol, base=symbol[:3], quote="USDT",
                market_class="crypto", tick_size=0.01, followed=True,
            )
            for market_id, symbol in SYMBOLS.items()
        }  # fmt: skip
        self.run: Run = start_run(self.venue, speed=1e-6)
        self._load_history()
        self.move(START)

    @contextmanager
    def playing(self) -> Iterator[None]:
        """The processes of the stage, as threads, until the end."""
        with ExitStack() as stops:
            stops.callback(clock.release)
            stops.callback(app.control.purge)
            stops.enter_context(Seer(self.run, self.instruments["SOLUSDT"]).first())
            stops.callback(start_worker())
            stops.callback(self._start_feed())
            if self.sweeping:
                stops.callback(metronome())
            self.connected(READY_S)
            yield

    # -- time

    def move(self, to: float) -> None:
        """Set the market clock, here and for every process that reads the run."""
        self.now = float(to)
        if self.clock_file is not None:
            write_clock(self.clock_file, self.now)
        self._mark()
        self.journal.append((clock.wall_now().timestamp(), self.now))

    def _mark(self, within_s: float = within(15.0)) -> None:
        """Tell the other processes through the run; again while a scenario has the database away."""
        limit = time.monotonic() + within_s
        while True:
            try:
                Run.objects.filter(pk=self.run.pk).update(market_at=clock.from_epoch(self.now))
            except (OperationalError, InterfaceError):
                connection.close()
                if time.monotonic() > limit:
                    raise
                time.sleep(0.1)
            else:
                return

    def minute(self, *, wait: Sequence[str] | None = None) -> int:
        """Let the running minute pass and close; returns its close time.

        Args:
            wait: markets whose round is waited for; all by default, none where the scenario breaks them.
        """
        open_time = int(self.now) // MINUTE * MINUTE
        for share in (0.3, 0.8):
            self.move(max(self.now, open_time + MINUTE * share))
            self.server.tell(open_time, share)
        self.move(open_time + MINUTE + 0.2)
        for market_id in IDS:
            self.note(market_id, open_time)
        self.server.announce(open_time)
        close_time = open_time + MINUTE
        if wait is None or wait:
            ids = [self.instruments[one].pk for one in (IDS if wait is None else wait)]
            self.until(lambda: self.decided(close_time, ids), what=f"the rounds of {close_time}")
        return close_time

    def until(self, condition: Callable[[], bool], within_s: float = within(15.0), *, what: str = "it") -> float:
        """Wait for a condition; returns the seconds it took, fails when it takes longer than `within_s`."""
        began = time.monotonic()
        while not self._holds(condition):
            took = time.monotonic() - began
            assert took < within_s, f"waited {within_s:g} s for {what}"
            time.sleep(0.01)
        return time.monotonic() - began

    def begin(self) -> None:
        """A further scenario on the same stage: the oracle looks at what comes from here on."""
        self.since = int(self.now) // MINUTE * MINUTE + MINUTE

    def connected(self, within_s: float = within(15.0)) -> None:
        """Wait until the feed has subscribed to every market's candles."""
        self.server.subscribed(*(f"{market_id.lower()}@kline_1m" for market_id in IDS), within_s=within_s)

    def comes(self, condition: Callable[[], bool], within_s: float | None = None) -> bool:
        """Whether a condition holds within `within_s`, the stage's patience by default."""
        limit = time.monotonic() + min(within_s or 1e9, self.patience_s)
        while not self._holds(condition):
            if time.monotonic() > limit:
                return False
            time.sleep(0.02)
        return True

    @staticmethod
    def _holds(condition: Callable[[], bool]) -> bool:
        """A condition that asks a database which is away does not hold."""
        try:
            return condition()
        except (OperationalError, InterfaceError):
            connection.close()
            return False

    def tick(self) -> None:
        """Half of the running minute passes: forming candles and trades come."""
        open_time = int(self.now) // MINUTE * MINUTE
        self.move(max(self.now, open_time + 0.5 * MINUTE))
        self.server.tell(open_time, 0.5)

    def recovers(self, market_id: str | None = None) -> bool:
        """Whether the feed is live again in time, the venue talking meanwhile."""

        def talks() -> bool:
            self.tick()
            return self.state(market_id) == "live"

        return self.comes(talks, within(15))

    # -- what there is

    def decided(self, close_time: int, ids: Sequence[int]) -> bool:
        """Whether each instrument has its round of this close time."""
        found = self.rounds(close_time)
        return all(id_ in found for id_ in ids)

    def rounds(self, close_time: int) -> dict[int, str]:
        """Instrument id → state of its round at a close time."""
        rows = Round.objects.filter(close_time=clock.from_epoch(close_time)).values_list("instrument_id", "state")
        return dict(rows)

    def state(self, market_id: str | None = None) -> str:
        """What a page says of a market, or of the connection."""
        instrument = self.instruments[market_id] if market_id else None
        row = FeedState.objects.filter(venue=self.venue, instrument=instrument).first()
        return row.state if row else ""

    def detail(self) -> str:
        """What the connection's state says of itself."""
        row = FeedState.objects.filter(venue=self.venue, instrument=None).first()
        return row.detail if row else ""

    def page_state(self) -> str:
        """What the front page shows a visitor of the connection."""
        page = Client().get("/").content.decode()
        row = re.search(rf'data-feed-state="{self.venue.key}"[^>]*data-state="(\w+)"', page)
        return row[1] if row else ""

    def ids(self) -> list[int]:
        """Ids of the instruments."""
        return [instrument.pk for instrument in self.instruments.values()]

    @property
    def reconnects(self) -> int:
        """Reconnects that the feed counted."""
        row = FeedState.objects.filter(venue=self.venue, instrument=None).first()
        return row.reconnects if row else 0

    def note(self, market_id: str, open_time: int, values: Iterable[float] | None = None) -> None:
        """The venue stands by this candle from now on: its row, or other `values` (5,)."""
        key = (self.instruments[market_id].pk, open_time)
        word = tuple(float(one) for one in (self.server.row(market_id, open_time)[1:] if values is None else values))
        versions = self.told.setdefault(key, [])
        if not versions or versions[-1] != word:
            versions.append(word)  # type: ignore[arg-type]  # five values

    def script(self) -> Script:
        """What happened so far, for the oracle."""
        until = int(self.now) // MINUTE * MINUTE
        return Script(
            told=self.told,
            instruments=self.ids(),
            since=self.since,
            until=until,
            window=TAINT_BARS,
            clock=self.journal,
        )

    def violations(self, *, reachable: Sequence[str] = IDS, settle_s: float | None = None) -> list[str]:
        """What the oracle finds once the dust has settled, or after `settle_s` when it does not.

        The clock is moved past every grace first, tellingly: as the venue goes silent, nothing new becomes due.
        """
        script = self.script()
        ids = {self.instruments[one].pk for one in reachable}
        script.reachable = {key for key in script.due() if key[0] in ids}
        self.move(script.until + 59.0)
        limit = time.monotonic() + (self.patience_s if settle_s is None else settle_s)
        while True:
            with connect(APP) as connection:
                found = Oracle(connection, script).violations()
            if not found or time.monotonic() > limit:
                return found
            time.sleep(0.1)

    # -- inside

    def _load_history(self) -> None:
        for market_id, rows in self.server.candles.items():
            past = rows[rows[:, 0] < START]
            id_ = self.instruments[market_id].pk
            times = past[:, 0].astype(np.int64)
            store_closed(
                CandleRows.series(id_, times, past[:, 1:]),
                source=Source.REST,
                observed_at=past[:, 0] + MINUTE + 0.2,
                now=clock.from_epoch(START),
            )
            for row in past:
                self.told[id_, int(row[0])] = [tuple(float(one) for one in row[1:])]  # type: ignore[list-item]  # five

    def _start_feed(self) -> Callable[[], object]:
        options: dict[str, Any] = {
            "base_url": self.server.rest_url,
            "ws_url": f"ws://127.0.0.1:{self.wire.port}/stream",
            # Trades carry the venue's clock, which would seem to be off whenever ours is moved between two of them.
            "channels": ("candles",),
            "now": lambda: self.now + self.clock_error_s,
        } | self.options
        feed = StagedFeed(
            Opened(self.run, "binance", options), self.limits, self.make_feed, lambda: self.witnesses(self)
        )
        feed.start()
        return feed.stop


@contextmanager
def staged(**how: Any) -> Iterator[Stage]:  # the stage's own fields
    """A stage with its venue and witness, taken down at the end."""
    with prepared(**how) as stage, stage.playing():
        yield stage


@contextmanager
def hosted(processes: Processes) -> Iterator[Stage]:
    """A stage whose feed is one of the children; the scenario starts the others."""
    clock_file = processes.folder / "clock"
    write_clock(clock_file, START)
    with prepared(clock_file=clock_file) as stage:
        processes.feed(clock_file, stage.server.rest_url, f"ws://127.0.0.1:{stage.wire.port}/stream")
        try:
            processes.wait("feed", lambda: bool(stage.server.connections))
            stage.connected(READY_S)
            yield stage
        finally:
            clock.release()


@contextmanager
def prepared(**how: Any) -> Iterator[Stage]:  # the stage's own fields
    """Venue, proxy, witness and rows of a stage on which nothing runs yet."""
    candles = generated(IDS, minutes=HISTORY + AHEAD, end=START, seed=3)
    for rows in candles.values():
        rows[:, 0] += START - rows[HISTORY, 0]
    held: list[Stage] = []
    with (
        Staged(candles, lambda: held[0].now if held else float(START)) as server,
        FaultProxy("127.0.0.1", server.port) as wire,
        witnessing() as witness,
    ):
        stage = Stage(server, wire, witness, **how)
        held.append(stage)
        yield stage
