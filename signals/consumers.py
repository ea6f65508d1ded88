"""The live board's socket: who it is, where it left off, and then it belongs to the broadcaster.

docs/api.md describes the protocol. The address carries no token: the session's cookie says who it is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from channels.consumer import AsyncConsumer
from django.conf import settings
from django.db import DatabaseError
from django.http import parse_cookie

from accounts.access import VISITOR, Viewer
from lib.errors import CandorError
from markets.models import Run
from markets.runs import current_run, market_time
from signals import push
from signals.access import access_events, is_known
from signals.admission import Admission
from signals.broadcaster import RESYNC, Broadcaster, running
from signals.channels import Position
from signals.groups import is_counted, tier_of
from signals.rights import MFA_MISSING, Warden, look_up
from signals.sockets import JUNK, RIGHTS_CHANGED, TOO_MANY, Member, Send

FRAME_BYTES = 4096
FRAMES_A_SECOND = 10
HELLO_S = 10.0
SOCKETS_A_USER = 20
SOCKETS = 10_000
REPLAYED = 500  # events; who missed more reloads the page
TRY_LATER = 1013

Receive = Callable[[], Awaitable[dict[str, Any]]]


class JunkFrameError(CandorError):
    """A frame that is not of the protocol."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What a reader missed: frames in order, or None where that is no longer known and the page must be loaded anew."""

    venue_id: int | None
    now_ms: int
    speed: float
    frames: list[str] | None


class BoardConsumer(AsyncConsumer):  # type: ignore[misc]  # channels has no types
    """One connection of the live board. It has no channel layer: the broadcaster writes to it directly."""

    channel_layer_alias = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve the connection from hand-shake to end."""
        await receive()
        if wait_s := _door().wait_s():
            await refuse(scope, send, wait_s)
            return
        await send({"type": "websocket.accept"})
        key = session_key(scope)
        try:
            broadcaster = await _guarded()
            viewer = await broadcaster.in_thread(look_up, key) if key else VISITOR
        except DatabaseError:
            await send({"type": "websocket.close", "code": TRY_LATER, "reason": "no database, try again"})
            return
        member = Member(send, _cutter(send), viewer, key)
        try:
            if viewer.mfa_missing:
                member.close(RIGHTS_CHANGED, MFA_MISSING)
            if reason := _crowded(broadcaster, viewer):
                member.close(TOO_MANY, reason)
            await self._serve(broadcaster, member, receive)
        finally:
            broadcaster.leave(member)

    async def _serve(self, broadcaster: Broadcaster, member: Member, receive: Receive) -> None:
        loop, greeted, budget = asyncio.get_running_loop(), False, float(FRAMES_A_SECOND)
        patience = loop.call_later(HELLO_S, member.close, JUNK, "no hello")
        at = loop.time()
        try:
            while (message := await receive())["type"] == "websocket.receive":
                budget = min(budget + (loop.time() - at) * FRAMES_A_SECOND, FRAMES_A_SECOND) - 1
                at = loop.time()
                if budget < 0:
                    member.close(JUNK, f"more than {FRAMES_A_SECOND} frames a second")
                try:
                    after = read_hello(message)
                except JunkFrameError as error:
                    member.close(JUNK, str(error))
                    continue
                if after is PONG or member.closed is not None:
                    continue
                if greeted:
                    member.close(JUNK, "a second hello")
                    continue
                patience.cancel()
                greeted = True
                await _join(broadcaster, member, after)
        finally:
            patience.cancel()


PONG = -1
"""What `read_hello` answers for a client's sign of life."""


def read_hello(message: dict[str, Any]) -> int | None:
    """The last event id that a hello names, None for none; `PONG` for a pong; JunkFrameError for all else."""
    text = message.get("text")
    if text is None or len(text) > FRAME_BYTES:
        raise JunkFrameError(f"frames are JSON text of at most {FRAME_BYTES} bytes")
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise JunkFrameError("frames are JSON text") from None
    match frame:
        case {"type": "pong"}:
            return PONG
        case {"type": "hello", "last_event_id": None}:
            return None
        case {"type": "hello", "last_event_id": int(after)} if 0 <= after < 2**63 and not isinstance(after, bool):
            return after
    raise JunkFrameError('send {"type":"hello","last_event_id":<number or null>} first, and only that')


def session_key(scope: dict[str, Any]) -> str | None:
    """The session's key in the hand-shake's cookies."""
    header = next((value for name, value in scope["headers"] if name == b"cookie"), b"")
    return parse_cookie(header.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)


@cache
def _door() -> Admission:
    """This process's."""
    return Admission(settings.SOCKET_ACCEPTS_A_SECOND)


async def refuse(scope: dict[str, Any], send: Send, wait_s: int) -> None:
    """Answer the hand-shake with 503 and `Retry-After`, which costs no database and no socket."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):  # the server answers 403 then
        await send({"type": "websocket.close", "code": TRY_LATER, "reason": "busy"})
        return
    headers = [(b"retry-after", str(wait_s).encode()), (b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"too many at once, come again"})


async def _join(broadcaster: Broadcaster, member: Member, after: int | None) -> None:
    """Say hello, send what was missed, and put the socket into its group, without a gap and without a duplicate.

    What is stored is read up to the event the group has been told of at this instant; what the group is told of
    while the database answers is added by `Broadcaster.join`, which does not wait between the two.
    """
    told_of = broadcaster.position(member.tier)
    included = broadcaster.included(member.tier)
    try:
        missed = await broadcaster.in_thread(read_missed, member.viewer, after, told_of, included)
    except DatabaseError:
        member.close(TRY_LATER, "no database, try again")
        return
    hello = {
        "type": "hello",
        "id": told_of.counted,
        "now": missed.now_ms,
        "speed": missed.speed,
        "delay_s": member.tier.delay_s,
    }
    same_market = broadcaster.run is None or missed.venue_id == broadcaster.run.venue_id
    frames = missed.frames if same_market else None
    told = [orjson.dumps(hello).decode(), *([str(RESYNC)] if frames is None else frames)]
    broadcaster.join(member, told_of, told)


def read_missed(viewer: Viewer, after: int | None, told_of: Position, included: frozenset[int] | None) -> Missed:
    """Read what a viewer missed after an event id.

    Args:
        viewer: whose plan counts.
        after: None for a reader that missed nothing.
        told_of: up to where the viewer's group has been told; what comes later reaches the viewer with the group.
        included: the instruments the viewer's tier includes.
    """
    run = current_run()
    now_ms = int(market_time(run).timestamp() * 1000)
    speed = (run.speed_reached or run.speed) if run else 1.0
    frames: list[str] | None = []
    if after is not None:
        frames = _frames(viewer, after, told_of, included, run)
    return Missed(run.venue_id if run else None, now_ms, speed, frames)


def _frames(
    viewer: Viewer, after: int, told_of: Position, included: frozenset[int] | None, run: Run | None
) -> list[str] | None:
    if not is_known(after, run):
        return None
    rows = list(access_events(viewer, after, run).filter(id__lte=max(told_of))[: REPLAYED + 1])
    if len(rows) > REPLAYED:
        return None
    tier = tier_of(viewer)
    told = [row for row in rows if row.pk <= (told_of.counted if is_counted(row.kind, tier) else told_of.others)]
    frames = [push.frame_for(push.Event.of_row(row), tier, included) for row in told]
    return [text for text in frames if text is not None]


async def _guarded() -> Broadcaster:
    """This process's broadcaster, with its warden."""
    broadcaster = await running()
    if broadcaster.on_recheck is None:
        broadcaster.keep(Warden(broadcaster).run())
    return broadcaster


def _crowded(broadcaster: Broadcaster, viewer: Viewer) -> str:
    """Why no further socket is taken, empty where one is."""
    members = broadcaster.members()
    if len(members) >= SOCKETS:
        return "this server is full"
    own = sum(member.viewer.user_id == viewer.user_id for member in members) if viewer.user_id is not None else 0
    return f"more than {SOCKETS_A_USER} sockets of one person" if own >= SOCKETS_A_USER else ""


def _cutter(send: Send) -> Callable[[], None]:
    """What cuts the connection when the peer reads nothing any more, not even a close frame.

    ASGI has no word for it. uvicorn's `send` is a method of the connection's protocol, which has the transport; with
    another server the serving task is cancelled, and the server closes in its own way.
    """
    task = asyncio.current_task()
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if isinstance(transport, asyncio.WriteTransport):
        return transport.abort

    def cancel() -> None:
        if task is not None:
            task.cancel()

    return cancel
