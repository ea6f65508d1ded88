"""A stage's feed as a process of its own: `python -m tests.faults.feeder CLOCK_FILE REST_URL WS_URL [waiting]`.

The market clock is read from the file that the stage writes. With `waiting` it has a deliberate defect: it hands its
tasks to the broker itself.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.faults.settings")
django.setup()

from lib import clock  # noqa: E402  # after the setup
from markets.events import candle_closed  # noqa: E402
from markets.feed import FeedThread  # noqa: E402
from markets.models import Instrument  # noqa: E402
from markets.opening import Opened  # noqa: E402
from markets.runs import current_run  # noqa: E402
from signals import receivers, tasks  # noqa: E402
from tests.faults.timing import QUICK, read_clock  # noqa: E402
from tests.faults.votes import Seer  # noqa: E402


def wait_for_the_broker(close_time: int, instrument_ids: list[int], received: float, **_: object) -> None:
    """The defect: the feed goes on once the broker has taken the task."""
    tasks.decide_minute.apply_async((close_time, instrument_ids, received), expires=120)


def main(clock_file: Path, rest_url: str, ws_url: str, *defects: str) -> None:
    """Feed until SIGTERM."""
    if "waiting" in defects:
        candle_closed.disconnect(receivers.decide)
        candle_closed.connect(wait_for_the_broker)
    clock.follow(lambda: clock.from_epoch(read_clock(clock_file)))
    run = current_run()
    if run is None:
        raise SystemExit("no run in the database: the stage makes one first")
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    options: dict[str, object] = {
        "base_url": rest_url,
        "ws_url": ws_url,
        "channels": ("candles",),
        "now": lambda: read_clock(clock_file),
    }

    def awake() -> bool:
        return not clock_file.with_name("asleep").exists()

    feed = FeedThread(Opened(run, "binance", options), limits=QUICK)
    seer = Seer(run, Instrument.objects.get(venue_id=run.venue_id, raw_symbol="SOL/USDT"), awake)
    with seer.first():
        feed.start()
        done.wait()
        feed.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
