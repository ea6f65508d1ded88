"""What operation brings: faults 16, 21, 23, 29 and 40, and a feed that dies; in `make faults` only.

The children are those of `test_process_faults`, started again for this module.
"""

import asyncio
import json
import logging
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pytest_django import DjangoDbBlocker
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from config.embedded import OWNER
from lib.clock import from_epoch
from markets.models import Candle
from tests.database import connect as connect_database
from tests.database import flush
from tests.faults.counts import FULL
from tests.faults.installation import ROOT, Forgetful, Listener, Processes
from tests.faults.proxy import FaultProxy, Mode
from tests.faults.stage import IDS
from tests.faults.test_process_faults import (
    LOOKS_OFTEN,
    PAGES,
    House,
    broken,
    heard,
    moved_in,
    no_sweeper,
    traced,
    untold,
)
from tests.faults.timing import MINUTE

pytestmark = [
    pytest.mark.faults,
    pytest.mark.xdist_group("faults"),
    pytest.mark.skipif(not FULL, reason="runs in `make faults`"),
]


@pytest.fixture(scope="module")
def house(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """The children, once for the module."""
    processes = Processes(tmp_path_factory.mktemp("operation"))
    with django_db_blocker.unblock():
        try:
            with processes.running(), moved_in(processes) as made:
                yield made
        finally:
            flush()


def begin(house: House) -> None:
    """A further scenario in the house."""
    # A feed that heard nothing for a minute, as between two scenarios, connects anew.
    assert house.stage.recovers(), "the feed is not live"
    house.stage.begin()
    house.stage.patience_s = 60.0


def whole(house: House) -> None:
    """The minutes of the scenario hold, and the page was told of all of them."""
    assert house.stage.violations() == []
    assert house.stage.comes(lambda: untold(house.page) == [], 20), untold(house.page)


# -- 16: Redis is slow, silent or full


def slows(house: House) -> list[str]:
    """Redis answers after two seconds."""
    house.processes.redis_wire.set(Mode.LATENCY, delay_s=2.0)
    took = []
    for path in PAGES * 5:
        began = time.monotonic()
        assert house.processes.page(path) == 200
        took.append(time.monotonic() - began)
    house.stage.minute(wait=())
    found = [] if house.processes.health().get("redis") is False else ["I7: health does not say that Redis is slow"]
    house.processes.redis_wire.set(Mode.OK)
    house.stage.minute(wait=())
    return found + ([f"I8: a page took {max(took):.1f} s"] if max(took) > 2.0 else [])


def falls_silent(house: House, minutes: int) -> list[str]:
    """Redis takes everything and answers nothing, while minutes close one after the other."""
    house.processes.redis_wire.set(Mode.BLACK_HOLE)
    found = []
    for _ in range(minutes):
        close_time = house.stage.minute(wait=())
        stored = Candle.objects.filter(open_time=from_epoch(close_time - MINUTE), instrument__in=house.stage.ids())
        if not house.stage.comes(lambda: stored.count() == len(IDS), STORED_S):  # noqa: B023  # asked within the turn
            found.append(f"I8: the candles of {close_time} waited for Redis")
    found += [f"I8: {path} answered {status}" for path in PAGES if (status := house.processes.page(path, 2.0)) != 200]
    house.processes.redis_wire.set(Mode.OK)
    return found


STORED_S = 1.0
"""Within which a candle is stored, whatever becomes of the broker; a feed that waits for it waits ten times as long."""


def test_16_a_slow_redis_slows_no_page(house: House) -> None:
    begin(house)
    with traced(house, 16) as lost:
        assert slows(house) == []
        whole(house)
    assert lost == []


def test_16_a_silent_redis_holds_up_no_feed(house: House) -> None:
    begin(house)
    house.stage.minute()
    assert falls_silent(house, 3) == []
    house.stage.minute(wait=())
    whole(house)


def test_16_is_seen_where_the_feed_waits_for_the_broker(house: House) -> None:
    begin(house)
    another_feed(house, "waiting")
    house.stage.minute()
    assert broken(falls_silent(house, 3), "I8")
    another_feed(house)
    house.stage.minute(wait=())
    whole(house)


def another_feed(house: House, *defects: str) -> None:
    """The feed ends, and one with other defects takes its place."""
    house.processes.kill("feed")
    start_feed(house, *defects)


def start_feed(house: House, *defects: str) -> None:
    """A feed, once the venue has noticed that the one before is gone."""
    house.stage.until(lambda: not house.stage.server._sockets, 20, what="the venue to notice")
    where = (house.stage.server.rest_url, f"ws://127.0.0.1:{house.stage.wire.port}/stream")
    house.processes.feed(house.processes.folder / "clock", *where, *defects)
    house.stage.connected(60)


def test_16_a_full_redis_costs_no_row(house: House) -> None:
    begin(house)
    client = house.processes.client()
    with traced(house, 16) as lost:
        with no_sweeper(house.processes):
            client.config_set("maxmemory", "1")
            for _ in range(2):
                house.stage.minute(wait=())
            assert [house.processes.page(path) for path in PAGES] == [200] * len(PAGES)
            assert house.processes.health()["redis"] is False
            client.config_set("maxmemory", "0")
            house.stage.patience_s = 2.0
            assert broken(house.stage.violations(), "I1")
        house.stage.patience_s = 60.0
        house.stage.minute(wait=())
        whole(house)
    assert lost == []


# -- 21: a worker is alive and consumes nothing


def wedges(house: House) -> list[str]:
    """The worker is stopped for a while."""
    house.stage.minute()
    house.processes.kill("worker", signal.SIGSTOP)
    house.stage.minute(wait=())
    house.stage.move(house.stage.now + 44)  # market seconds, which here are as good as any
    red = house.stage.comes(lambda: house.processes.health().get("deciding") is False, 5)
    house.processes.kill("worker", signal.SIGCONT)
    found = [] if red else ["I7: nobody says that nothing is decided"]
    green = house.stage.comes(lambda: house.processes.health().get("deciding") is True, 30)
    return found + ([] if green else ["I8: still not deciding"])


@contextmanager
def nothing_due() -> Iterator[None]:
    """A deliberate defect: nobody knows which minutes are due."""
    with connect_database(OWNER) as owner:
        owner.execute("CREATE TEMP TABLE kept AS TABLE markets_activation")
        owner.execute("DELETE FROM markets_activation")
        try:
            yield
        finally:
            owner.execute("INSERT INTO markets_activation SELECT * FROM kept")


def test_21_a_wedged_worker_turns_health_red(house: House) -> None:
    begin(house)
    with traced(house, 21) as lost:
        assert wedges(house) == []
    assert lost == []
    whole(house)


def test_21_is_seen_where_nobody_knows_what_is_due(house: House) -> None:
    begin(house)
    with nothing_due():
        assert broken(wedges(house), "I7")
    whole(house)


# -- 23: beat is dead


def orphans(house: House) -> list[str]:
    """Beat is dead, and the ordinary task of a minute is lost: nobody sweeps."""
    house.processes.kill("beat")
    house.processes.kill("worker")  # a stopped one would keep the task that Redis has already given it
    house.stage.minute(wait=())
    time.sleep(1)
    house.processes.client().flushall()
    house.processes.worker("worker")
    house.stage.move(house.stage.now + 44)
    red = house.stage.comes(lambda: house.processes.health().get("deciding") is False, 10)
    return [] if red else ["I7: nobody says that nothing is decided"]


def test_23_without_beat_the_next_one_makes_up(house: House) -> None:
    begin(house)
    with traced(house, 23) as lost:
        with no_sweeper(house.processes):
            ready = house.processes.logged("worker", "ready.")
            assert orphans(house) == []
            house.processes.wait_logged("worker", "ready.", more_than=ready)
            before = house.processes.logged("beat", "beat leads")
            house.processes.beat("beat", *LOOKS_OFTEN)
            house.processes.wait_logged("beat", "beat leads", more_than=before)
            house.stage.patience_s = 2.0
            assert broken(house.stage.violations(), "I1")
        house.stage.patience_s = 60.0
        whole(house)
    assert lost == []


def test_a_dead_feed_is_shown(house: House) -> None:
    begin(house)
    house.stage.minute()
    assert house.processes.health()["feed"]["state"] == "live"
    house.processes.kill("feed")
    assert house.stage.comes(lambda: house.processes.health()["feed"]["state"] == "down", 15 + 5)
    start_feed(house)
    house.stage.minute()
    assert house.stage.comes(lambda: house.processes.health()["feed"]["state"] == "live", 10)
    whole(house)


# -- 29: a deploy


def restarts(house: House, page: Listener) -> list[str]:
    """Web and worker end with SIGTERM in the middle of a minute's work, and start again a minute later."""
    connects = page.connects
    ready = house.processes.logged("worker", "ready.")
    house.stage.minute(wait=())
    house.processes.kill("web", signal.SIGTERM)
    meanwhile = house.stage.minute(wait=())
    house.stage.comes(lambda: house.stage.decided(meanwhile, house.stage.ids()), 20)
    house.processes.web()
    house.processes.kill("worker", signal.SIGTERM)
    house.processes.worker("worker")
    house.processes.wait("web", lambda: house.processes.page("/") == 200)
    found = [] if house.stage.comes(lambda: page.connects > connects, 10) else ["I8: the page did not come back"]
    house.processes.wait_logged("worker", "ready.", more_than=ready)
    return found + ([] if heard(house, 10, page) else ["I8: the page hears nothing after the restart"])


@pytest.mark.parametrize("turn", range(10 if FULL else 1))
def test_29_a_restart_loses_and_doubles_nothing(house: House, turn: int) -> None:
    begin(house)
    assert restarts(house, house.page) == []
    whole(house)


def test_29_is_seen_where_a_page_forgets_its_place(house: House) -> None:
    begin(house)
    with house.open_page(Forgetful) as page:
        assert house.stage.comes(lambda: page.connects > 0, 10)
        assert heard(house, 10, page)
        assert restarts(house, page) == []
        assert broken(untold(page), "I8")
    whole(house)


# -- 40: everybody at once


SOCKETS = 1000
log = logging.getLogger(__name__)


async def _page(port: int) -> ClientConnection:
    """An open page, which comes back as its script does, and as it is told to."""
    while True:
        try:
            socket = await connect(
                f"ws://127.0.0.1:{port}/ws/board/", origin=Origin("http://127.0.0.1"), open_timeout=20, compression=None
            )
            await socket.send(json.dumps({"type": "hello", "last_event_id": None}))
            await asyncio.wait_for(socket.recv(), 20)
        except InvalidStatus as refused:
            # Anything but 503 has no such header, and fails here.
            await asyncio.sleep(int(refused.response.headers["Retry-After"]) + random.random())
        except (OSError, ConnectionClosed, TimeoutError):
            await asyncio.sleep(random.uniform(0.3, 1.0))
        else:
            return socket


async def _storm(cut: FaultProxy) -> float:
    """Seconds until all are back after a cut; each waits first, as the page's script does."""

    async def again() -> ClientConnection:
        await asyncio.sleep(random.uniform(1, 2))
        return await _page(cut.port)

    before = await asyncio.gather(*(_page(cut.port) for _ in range(SOCKETS)))
    await asyncio.to_thread(cut.set, Mode.RESET)
    await asyncio.to_thread(cut.set, Mode.OK)
    began = time.monotonic()
    after = await asyncio.gather(*(again() for _ in range(SOCKETS)))
    took = time.monotonic() - began
    for socket in (*before, *after):
        socket.transport.abort()
    return took


def storms(house: House) -> list[str]:
    """A thousand pages are cut off at once, and come back."""
    command = (sys.executable, "-m", "tests.faults.pages", str(house.processes.web_port))
    with traced(house, 40) as lost, FaultProxy("127.0.0.1", house.processes.web_port) as cut:
        pages = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        back_s = asyncio.run(_storm(cut))
        took = sorted(json.loads(pages.communicate(timeout=60)[0]))
    page_s = took[int(len(took) * 0.99)]
    log.info("all back after %.1f s, %d pages, p99 %.2f s", back_s, len(took), page_s)
    found = [f"I8: the last was back after {back_s:.1f} s"] if back_s > 20 else []
    return found + ([f"I8: p99 of the pages is {page_s:.1f} s"] if page_s > 2.0 else []) + lost


def test_40_a_storm_of_reconnects_is_borne(house: House) -> None:
    begin(house)
    assert storms(house) == []
    house.stage.minute()
    whole(house)


def test_40_is_seen_where_the_door_stands_open(house: House) -> None:
    begin(house)
    another_web(house, SOCKET_ACCEPTS_A_SECOND="1000000")
    assert storms(house) != []
    another_web(house)
    house.stage.minute()
    whole(house)


def another_web(house: House, **environment: str) -> None:
    """The web server ends, and one that is configured otherwise takes its place."""
    house.processes.kill("web", signal.SIGTERM)
    house.processes.web(**environment)
    house.processes.wait("web", lambda: house.processes.page("/") == 200)
