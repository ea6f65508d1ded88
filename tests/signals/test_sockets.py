"""One socket whose peer reads when it likes: what waits, what is dropped, how it ends."""

import asyncio
import json
from typing import Any

import pytest

from accounts.access import VISITOR
from signals.sockets import QUEUE_BYTES, QUEUE_FRAMES, SLOW, Member, started


class Peer:
    """The server's side of a connection: `send` waits while the peer does not read, as uvicorn's does."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.reads.set()
        self.got: list[dict[str, Any]] = []
        self.cut = False
        self.gone = False

    async def send(self, message: dict[str, Any]) -> None:
        """Take one message."""
        await self.reads.wait()
        if self.gone:
            raise OSError("the peer is gone")
        self.got.append(message)

    def abort(self) -> None:
        """The connection is cut."""
        self.cut = True

    @property
    def texts(self) -> list[Any]:
        """What it was sent, decoded."""
        return [json.loads(message["text"]) for message in self.got if message["type"] == "websocket.send"]


@pytest.fixture
async def peer() -> Peer:
    return Peer()


@pytest.fixture
async def member(peer: Peer) -> Member:
    return Member(peer.send, peer.abort, VISITOR)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_free_socket_is_written_without_a_task(peer: Peer, member: Member) -> None:
    before = asyncio.all_tasks()
    member.write("1")
    member.write("2", droppable=True)
    assert peer.texts == [1, 2]
    assert asyncio.all_tasks() == before
    assert not member.stalled


async def test_full_socket_keeps_events_in_order_and_only_the_newest_prices(peer: Peer, member: Member) -> None:
    peer.reads.clear()
    member.write("1")
    assert member.stalled
    for number in range(2, 5):
        member.write(str(number))
        member.write(f'"price {number}"', droppable=True)
    assert peer.got == []
    peer.reads.set()
    await settle()
    assert peer.texts == [1, {"type": "batch", "frames": [2, 3, 4, "price 4"]}]
    member.write("5")
    assert peer.texts[-1] == 5


async def test_what_comes_while_catching_up_follows(peer: Peer, member: Member) -> None:
    peer.reads.clear()
    member.write("1")
    member.write("2")
    peer.reads.set()
    await asyncio.sleep(0)
    member.write("3")
    await settle()
    flat = [each for text in peer.texts for each in (text["frames"] if isinstance(text, dict) else [text])]
    assert flat == [1, 2, 3]


@pytest.mark.parametrize(("text", "times"), [("1", QUEUE_FRAMES + 1), ("1" * (QUEUE_BYTES // 4), 5)])
async def test_queue_is_bounded_and_an_event_is_never_dropped(
    peer: Peer, member: Member, text: str, times: int
) -> None:
    peer.reads.clear()
    member.write("0")
    for _ in range(times):
        assert member.closed is None
        member.write(text)
    assert member.closed == SLOW
    peer.reads.set()
    await settle()
    assert peer.got == [{"type": "websocket.close", "code": SLOW, "reason": "slow client"}]


async def test_prices_never_fill_the_queue(peer: Peer, member: Member) -> None:
    peer.reads.clear()
    for number in range(10 * QUEUE_FRAMES):
        member.write(str(number), droppable=True)
    assert member.closed is None
    peer.reads.set()
    await settle()
    assert peer.texts == [0, 10 * QUEUE_FRAMES - 1]


async def test_closed_socket_takes_nothing_more(peer: Peer, member: Member) -> None:
    member.close(4400, "junk")
    member.write("1")
    member.close(4408, "again")
    await settle()
    assert peer.got == [{"type": "websocket.close", "code": 4400, "reason": "junk"}]
    assert member.closed == 4400


async def test_peer_that_is_gone_is_noticed(peer: Peer, member: Member) -> None:
    peer.gone = True
    member.write("1")
    assert member.closed == 1006
    other = Member(peer.send, peer.abort, VISITOR)
    peer.reads.clear()
    other.write("1")
    peer.reads.set()
    await settle()
    assert other.closed == 1006
    assert not other.stalled
    last = Member(peer.send, peer.abort, VISITOR)
    last.close(4400, "junk")
    await settle()
    assert peer.cut


async def test_leaving_ends_what_was_under_way(peer: Peer, member: Member) -> None:
    peer.reads.clear()
    member.write("1")
    member.leave()
    peer.reads.set()
    await settle()
    assert peer.got == []
    assert member.closed == 1006


async def test_started_hands_over_what_waits() -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    steps = []

    async def work() -> None:
        steps.append("before")
        await gate
        steps.append("between")
        await asyncio.sleep(0)
        steps.append("after")

    rest = started(work())
    assert rest is not None
    assert steps == ["before"]
    gate.set_result(None)
    await rest
    assert steps == ["before", "between", "after"]


async def test_started_can_be_cancelled() -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ended = []

    async def work() -> None:
        try:
            await gate
        finally:
            ended.append(True)

    rest = started(work())
    assert rest is not None

    async def finish() -> None:
        await rest

    task = asyncio.create_task(finish())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
