"""`python -m billing.sandbox`: the sandbox by hand, in the foreground.

`--port`, `--file` (where the state is kept), `--key`, and `--webhook URL` for each address that wants events.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path

from billing.sandbox.server import Sandbox, SandboxError


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m billing.sandbox", description="A Stripe-shaped server, no money")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--file", type=Path, default=None)
    parser.add_argument("--key", default="")
    parser.add_argument("--webhook", action="append", default=[])
    given = parser.parse_args()
    try:
        sandbox = Sandbox(given.key, port=given.port, file=given.file).start()
    except SandboxError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    say = sys.stdout.write
    say(
        f"Sandbox (no real money) at {sandbox.url}/sandbox/\n"
        f"STRIPE_API_BASE={sandbox.url}\nSTRIPE_SECRET_KEY={sandbox.key}\n"
    )
    for url in given.webhook:
        say(f"STRIPE_WEBHOOK_SECRETS={sandbox.listen_to(url)}\n")
    sys.stdout.flush()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    sandbox.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
