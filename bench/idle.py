"""Three thousand sockets on which nothing happens for ten minutes: none may be closed.

Redis is the real one, so that the reader's blocking reads and the connections' time-outs are part of it; at the end one
event is published and must reach every socket.
"""

import asyncio
import sys
import time

from bench.fanout import HELLO
from bench.rig import QUICK, Child, platform, raise_file_limit, readers, report, sign_in

SOCKETS = 300 if QUICK else 3000
MINUTES = 1.0 if QUICK else 10.0


async def measure(environment: dict[str, str], cookies: list[str]) -> bool:
    """Hold the sockets, count what closes, then tell them all something."""
    server = Child(environment, "bench.fanout", "serve", "ours")
    publisher = Child(environment, "bench.fanout", "publish", "ours")
    ages: list[float] = []
    try:
        port = int(str(server.read()))
        before = server.rss_mb()
        started = time.monotonic()
        sockets = await readers(port, SOCKETS, HELLO, ages, cookies)
        joined_s = time.monotonic() - started
        cpu, memory = server.cpu_s(), server.rss_mb()
        await asyncio.sleep(MINUTES * 60)
        cpu_share = (server.cpu_s() - cpu) / (MINUTES * 60)
        closed = sum(reader.closed for reader in sockets)
        silent = sum(reader.frames < MINUTES * 60 / 4 for reader in sockets)
        await asyncio.get_running_loop().run_in_executor(None, publisher.ask, "1 0 10")
        await asyncio.sleep(3)
        deaf = SOCKETS - len(ages)
        facts = {"joined_s": joined_s, "cpu_share": cpu_share, "kib_each": (memory - before) * 1024 / SOCKETS}
        passed = closed == silent == deaf == 0
        report(
            "idle sockets", sockets=SOCKETS, minutes=MINUTES, closed=closed, silent=silent, deaf=deaf,
            passed=passed, **facts,
        )  # fmt: skip
        return passed
    finally:
        publisher.stop()
        server.stop()


def main() -> None:
    """Measure."""
    raise_file_limit()
    with platform() as environment:
        from signals.consumers import SOCKETS_A_USER
        from tests.signals.rows import make_run

        make_run(instruments=1)
        passed = asyncio.run(measure(environment, sign_in(SOCKETS // SOCKETS_A_USER)))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
