"""A stage's feed as a process of its own: `python -m tests.faults.feeder CLOCK_FILE REST_URL WS_URL`.

The market clock is read from the file that the stage writes.
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
from markets.feed import FeedThread  # noqa: E402
from markets.models import Instrument  # noqa: E402
from markets.opening import Opened  # noqa: E402
from markets.runs import current_run  # noqa: E402
from tests.faults.timing import QUICK, read_clock  # noqa: E402
from tests.faults.votes import Seer  # noqa: E402


def main(clock_file: Path, rest_url: str, ws_url: str) -> None:
    """Feed until SIGTERM."""
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
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
