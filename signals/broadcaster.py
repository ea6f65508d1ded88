"""The one listener of a web process: takes every event once, encodes it once per tier, writes it to every socket.

No task, lock or queue per socket (see `sockets`). `_pulse` releases what a delay held back and pings; `_flusher`
writes; `_watch` reads the database every two seconds, and at once when the transport showed a hole; the Redis reader
runs where Redis is set. The database is the truth: with the transport gone, sockets are told two seconds later.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import orjson
import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError
from prometheus_client import Counter, Gauge

from accounts.plans import PLANS
from markets.models import Run
from markets.runs import current_run, market_time
from signals import groups, push
from signals.access import followed_ids
from signals.channels import Channel, Position, Ready
from signals.groups import HELD_KINDS, Tier
from signals.models import PushEvent
from signals.sockets import SLOW, Member, Text, batched
from signals.stream import StreamReader

WATCH_S = 2.0  # how often the database is looked at when nothing seems to be missing
HURRY_S = 0.05
PULSE_S = 0.2  # prices leave this often; a delayed event is at most this late
GATHER_S = 0.004  # events that arrive this close together leave as one frame
PING_S = 3.0  # a silent line is told that it lives, so that a reader can say within 5 s that it does not
YIELD_EVERY = 200  # sockets written to before other work of the loop gets its turn
PAGE = 1000
LONGEST_DELAY_S = max(plan.delay_s for plan in PLANS.values())
THREADS = 4  # for the database, shared by all sockets of the process

SOCKETS = Gauge("candor_sockets", "Open sockets", ["tier"], multiprocess_mode="livesum")
FRAMES = Counter("candor_socket_frames_total", "Frames written to sockets")
SLOW_CLOSED = Counter("candor_sockets_slow_total", "Sockets closed because they did not read")
CAUGHT_UP = Counter("candor_push_caught_up_total", "Events read from the database because the transport lacked them")

PING = Text('{"type":"ping"}')
RESYNC = Text('{"type":"resync"}')

log = structlog.get_logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class News:
    """What one look at the database found."""

    run: Run | None
    followed: tuple[int, ...]
    last: int
    events: tuple[push.Event, ...]
    settled: int = 0


class Broadcaster:
    """The sockets of one process; every method but `offer` belongs to the event loop it was started on."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.executor = ThreadPoolExecutor(THREADS, "sockets")
        self.run: Run | None = None
        self.last = 0
        self.channels: dict[Tier, Channel] = {}
        self.on_recheck: Callable[[push.Recheck], None] | None = None
        self._followed: tuple[int, ...] = ()
        self._tail: deque[push.Event] = deque()  # held kinds that some plan may not see yet
        self._settled = 0  # the held event before them, which every plan may see
        self._prices: dict[str, Any] = {}
        self._forming: dict[str, Any] = {}
        self._hurry, self._flush_due = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read where the log stands, then follow it."""
        self._restart(await self.in_thread(_look, 0, None))
        work = [self._watch(), self._pulse(), self._flusher()]
        if settings.REDIS_URL:
            work.append(StreamReader(settings.REDIS_URL, self._decoded, self._hurry.set).run())
        for each in work:
            self.keep(each)
        push.local.append(self.offer)

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a loop for as long as the broadcaster."""
        task = self.loop.create_task(work)
        task.add_done_callback(_complain)
        self._tasks.append(task)

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run database work on the sockets' own threads, which a storm of reconnects cannot exceed."""
        answer: T = await database_sync_to_async(work, thread_sensitive=False, executor=self.executor)(*args, **kwargs)
        return answer

    # ---- in

    def offer(self, message: push.Message) -> None:
        """Take a message from any thread of this process."""
        try:
            self.loop.call_soon_threadsafe(self.take, message)
        except RuntimeError:  # the loop is closed: there is no socket left to tell
            push.local.remove(self.offer)

    def take(self, message: push.Message) -> None:
        """Take one message in the loop."""
        if isinstance(message, push.Event):
            self._take_event(message)
        elif isinstance(message, push.Recheck):
            if self.on_recheck is not None:
                self.on_recheck(message)
        elif self.run is not None and message.venue_id == self.run.venue_id:
            self._prices |= message.prices
            self._forming |= message.forming

    def _decoded(self, data: bytes) -> None:
        try:
            self.take(push.decode(data))
        except ValueError as error:
            log.warning("push message refused", error=str(error))

    def _take_event(self, event: push.Event) -> None:
        if self.run is not None and event.venue_id == self.run.venue_id:
            if event.id <= self.last:
                return
            if event.prev == self.last:
                self._accept(event)
                return
        self._hurry.set()  # something before it is missing, or another market has begun

    def _accept(self, event: push.Event) -> None:
        self.last = event.id
        if event.kind in HELD_KINDS:
            self._tail.append(event)
        for channel in self.channels.values():
            self._route(channel, event)
        self._flush_due.set()

    def _route(self, channel: Channel, event: push.Event) -> None:
        if event.kind in HELD_KINDS and not channel.tier.is_live:
            channel.held.append(event)
        else:
            self._ready(channel, event)

    def _ready(self, channel: Channel, event: push.Event) -> None:
        text = push.frame_for(event, channel.tier, self.included(channel.tier))
        channel.ready.append(Ready(event.id, groups.is_counted(event.kind, channel.tier), text))

    # ---- the database

    async def _watch(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._hurry.wait(), WATCH_S)
                await asyncio.sleep(HURRY_S)  # one look for a burst of holes
            except TimeoutError:
                pass
            self._hurry.clear()
            try:
                news = await self.in_thread(_look, self.last, self.run)
            except DatabaseError as error:
                log.warning("push events cannot be read", error=str(error))
                continue
            self._learn(news)

    def _learn(self, news: News) -> None:
        if _venue(news.run) != _venue(self.run):
            self._restart(news)
            return
        self.run, self._followed = news.run, news.followed
        for event in news.events:
            if event.id > self.last:
                CAUGHT_UP.inc()
                self._accept(event)
        if len(news.events) == PAGE:
            self._hurry.set()

    def _restart(self, news: News) -> None:
        """Show another market: what the sockets know is void."""
        self.run, self._followed, self.last = news.run, news.followed, news.last
        self._tail, self._settled = deque(news.events), news.settled
        self._prices, self._forming = {}, {}
        members = [member for channel in self.channels.values() for member in channel.members]
        self.channels = {}
        for member in members:
            self._channel(member.tier).members.add(member)
            member.write(RESYNC)

    def _channel(self, tier: Tier) -> Channel:
        """The tier's group; a delayed one begins with what is already in the log but not due."""
        if tier not in self.channels:
            channel = self.channels[tier] = Channel(tier, Position(self.last, self.last), quiet_since=self.loop.time())
            if not tier.is_live:
                cutoff = self._cutoff(tier)
                undue = next((number for number, event in enumerate(self._tail) if event.at > cutoff), len(self._tail))
                channel.held.extend(list(self._tail)[undue:])
                channel.position = Position(self._tail[undue - 1].id if undue else self._settled, self.last)
        return self.channels[tier]

    def _cutoff(self, tier: Tier) -> float:
        return market_time(self.run).timestamp() - tier.delay_s

    # ---- out

    async def _pulse(self) -> None:
        while True:
            await asyncio.sleep(PULSE_S)
            while self._tail and self._tail[0].at <= market_time(self.run).timestamp() - LONGEST_DELAY_S:
                self._settled = self._tail.popleft().id
            for channel in self.channels.values():
                self._release(channel)
            if self._prices or self._forming or any(self._is_quiet(channel) for channel in self.channels.values()):
                self._flush_due.set()

    def _release(self, channel: Channel) -> None:
        cutoff = self._cutoff(channel.tier)
        while channel.held and channel.held[0].at <= cutoff:
            self._ready(channel, channel.held.popleft())
            self._flush_due.set()

    def _is_quiet(self, channel: Channel) -> bool:
        return self.loop.time() - channel.quiet_since >= PING_S

    async def _flusher(self) -> None:
        while True:
            await self._flush_due.wait()
            await asyncio.sleep(GATHER_S)
            self._flush_due.clear()
            prices = self._prices_frame()
            for channel in tuple(self.channels.values()):
                await self._flush(channel, prices)

    def _prices_frame(self) -> Text | None:
        if not self._prices and not self._forming:
            return None
        frame = {"type": "prices", "prices": self._prices, "forming": self._forming}
        self._prices, self._forming = {}, {}
        return Text(orjson.dumps(frame).decode())

    async def _flush(self, channel: Channel, prices: Text | None) -> None:
        texts, members = channel.take()
        if not texts and prices is None:
            if not self._is_quiet(channel):
                return
            prices = PING
        channel.quiet_since = self.loop.time()
        durable = batched(texts) if texts else None
        whole = batched([*texts, prices]) if texts and prices else durable or prices
        FRAMES.inc(len(members))
        for number, member in enumerate(members, 1):
            if member.closed is not None:
                self._drop(channel, member)
            elif not member.stalled:
                member.write(whole)  # type: ignore[arg-type]  # one of the two is there
            else:
                if durable:
                    member.write(durable)
                if prices and prices is not PING:
                    member.write(prices, droppable=True)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    # ---- sockets

    def join(self, member: Member, after: Position, told: list[str]) -> None:
        """Send `told`, which covers the log up to `after`, and what came since; then the socket is one of its group."""
        channel = self._channel(member.tier)
        since = [entry for entry in channel.told if entry.id > (after.counted if entry.counted else after.others)]
        member.write(batched([*told, *(entry.text for entry in since if entry.text is not None)]))
        channel.members.add(member)
        SOCKETS.labels(groups.board(_venue(self.run) or 0, member.tier)).set(len(channel.members))

    def position(self, tier: Tier) -> Position:
        """Up to where the sockets of a tier have been told."""
        return self._channel(tier).position

    def leave(self, member: Member) -> None:
        """Forget a socket whose connection has ended."""
        member.leave()
        if (channel := self.channels.get(member.tier)) is not None:
            self._drop(channel, member)

    def _drop(self, channel: Channel, member: Member) -> None:
        if member in channel.members:
            channel.members.discard(member)
            if member.closed == SLOW:
                SLOW_CLOSED.inc()
                log.warning("socket_slow", user=member.viewer.user_id)
            SOCKETS.labels(groups.board(_venue(self.run) or 0, member.tier)).set(len(channel.members))

    def included(self, tier: Tier) -> frozenset[int] | None:
        """The instruments a tier includes, None for all."""
        return push.included_of(tier, self._followed)

    def members(self) -> list[Member]:
        """Every socket of this process."""
        return [member for channel in self.channels.values() for member in channel.members]


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("live page stopped: restart this web process", exc_info=error)


def _venue(run: Run | None) -> int | None:
    return run.venue_id if run else None


def _look(last: int, known: Run | None) -> News:
    """Read the current run and its log after `last`; of a venue not known yet, what some plan may not see."""
    run = current_run()
    if run is None:
        return News(None, (), 0, ())
    followed = followed_ids(run)
    rows = PushEvent.objects.filter(venue_id=run.venue_id).order_by("id")
    if _venue(known) == run.venue_id:
        return News(run, followed, last, tuple(push.Event.of_row(row) for row in rows.filter(id__gt=last)[:PAGE]))
    newest = rows.values_list("id", flat=True).last() or 0
    held = rows.filter(id__lte=newest, kind__in=HELD_KINDS)
    longest = timedelta(seconds=LONGEST_DELAY_S)
    tail = tuple(push.Event.of_row(row) for row in held.filter(at__gt=market_time(run) - longest))
    before = held.filter(id__lt=tail[0].id) if tail else held
    return News(run, followed, newest, tail, before.values_list("id", flat=True).last() or 0)


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[Broadcaster]] = WeakKeyDictionary()


async def running() -> Broadcaster:
    """The broadcaster of the running loop, started by the first socket; DatabaseError while there is no database."""
    loop = asyncio.get_running_loop()
    if loop not in _of_loop or (_of_loop[loop].done() and _of_loop[loop].exception()):
        _of_loop[loop] = loop.create_task(_begin())
    return await asyncio.shield(_of_loop[loop])


async def _begin() -> Broadcaster:
    broadcaster = Broadcaster()
    await broadcaster.start()
    return broadcaster
