"""Fan-out to a thousand sockets: our broadcaster against Channels' own `group_send`, in one run, on one machine.

Same server (uvicorn), same Redis, same messages; the processor time of server and publisher is counted together,
because `group_send` does in the publisher what ours does in the web process. Then a burst: 50 signals, each with its
row and its transaction, to all sockets at once.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.rig import QUICK, Child, percentile, platform, raise_file_limit, readers, report, sent, sign_in

SOCKETS = 1000  # the gate speaks of so many: with fewer the fixed costs of an event weigh more
A_SECOND = 5
SECONDS = 5 if QUICK else 15
BURST = 50
GATE = 0.15  # of Channels' own, in processor time, median and 99th percentile
BURST_GATE_MS = 500.0
ASGIApplication = Callable[..., Awaitable[None]]
FILLER = "x" * 300
CARD_FILLER = "x" * 3500  # about what one card with its nine votes weighs
HELLO = b'{"type":"hello","last_event_id":null}'


def serve(which: str) -> None:
    """A uvicorn with one of the two boards; prints its port."""
    import socket

    import uvicorn

    raise_file_limit()
    application = _ours() if which == "ours" else _stock()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(application, lifespan="off", log_level="error", ws="websockets-sansio")
    uvicorn.Server(config).run(sockets=[listener])


def _ours() -> ASGIApplication:
    from config.asgi import application

    made: ASGIApplication = application
    return made


def _layers() -> dict[str, Any]:
    from django.conf import settings

    host = {"address": settings.REDIS_URL, "socket_timeout": None}  # its default drops idle sockets
    config = {"hosts": [host], "capacity": 5000}
    return {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": config}}


def _stock() -> ASGIApplication:
    import django
    from django.conf import settings

    django.setup()
    settings.CHANNEL_LAYERS = _layers()
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter
    from channels.security.websocket import AllowedHostsOriginValidator
    from channels.sessions import SessionMiddlewareStack
    from django.urls import path

    class Stock(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
        async def connect(self) -> None:
            await self.channel_layer.group_add("board", self.channel_name)
            await self.accept()
            await self.send(text_data="{}")

        async def tell(self, event: dict[str, str]) -> None:
            await self.send(text_data=event["text"])

    routes = URLRouter([path("ws/board/", Stock.as_asgi())])
    made: ASGIApplication = ProtocolTypeRouter(
        {"websocket": AllowedHostsOriginValidator(SessionMiddlewareStack(routes))}
    )
    return made


def publish(which: str) -> None:
    """Publishes on command: `<count> <interval_s> <filler size>` per line; answers when the last one is out."""
    import django

    django.setup()
    tell = _tell_ours() if which == "ours" else _tell_stock()
    for line in sys.stdin:
        count, interval, size = line.split()
        for _ in range(int(count)):
            started = time.monotonic()
            tell("x" * int(size))
            time.sleep(max(0.0, float(interval) - (time.monotonic() - started)))
        print(json.dumps("done"), flush=True)


def _tell_ours() -> Callable[[str], None]:
    from lib.clock import wall_now
    from markets.runs import current_run
    from signals import push

    run = current_run()
    assert run is not None

    def tell(filler: str) -> None:
        card = {"instrument": 0, "sent": sent(), "filler": filler}
        push.publish("rounds", {"cards": [card]}, venue_id=run.venue_id, at=wall_now())

    return tell


def _tell_stock() -> Callable[[str], None]:
    from asgiref.sync import async_to_sync
    from channels_redis.core import RedisChannelLayer

    layer = RedisChannelLayer(**_layers()["default"]["CONFIG"])
    send = async_to_sync(layer.group_send)

    def tell(filler: str) -> None:
        text = f'{{"type":"rounds","cards":[{{"sent":{sent()},"filler":"{filler}"}}]}}'
        send("board", {"type": "tell", "text": text})

    return tell


async def measure(which: str, environment: dict[str, str], cookies: list[str]) -> dict[str, float]:
    """CPU a delivery and ages of the messages of one board under steady load, and then under a burst."""
    server = Child(environment, "bench.fanout", "serve", which)
    publisher = Child(environment, "bench.fanout", "publish", which)
    loop, ages = asyncio.get_running_loop(), list[float]()
    try:
        port = int(str(server.read()))
        hello = HELLO if which == "ours" else b""
        sockets = await readers(port, SOCKETS, hello, ages, cookies)
        await loop.run_in_executor(None, publisher.ask, f"2 0.2 {len(FILLER)}")
        await asyncio.sleep(2)
        ages.clear()
        before = server.cpu_s() + publisher.cpu_s()
        await loop.run_in_executor(None, publisher.ask, f"{A_SECOND * SECONDS} {1 / A_SECOND} {len(FILLER)}")
        expected = A_SECOND * SECONDS * SOCKETS
        await _arrived(ages, expected, 20)
        cpu = server.cpu_s() + publisher.cpu_s() - before
        facts = {"cpu_us": cpu / max(len(ages), 1) * 1e6, **_ages(ages), "lost": float(expected - len(ages))}
        report(f"fan-out {which}", sockets=SOCKETS, a_second=A_SECOND, **facts)
        bursts = (("", len(FILLER)), (" of whole cards", len(CARD_FILLER)))
        for name, size in () if QUICK and which == "stock" else bursts:
            await asyncio.sleep(1)
            ages.clear()
            await loop.run_in_executor(None, publisher.ask, f"{BURST} 0 {size}")
            await _arrived(ages, BURST * SOCKETS, 40)
            burst = _ages(ages)
            report(f"burst {which}{name}", signals=BURST, sockets=SOCKETS, **burst, lost=BURST * SOCKETS - len(ages))
            facts.setdefault("burst_p99_ms", burst["p99_ms"])
        assert all(not reader.closed for reader in sockets) or which == "stock", "a socket was closed"
        return facts
    finally:
        publisher.stop()
        server.stop()


async def _arrived(ages: list[float], expected: int, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while len(ages) < expected and time.monotonic() < deadline:  # noqa: ASYNC110  # nobody says when the last one came
        await asyncio.sleep(0.1)


def _ages(ages: list[float]) -> dict[str, float]:
    return {
        "p50_ms": percentile(ages, 0.5) * 1e3,
        "p99_ms": percentile(ages, 0.99) * 1e3,
        "last_ms": max(ages, default=0.0) * 1e3,
    }


def main() -> None:
    """Measure both and print the ratios."""
    raise_file_limit()
    with platform() as environment:
        from signals.consumers import SOCKETS_A_USER
        from tests.signals.rows import make_run

        make_run(instruments=1)
        cookies = sign_in(SOCKETS // SOCKETS_A_USER)
        stock = asyncio.run(measure("stock", environment, cookies))
        ours = asyncio.run(measure("ours", environment, cookies))
    ratios = {name: ours[name] / stock[name] for name in ("cpu_us", "p50_ms", "p99_ms")}
    passed = max(ratios.values()) <= GATE and ours["burst_p99_ms"] <= BURST_GATE_MS
    report("fan-out ratio", **ratios, gate=GATE, burst_gate_ms=BURST_GATE_MS, passed=passed)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", which]:
            serve(which)
        case ["publish", which]:
            publish(which)
        case _:
            main()
