"""The processes of the platform: all in one (`make run`), or one each (`make run-full`)."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.db.migrations.executor import MigrationExecutor

from config import env
from config.celery import app
from lib import clock
from lib.errors import CandorError
from lib.postgres import ensure_partitions
from markets.backoff import Backoff
from markets.feed import FeedThread, Hooks, load_history
from markets.models import Run
from markets.opening import Opened, open_market
from markets.runs import market_time
from markets.values import Ohlcv
from models_ml import running
from models_ml.models import TrainingRun
from models_ml.tasks import training_command
from signals import due, outcomes, push
from signals.banner import market_of, progress_line

log = structlog.get_logger(__name__)

QUEUES = ("default", "score", "train")
WORKER_THREADS = 4
RETRAIN_AFTER = timedelta(days=1)
Say = Callable[[str], Any]


def prepare(say: Say) -> None:
    """Bring database and demo accounts to the state this code needs; prints new logins once."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    if not is_migrated():
        migrate()
    from django.core.management import call_command

    call_command("create_demo")
    now = clock.wall_now()
    for table in ("signals_round", "markets_candle", "markets_booksnapshot", "markets_tradeflow"):
        ensure_partitions(table, now, now)


def is_migrated() -> bool:
    """Whether the database has every migration of this code: a second start need not wait for another process."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def migrate() -> None:
    """Migrate in a process of its own, which alone runs as the role that owns the tables."""
    child = {**os.environ, "CANDOR_DB_AS_OWNER": "1"}
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    done = subprocess.run([*manage, "migrate", "--verbosity", "0"], env=child, check=False)  # noqa: S603  # our own
    if done.returncode:
        raise CandorError("the database could not be migrated: see the lines above")


class Platform:
    """The feed and training of a market, with worker and beat beside them where one process does it all.

    Each runs in a thread or process that `stop` ends.
    """

    def __init__(self, *, say: Say, alone: bool = True) -> None:
        self.say = say
        self.alone = alone
        self.recordings = [_recording(word) for word in env.words("REPLAY")]
        self.speed = env.number("SPEED", 60.0 if self.recordings else 1.0, low=1, high=3600)
        self.live_s = int(env.number("REPLAY_LIVE", 6 * 3600, low=60, high=30 * 86400))
        self.history_days = env.number("HISTORY_DAYS", 3, low=0, high=400)
        self.failed = False
        self._stopping = threading.Event()
        self._stops: list[Callable[[], object]] = []
        self._thread = threading.Thread(target=self._run, name="platform", daemon=True)

    def start(self) -> None:
        """Start in the background; pages answer meanwhile and say what is still loading."""
        self._thread.start()

    def wait(self) -> None:
        """Sleep until `stop` is called, or the market turned out to be none that can be opened."""
        while not self._stopping.wait(1.0) and not self.failed:
            pass

    def stop(self) -> None:
        """End everything this platform started, newest first."""
        self._stopping.set()
        for stop in reversed(self._stops):
            stop()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        if self.alone:
            self._stops += [start_worker(), start_beat()]
        backoff = Backoff(2.0, 60.0)
        while not self._stopping.is_set() and not self._opened():
            self._stopping.wait(backoff.next_wait())

    def _opened(self) -> bool:
        """Open the market and follow it; False where another attempt may succeed (a venue or the database is away)."""
        try:
            self._trade(
                open_market(settings.MARKET, replay=self.recordings, live_s=self.live_s, speed=self.speed, say=self.say)
            )
        except (CandorError, DatabaseError, OSError) as error:
            self.say(f"market: {error}")
            log.warning("market_not_opened", error=str(error))
            self.failed = getattr(error, "permanent", False)
            return self.failed
        finally:
            close_old_connections()
        return True

    def _trade(self, opened: Opened) -> None:
        """Load history, train, follow the market."""
        load_history(opened, days=self.history_days, say=self.say, stopping=self._stopping)
        if self._stopping.is_set():
            return
        missed = due.account_for_downtime(opened.run, clock.market_now())
        if missed:
            self.say(f"{missed} minutes passed while the platform was off: written as missed")
        child = self._train(opened)
        if child is not None and self.recordings:  # a recording can wait for its panel, a market cannot
            child.wait()
        if self._stopping.is_set():
            return
        feed = FeedThread(opened, hooks_of(opened.run, self.say))
        feed.start()
        self._stops.append(feed.stop)

    def _train(self, opened: Opened) -> "subprocess.Popen[bytes] | None":
        """Train in a process of its own unless the venue was trained within a day: machines are off at night.

        After a release with other feature columns nobody could answer until the next night: then it trains at once.
        """
        running.sweep(opened.run.venue_id)
        if running.is_trained(opened.run.venue, within=RETRAIN_AFTER):
            return None
        self.say(f"training the panel ({settings.TRAIN_PROFILE} profile, lowest priority)")
        child = subprocess.Popen(training_command(opened.run.venue.key, settings.TRAIN_PROFILE))  # noqa: S603  # our own
        threading.Thread(target=self._tell_training, args=(opened, child), name="training", daemon=True).start()

        def stop() -> None:
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()

        self._stops.append(stop)
        return child

    def _tell_training(self, opened: Opened, child: "subprocess.Popen[bytes]") -> None:
        """Show the child's progress on the page until it ends."""
        shown: tuple[Any, ...] = ()
        while child.poll() is None and not self._stopping.wait(2):
            training = TrainingRun.objects.filter(venue_id=opened.run.venue_id).order_by("-id").first()
            if training and (facts := (training.voter, training.done, training.total)) != shown:
                shown = facts
                tell_progress(opened.run, training)
        training = TrainingRun.objects.filter(venue_id=opened.run.venue_id).order_by("-id").first()
        if training and not self._stopping.is_set():
            tell_progress(opened.run, training)
            self.say(f"training {training.state}" + (f": {training.detail}" if training.detail else ""))
        close_old_connections()


def tell_progress(run: Run, training: TrainingRun) -> None:
    """Show how far a training is."""
    push.publish(
        "progress",
        {
            "stage": "training",
            "state": training.state,
            "voter": training.voter,
            **progress_line(training.voter, training.done, training.total),
        },
        venue_id=run.venue_id,
        at=market_time(run),
    )


def hooks_of(run: Run, say: Say) -> Hooks:
    """What the signal floor wants of a feed; the end of a recording is said in the terminal as well."""

    def on_tick(instrument_id: int, price: float, forming: Ohlcv) -> None:
        values = [forming.open_time, forming.open, forming.high, forming.low, forming.close, forming.volume]
        now = clock.market_now().timestamp()
        push.publish_tick({instrument_id: [price, now]}, {instrument_id: values}, venue_id=run.venue_id)

    def on_end() -> None:
        due.close_recording(run, clock.market_now())
        outcomes.resolve_due(run, clock.market_now(), final=True)
        body = {**market_of(run), "state": "recording ended"}
        push.publish("market", body, venue_id=run.venue_id, at=clock.market_now())
        say("recording ended")

    return Hooks(on_tick=on_tick, wait_decided=lambda close_time: due.settle_minute(run, close_time), on_end=on_end)


def start_worker() -> Callable[[], None]:
    """A Celery worker with a pool of threads; returns what stops it."""
    worker = app.WorkController(
        app=app,
        pool_cls="threads",
        concurrency=WORKER_THREADS,
        queues=QUEUES,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
    )
    thread = threading.Thread(target=worker.start, name="worker", daemon=True)
    thread.start()

    def stop() -> None:
        worker.stop(in_sighandler=False)
        thread.join(timeout=5)

    return stop


def start_beat() -> Callable[[], None]:
    """Beat in a thread; returns what stops it."""
    from celery.beat import Service

    from config.beat import Scheduler

    service = Service(app, scheduler_cls=Scheduler)
    thread = threading.Thread(target=service.start, kwargs={"embedded_process": False}, name="beat", daemon=True)
    thread.start()

    def stop() -> None:
        service.stop(wait=False)
        thread.join(timeout=5)

    return stop


def _recording(word: str) -> Path:
    path = Path(word).expanduser()
    if not path.is_file():
        raise CandorError(f"REPLAY names {word!r}, which is no file here: give the path of a parquet file")
    return path.resolve()
