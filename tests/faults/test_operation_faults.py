"""What operation brings: faults 16, 21, 23, 29 and 40, and a feed that dies; in `make faults` only.

The children are those of `test_process_faults`, started again for this module.
"""

import asyncio
import json
import signal
import time
from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from tests.database import flush
from tests.faults.counts import FULL
from tests.faults.installation import Processes
from tests.faults.proxy import FaultProxy, Mode
from tests.faults.test_process_faults import LOOKS_OFTEN, PAGES, House, heard, moved_in, untold

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
                made.stage.patience_s = 60.0
                yield made
        finally:
            flush()


def whole(house: House) -> None:
    """The minutes of the scenario hold, and the page was told of all of them."""
    assert house.stage.violations() == []
    assert house.stage.comes(lambda: untold(house.page) == [], 20), untold(house.page)


def test_16_a_slow_redis_slows_no_page(house: House) -> None:
    house.stage.begin()
    house.processes.redis_wire.set(Mode.LATENCY, delay_s=2.0)
    took = []
    for path in PAGES * 5:
        began = time.monotonic()
        assert house.processes.page(path) == 200
        took.append(time.monotonic() - began)
    house.stage.minute(wait=())
    house.processes.redis_wire.set(Mode.OK)
    assert max(took) <= 2.0, took
    house.stage.minute(wait=())
    whole(house)


def test_16_a_full_redis_costs_no_row(house: House) -> None:
    house.stage.begin()
    client = house.processes.client()
    client.config_set("maxmemory", "1")
    for _ in range(2):
        house.stage.minute(wait=())
    assert [house.processes.page(path) for path in PAGES] == [200] * len(PAGES)
    client.config_set("maxmemory", "0")
    house.stage.minute(wait=())
    whole(house)


def test_21_a_wedged_worker_turns_health_red(house: House) -> None:
    house.stage.begin()
    house.stage.minute()
    house.processes.kill("worker", signal.SIGSTOP)
    house.stage.minute(wait=())
    house.stage.move(house.stage.now + 44)  # market seconds, which here are as good as any
    assert house.stage.comes(lambda: house.processes.health().get("deciding") is False, 10)
    house.processes.kill("worker", signal.SIGCONT)
    assert house.stage.comes(lambda: house.processes.health().get("deciding") is True, 30)
    whole(house)


def test_23_without_beat_the_next_one_makes_up(house: House) -> None:
    house.stage.begin()
    house.processes.kill("beat")
    house.processes.kill("worker", signal.SIGSTOP)
    house.stage.minute(wait=())
    time.sleep(1)
    house.processes.client().flushall()  # the ordinary task is lost, and nobody sweeps
    house.processes.kill("worker", signal.SIGCONT)
    house.stage.move(house.stage.now + 44)
    assert house.stage.comes(lambda: house.processes.health().get("deciding") is False, 10)
    before = house.processes.logged("beat", "beat leads")
    house.processes.beat("beat", *LOOKS_OFTEN)
    house.processes.wait_logged("beat", "beat leads", more_than=before)
    whole(house)


def test_a_dead_feed_is_shown(house: House) -> None:
    house.stage.begin()
    house.stage.minute()
    assert house.processes.health()["feed"]["state"] == "live"
    house.processes.kill("feed")
    assert house.stage.comes(lambda: house.processes.health()["feed"]["state"] == "down", 15 + 5)
    where = (house.stage.server.rest_url, f"ws://127.0.0.1:{house.stage.wire.port}/stream")
    house.processes.feed(house.processes.folder / "clock", *where)
    house.stage.connected(60)
    house.stage.minute()
    assert house.stage.comes(lambda: house.processes.health()["feed"]["state"] == "live", 10)
    whole(house)


@pytest.mark.parametrize("turn", range(10 if FULL else 1))
def test_29_a_restart_loses_and_doubles_nothing(house: House, turn: int) -> None:
    """Web and worker end with SIGTERM in the middle of a minute's work, and start again."""
    house.stage.begin()
    connects = house.page.connects
    ready = house.processes.logged("worker", "ready.")
    house.stage.minute(wait=())
    house.processes.kill("web", signal.SIGTERM)
    house.processes.web()
    house.processes.kill("worker", signal.SIGTERM)
    house.processes.worker("worker")
    house.processes.wait("web", lambda: house.processes.page("/") == 200)
    assert house.stage.comes(lambda: house.page.connects > connects, 10), "the page did not come back"
    house.processes.wait_logged("worker", "ready.", more_than=ready)
    assert heard(house, 10)
    whole(house)


SOCKETS = 1000


async def _storm(port: int, web_port: int, cut: FaultProxy) -> tuple[float, float]:
    """Seconds until all of `SOCKETS` pages are back after a cut, and the longest a page took meanwhile."""

    async def page() -> ClientConnection:
        while True:
            try:
                socket = await connect(
                    f"ws://127.0.0.1:{port}/ws/board/",
                    origin=Origin("http://127.0.0.1"),
                    open_timeout=20,
                    compression=None,
                )
                await socket.send(json.dumps({"type": "hello", "last_event_id": None}))
                await asyncio.wait_for(socket.recv(), 20)
            except (OSError, ConnectionClosed, TimeoutError):
                await asyncio.sleep(0.5)
            else:
                return socket

    async def read() -> float:
        worst = 0.0
        for _ in range(10):
            began = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", web_port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b" 200 " in await reader.readline()
            await reader.read()
            worst = max(worst, time.monotonic() - began)
            await asyncio.sleep(0.2)
        return worst

    before = await asyncio.gather(*(page() for _ in range(SOCKETS)))
    await asyncio.to_thread(cut.set, Mode.RESET)
    await asyncio.to_thread(cut.set, Mode.OK)
    began = time.monotonic()
    pages = asyncio.create_task(read())
    after = await asyncio.gather(*(page() for _ in range(SOCKETS)))
    took = time.monotonic() - began
    worst = await pages
    for socket in (*before, *after):
        socket.transport.abort()
    return took, worst


def test_40_a_storm_of_reconnects_is_borne(house: House) -> None:
    house.stage.begin()
    with FaultProxy("127.0.0.1", house.processes.web_port) as cut:
        took, worst = asyncio.run(_storm(cut.port, house.processes.web_port, cut))
    assert took <= 20
    assert worst <= 2.0
    house.stage.minute()
    whole(house)
