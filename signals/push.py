"""What the live page is told: every event is a row first, and leaves for the sockets after its commit.

The row is the truth. What carries it to the web processes (their own queue, or a Redis Stream) may lose it: each reader
sees from `prev` that something is missing and reads the rows. Ticks are not stored; the next one replaces them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction

from lib import clock
from lib.errors import CandorError
from lib.transactions import on_commit
from signals import stream
from signals.groups import HELD_KINDS, Tier, included_ids, is_counted
from signals.models import PushEvent


class BadFrameError(CandorError):
    """A frame that could not be narrowed to what a plan includes."""


_LOCK = 0x50555348  # "PUSH": one writer at a time and venue from taking the id to the commit


@dataclass(frozen=True, slots=True)
class Event:
    """One stored event on its way. `prev` is the id before it at the same venue, `at` epoch seconds of market time."""

    id: int
    prev: int
    venue_id: int
    kind: str
    at: float
    body: str  # the whole frame, as live tiers receive it

    @classmethod
    def of_row(cls, row: PushEvent) -> "Event":
        """The event of a stored row, whose predecessor the reader of rows knows."""
        return cls(row.pk, 0, row.venue_id, row.kind, row.at.timestamp(), row.body)


@dataclass(frozen=True, slots=True)
class Tick:
    """Prices between closes: the newest value of each instrument replaces the one before."""

    venue_id: int
    prices: dict[str, Any]  # instrument id → [price, epoch seconds]
    forming: dict[str, Any]  # instrument id → [open time, open, high, low, close, volume]


@dataclass(frozen=True, slots=True)
class Recheck:
    """Rights have changed: sockets of this organization or user are looked at again at once."""

    organization_id: int | None = None
    user_id: int | None = None


Message = Event | Tick | Recheck
_KINDS: dict[str, Callable[..., Message]] = {"event": Event, "tick": Tick, "recheck": Recheck}
_NAMES = {made: name for name, made in _KINDS.items()}

local: list[Callable[[Message], None]] = []
"""Where this process's own sockets listen (the broadcaster puts itself here); used where no Redis is set."""


def publish(kind: str, body: dict[str, Any], *, venue_id: int, at: datetime) -> int:
    """Store one event in the caller's transaction, send it on after the commit, and return its id.

    Ids are given and committed in one order per venue, so a reader that has seen id n misses nothing below n. The
    venue's lock is held until the caller commits: publish last.

    Args:
        kind: `rounds`, `outcomes`, `feeds`, `candles`, `progress` or `market`; the frame's `type`.
        body: the frame's other fields.
        venue_id: the run's venue.
        at: market instant from which a plan's delay counts (a round's close time, an outcome's expiry).
    """
    if kind in HELD_KINDS and not all("instrument" in card for card in body["cards"]):
        raise BadFrameError(f"a {kind} frame has a card without its instrument: plans are narrowed by it")
    with transaction.atomic():
        number, prev = _next_id(venue_id)
        text = orjson.dumps({"type": kind, "id": number, **body}).decode()
        PushEvent.objects.create(id=number, venue_id=venue_id, kind=kind, at=at, created_at=clock.wall_now(), body=text)
        event = Event(number, prev, venue_id, kind, at.timestamp(), text)
        on_commit(lambda: send(event))
    return number


def publish_tick(prices: dict[int, Any], forming: dict[int, Any], *, venue_id: int) -> None:
    """Send prices on at once, without storing them; never blocks on the network, so a feed's loop may call it."""
    send(Tick(venue_id, _keyed(prices), _keyed(forming)))


def recheck(*, organization_id: int | None = None, user_id: int | None = None) -> None:
    """After the commit, have every web process look again at what these sockets may see."""
    on_commit(lambda: send(Recheck(organization_id, user_id)))


def forget(before: datetime) -> int:
    """Delete the events stored before a wall-clock instant; who asks for them is told to load the page anew."""
    deleted, _ = PushEvent.objects.filter(created_at__lt=before).delete()
    return deleted


def send(message: Message) -> None:
    """Hand a message to the transport: Redis where it is set, else this process's own sockets."""
    if settings.REDIS_URL:
        stream.writer(settings.REDIS_URL).offer(encode(message))
        return
    for listener in tuple(local):
        listener(message)


def encode(message: Message) -> bytes:
    """The message as it travels through a Redis Stream."""
    fields = [getattr(message, name) for name in type(message).__slots__]
    return orjson.dumps([_NAMES[type(message)], *fields])


def decode(data: bytes) -> Message:
    """The message that `encode` wrote; ValueError for anything else."""
    try:
        name, *fields = orjson.loads(data)
        return _KINDS[name](*fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"unreadable push message {data[:80]!r}: written by another version of Candor?") from error


def frame_for(event: Event, tier: Tier, included: frozenset[int] | None) -> str | None:
    """The text that one tier receives of an event, None where nothing is left of it.

    A frame that the tier's readers do not count their place by carries no id.

    Args:
        event: what happened.
        tier: who is told.
        included: the instruments the tier includes, None for all.
    """
    counted, narrowed = is_counted(event.kind, tier), included is not None and event.kind in HELD_KINDS
    if counted and not narrowed:
        return event.body
    frame = orjson.loads(event.body)
    if not counted:
        del frame["id"]
    elif included is not None:
        frame["cards"] = [card for card in frame["cards"] if card["instrument"] in included]
        if not frame["cards"]:
            return None
    return orjson.dumps(frame).decode()


def included_of(tier: Tier, followed: tuple[int, ...]) -> frozenset[int] | None:
    """The instruments a tier includes out of the followed ones (ids, ascending), None where that is all of them."""
    included = frozenset(included_ids(tier, followed))
    return None if len(included) == len(followed) else included


def _keyed(values: dict[int, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in values.items()}  # as JSON, and so every transport, has them


def _next_id(venue_id: int) -> tuple[int, int]:
    """The id of the next event and of the one before it at this venue, under the venue's lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, venue_id])
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('signals_pushevent', 'id')),"
            " coalesce((SELECT max(id) FROM signals_pushevent WHERE venue_id = %s), 0)",
            [venue_id],
        )
        number, prev = cursor.fetchall()[0]
    return number, prev
