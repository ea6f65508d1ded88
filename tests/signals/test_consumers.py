"""The live board over real sockets: who is let in, what they are told, and how a connection ends."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth import logout
from django.http import HttpRequest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from accounts.accepting import accept_terms
from accounts.events import plan_changed
from accounts.models import Organization, User
from accounts.scoping import scope_to
from lib.clock import wall_now
from markets.models import Run
from signals import consumers, push
from signals.sockets import LINGER_S, SEND_DEADLINE_S
from tests.faults.witness import witnessing
from tests.people import Person
from tests.signals.live import Reader, reading, serving
from tests.signals.rows import instruments_of, make_run

pytestmark = pytest.mark.django_db(transaction=True)

DELAY_S = 900


@pytest.fixture
def run(transactional_db: None) -> Run:
    return make_run()


@pytest.fixture
def address(run: Run) -> Iterator[str]:
    with serving() as where:
        yield where


@database_sync_to_async  # type: ignore[untyped-decorator]  # channels has no types
def publish(run: Run, *, ago_s: float = 0, kind: str = "rounds", instrument: int = 0) -> int:
    card = {"instrument": instruments_of(run)[instrument].pk, "id": f"{kind} {ago_s}"}
    at = wall_now() - timedelta(seconds=ago_s)
    body = {"cards": [card]} if kind in {"rounds", "outcomes"} else {"state": "live"}
    return push.publish(kind, body, venue_id=run.venue_id, at=at)


def session_of(person: Person) -> str:
    return str(person.client.session.session_key)


async def closed_with(reader: Reader) -> int:
    with pytest.raises(ConnectionClosed) as ended:
        await reader.reads(lambda: False)
    assert ended.value.rcvd is not None
    return int(ended.value.rcvd.code)


async def test_member_hears_of_a_round_at_once(run: Run, address: str, stranger: Person) -> None:
    async with reading(address, session_of(stranger)) as reader:
        hello = await reader.hello(0)
        number = await publish(run)
        frame = await reader.until("rounds")
    assert (hello["delay_s"], hello["speed"]) == (0, 1.0)
    assert abs(hello["now"] - wall_now().timestamp() * 1000) < 60_000
    assert frame["id"] == number


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://127.0.0.1.elsewhere.example", None])
async def test_foreign_origin_is_refused(address: str, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with reading(address, origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_visitor_and_forged_session_get_the_free_delay(run: Run, address: str) -> None:
    await publish(run)
    for session in (None, "0" * 32):
        async with reading(address, session) as reader:
            hello = await reader.hello(0)
            await publish(run)
            old = await publish(run, ago_s=DELAY_S + 5)
            await reader.listen(0.6)
        assert hello["delay_s"] == DELAY_S
        assert reader.ids("rounds") == [], f"{old} waits for the earlier one that is not due"


async def test_delayed_tier_is_told_when_the_delay_has_passed(run: Run, address: str) -> None:
    soon = await publish(run, ago_s=DELAY_S - 6)
    async with reading(address) as reader:
        hello = await reader.hello(0)
        assert hello["id"] == 0
        assert reader.ids("rounds") == []
        assert (await reader.until("rounds"))["id"] == soon
        assert wall_now().timestamp() >= json.loads(json.dumps(hello["now"])) / 1000


async def test_delayed_tier_hears_of_the_feed_at_once_but_does_not_count_by_it(run: Run, address: str) -> None:
    async with reading(address) as reader:
        await reader.hello(0)
        await publish(run, kind="feeds")
        frame = await reader.until("feeds")
    assert "id" not in frame


async def test_free_plan_hears_of_its_instruments_only(run: Run, address: str, freebie: Person) -> None:
    async with reading(address, session_of(freebie)) as reader:
        await reader.hello(0)
        await publish(run, ago_s=DELAY_S + 1, instrument=3)  # the fourth: Free includes three
        mine = await publish(run, ago_s=DELAY_S + 1, instrument=2)
        assert (await reader.until("rounds"))["id"] == mine


async def test_member_who_has_not_accepted_is_delayed(run: Run, address: str, newcomer: Person) -> None:
    async with reading(address, session_of(newcomer)) as reader:
        assert (await reader.hello(0))["delay_s"] == DELAY_S


async def test_reconnect_replays_what_was_missed_once_and_in_order(run: Run, address: str, stranger: Person) -> None:
    async with reading(address, session_of(stranger)) as reader:
        await reader.hello(0)
        first = await publish(run)
        await reader.until("rounds")
    missed = [await publish(run, kind=kind) for kind in ("rounds", "outcomes", "rounds")]
    async with reading(address, session_of(stranger)) as again:
        hello = await again.hello(first)
        later = await publish(run)
        while later not in again.ids("rounds"):
            await again.until("rounds")
        await again.listen(0.3)
    assert hello["id"] == missed[-1]
    assert sorted(again.ids("rounds") + again.ids("outcomes")) == [*missed, later]
    assert again.ids("rounds") == [missed[0], missed[2], later]


async def test_nothing_is_lost_or_doubled_while_sockets_join_under_fire(
    run: Run, address: str, stranger: Person
) -> None:
    session = session_of(stranger)
    stop = asyncio.Event()

    async def fire() -> list[int]:
        told = []
        while not stop.is_set():
            told.append(await publish(run))
        return told

    async def join() -> list[int]:
        async with reading(address, session) as reader:
            hello = await reader.hello(0)
            await reader.listen(1.0)
            await reader.reads(lambda: len(reader.ids("rounds")) > 3 and reader.ids("rounds")[-1] >= hello["id"])
            return reader.ids("rounds")

    firing = asyncio.create_task(fire())
    heard = await asyncio.gather(*(join() for _ in range(12)))
    stop.set()
    told = await firing
    for ids in heard:
        assert ids == told[: len(ids)]
        assert len(ids) > 3


async def test_forgotten_or_foreign_position_is_told_to_load_the_page(run: Run, address: str, stranger: Person) -> None:
    first = await publish(run)
    for unknown in (first + 1000, 7):
        if unknown == 7:
            await database_sync_to_async(push.forget)(wall_now() + timedelta(seconds=1))
        async with reading(address, session_of(stranger)) as reader:
            await reader.hello(unknown)
            await reader.until("resync")


async def test_another_market_makes_every_page_load_anew(run: Run, address: str, stranger: Person) -> None:
    async with reading(address, session_of(stranger)) as reader:
        await reader.hello(0)
        new = await database_sync_to_async(make_run)("replay-2")
        await reader.until("resync")
        number = await publish(new)
        assert (await reader.until("rounds"))["id"] == number


JUNK: list[str | bytes] = [
    "{",
    "[]",
    "null",
    '{"type":"subscribe"}',
    '{"type":"hello"}',
    '{"type":"hello","last_event_id":-1}',
    '{"type":"hello","last_event_id":true}',
    '{"type":"hello","last_event_id":"7"}',
    '{"type":"hello","last_event_id":1e400}',
    '{"type":"hello","last_event_id":9223372036854775808}',
    b'{"type":"hello","last_event_id":0}',
    "[" * 4000,
    " " * 5000,
]


@pytest.mark.parametrize("junk", JUNK)
async def test_junk_closes_with_a_code(address: str, junk: str | bytes) -> None:
    async with reading(address) as reader:
        await reader.connection.send(junk)
        assert await closed_with(reader) == 4400


async def test_too_many_frames_close(address: str) -> None:
    async with reading(address) as reader:
        await reader.hello(None)
        for _ in range(consumers.FRAMES_A_SECOND):
            await reader.connection.send('{"type":"pong"}')
        await reader.connection.send('{"type":"pong"}')
        assert await closed_with(reader) == 4400


async def test_second_hello_closes(address: str) -> None:
    async with reading(address) as reader:
        await reader.hello(None)
        await reader.connection.send('{"type":"hello","last_event_id":null}')
        assert await closed_with(reader) == 4400


async def test_silent_line_says_that_it_lives(address: str) -> None:
    async with reading(address) as reader:
        await reader.hello(None)
        await reader.reads(lambda: {"type": "ping"} in reader.ephemeral)


async def test_one_person_may_open_so_many_sockets(address: str, stranger: Person) -> None:
    session, opened = session_of(stranger), []
    for _ in range(consumers.SOCKETS_A_USER):
        manager = reading(address, session)
        reader = await manager.__aenter__()
        opened.append((manager, reader))
        await reader.hello(None)
    async with reading(address, session) as reader:
        assert await closed_with(reader) == 4429
    for manager, _ in opened:
        await manager.__aexit__(None, None, None)


def _log_out(person: Person) -> None:
    request = HttpRequest()
    request.session = person.client.session
    request.user = person.user
    logout(request)


def _disable(person: Person) -> None:
    User.objects.filter(pk=person.user.pk).update(is_active=False)


def _new_password(person: Person) -> None:
    person.user.set_password("another password")
    person.user.save()


def _downgrade(person: Person) -> None:
    with scope_to(person.organization.pk):
        Organization.objects.filter(pk=person.organization.pk).update(plan="free")
    plan_changed.send(Organization, organization_id=person.organization.pk, before="pro", after="free")


@pytest.mark.parametrize(
    ("change", "code"), [(_log_out, 4401), (_disable, 4401), (_new_password, 4401), (_downgrade, 4403)]
)
async def test_open_socket_ends_when_its_rights_do(
    run: Run, address: str, stranger: Person, change: Callable[[Person], None], code: int
) -> None:
    async with reading(address, session_of(stranger)) as reader:
        await reader.hello(0)
        await reader.listen(4.5 if change in (_disable, _new_password) else 0.2)  # once seen as it was
        await database_sync_to_async(change)(stranger)
        assert await closed_with(reader) == code
    assert reader.frames[-1] == {"type": "access", "code": code, "reason": reader.frames[-1]["reason"]}


async def test_accepting_the_terms_widens_an_open_page(address: str, newcomer: Person) -> None:
    async with reading(address, session_of(newcomer)) as reader:
        await reader.hello(None)
        await database_sync_to_async(accept_terms)(newcomer.user, "192.0.2.1")
        await database_sync_to_async(push.recheck)(user_id=newcomer.user.pk)
        assert await closed_with(reader) == 4403


Fire = Callable[[], Awaitable[None]]


async def test_slow_reader_is_closed_and_its_neighbours_do_not_notice(run: Run, address: str, stranger: Person) -> None:
    session = session_of(stranger)
    filler = "x" * 100_000
    card = {"instrument": (await database_sync_to_async(instruments_of)(run))[0].pk, "filler": filler}

    @database_sync_to_async  # type: ignore[untyped-decorator]  # channels has no types
    def fire() -> int:
        return push.publish("rounds", {"cards": [card]}, venue_id=run.venue_id, at=wall_now())

    with witnessing() as witness:
        await _stall(address, session, fire)
    assert witness.said("socket_slow")
    assert witness.counted("candor_sockets_slow_total") == 1


async def _stall(address: str, session: str, fire: Callable[[], Awaitable[int]]) -> None:
    """One reader reads nothing until it is closed, while its neighbour hears everything at once."""
    async with reading(address, session) as neighbour, reading(address, session, max_queue=1) as slow:
        await neighbour.hello(0)
        await slow.hello(0)
        for _ in range(80):
            number = await fire()
            sent_at = asyncio.get_running_loop().time()
            while number not in neighbour.ids("rounds"):
                await neighbour.until("rounds")
            assert asyncio.get_running_loop().time() - sent_at < SEND_DEADLINE_S, "it waited for the slow one"
        assert await closed_with(slow) == 4408
        await fire()
        await neighbour.until("rounds")
    assert len(slow.ids("rounds")) < len(neighbour.ids("rounds"))


async def test_reader_that_never_reads_again_is_cut_off(run: Run, address: str, stranger: Person) -> None:
    session = session_of(stranger)
    card = {"instrument": (await database_sync_to_async(instruments_of)(run))[0].pk, "filler": "x" * 100_000}
    fire = database_sync_to_async(push.publish)
    async with reading(address, session, max_queue=1) as dead:
        await dead.hello(0)
        for _ in range(80):
            await fire("rounds", {"cards": [card]}, venue_id=run.venue_id, at=wall_now())
        await asyncio.sleep(SEND_DEADLINE_S + LINGER_S + 3)
        with pytest.raises(ConnectionClosed) as ended:
            await dead.reads(lambda: False)
    assert ended.value.rcvd is None, "cut, not closed: a close frame could not be delivered"


async def test_hundred_readers_come_back_at_once(run: Run, address: str, stranger: Person) -> None:
    missed = [await publish(run, ago_s=DELAY_S + 1) for _ in range(3)]

    async def come_back() -> list[int]:
        async with reading(address) as reader:
            await reader.hello(missed[0])
            return reader.ids("rounds")

    heard = await asyncio.gather(*(come_back() for _ in range(100)))
    assert all(ids == missed[1:] for ids in heard)


async def test_example_of_the_documentation_runs_unchanged(run: Run, address: str, stranger: Person) -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    code = code.replace("127.0.0.1:8000", address).replace('SESSION = ""', f'SESSION = "{session_of(stranger)}"')
    client = await asyncio.create_subprocess_exec(sys.executable, "-u", "-c", code, stdout=asyncio.subprocess.PIPE)
    assert client.stdout is not None
    card: dict[str, object] = {"symbol": "BTC/USDT", "headline": "UP", "why": "6 of 9 agree"}
    card["instrument"] = (await database_sync_to_async(instruments_of)(run))[0].pk
    tell = database_sync_to_async(push.publish)
    try:
        line = asyncio.ensure_future(client.stdout.readline())
        while not line.done():
            await tell("rounds", {"cards": [card]}, venue_id=run.venue_id, at=wall_now())
            await asyncio.wait([line], timeout=0.5)
        assert line.result().decode().split(maxsplit=1)[1] == "BTC/USDT UP 6 of 9 agree\n"
    finally:
        client.terminate()
        await client.wait()
