"""Fault 37: a subscription ends while a board is open; the socket is narrowed and nothing paid reaches it."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from websockets.exceptions import ConnectionClosed

from billing.gateway import client
from lib.clock import wall_now
from markets.models import Run
from signals import push
from signals.rights import FULL_CHECK_S
from signals.sockets import RIGHTS_CHANGED
from tests.billing.shop import Shop, plan_of, row_of
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


def publish(run: Run, name: str) -> int:
    card = {"instrument": instruments_of(run)[0].pk, "id": name}
    return push.publish("rounds", {"cards": [card]}, venue_id=run.venue_id, at=wall_now())


def subscribe(shop: Shop, who: Person) -> None:
    shop.buy(who)
    shop.deliver()
    assert plan_of(who) == "pro"


def end(shop: Shop, who: Person) -> None:
    row = row_of(who)
    assert row is not None
    client().v1.subscriptions.cancel(row.stripe_id)
    shop.deliver()
    assert plan_of(who) == "free"


async def test_an_open_board_is_narrowed_when_the_subscription_ends(
    shop: Shop, run: Run, address: str, freebie: Person
) -> None:
    in_thread = database_sync_to_async
    await in_thread(subscribe)(shop, freebie)
    session = str(await in_thread(lambda: freebie.client.session.session_key)())
    async with reading(address, session) as paid:
        assert (await paid.hello(None))["delay_s"] == 0
        await in_thread(publish)(run, "paid for")
        await paid.until("rounds")
        began = asyncio.get_running_loop().time()
        await in_thread(end)(shop, freebie)
        await in_thread(publish)(run, "not paid for")
        with pytest.raises(ConnectionClosed) as closed:
            await paid.listen(60)
        took = asyncio.get_running_loop().time() - began
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == RIGHTS_CHANGED
    assert took < 60
    shown = [card["id"] for frame in paid.frames if frame["type"] == "rounds" for card in frame["cards"]]
    assert shown == ["paid for"]
    assert paid.frames[-1]["type"] == "access", "it was told why"
    async with reading(address, session) as narrowed:
        assert (await narrowed.hello(0))["delay_s"] == 900
        await narrowed.listen(1)
    assert "rounds" not in {frame["type"] for frame in narrowed.frames}
    answer = await in_thread(freebie.client.get)("/api/v1/me")
    assert (answer.json()["plan"], answer.json()["delay_s"]) == ("free", 900)


def test_a_missed_message_is_made_good_within_a_minute() -> None:
    assert timedelta(seconds=FULL_CHECK_S) < timedelta(seconds=60)
