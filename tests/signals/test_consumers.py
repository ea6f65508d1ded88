"""The live board over real sockets."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from channels.db import database_sync_to_async
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lib.clock import wall_now
from markets.models import Run
from signals import push
from tests.people import Person
from tests.signals.live import reading, serving
from tests.signals.rows import instruments_of, make_run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(transactional_db: None) -> Run:
    return make_run()


@pytest.fixture
def address(run: Run) -> Iterator[str]:
    with serving() as where:
        yield where


def publish(run: Run, *, ago_s: float = 0, kind: str = "rounds") -> int:
    card = {"instrument": instruments_of(run)[0].pk, "id": "x"}
    at = wall_now() - timedelta(seconds=ago_s)
    return push.publish(kind, {"close_time": int(at.timestamp()), "cards": [card]}, venue_id=run.venue_id, at=at)


apublish = database_sync_to_async(publish)


def session_of(person: Person) -> str:
    return str(person.client.session.session_key)


async def test_member_hears_of_a_round_at_once(run: Run, address: str, stranger: Person) -> None:
    async with reading(address, session_of(stranger)) as reader:
        hello = await reader.hello(0)
        number = await apublish(run)
        frame = await reader.until("rounds")
    assert hello["delay_s"] == 0
    assert frame["id"] == number
