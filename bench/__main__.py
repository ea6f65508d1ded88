"""`make bench`: run every benchmark in turn; each prints one JSON line per figure."""

import os
import subprocess
import sys

BENCHES = (
    "features",
    "sentiment",
    "ingest",
    "latest",
    "inference",
    "agents",
    "training",
    "fanout",
    "idle",
    "candle_to_sockets",
)
"""Modules of this package, quickest first."""


def main() -> int:
    """Run those named on the command line, or all; 1 when one of them failed or missed its gate."""
    chosen = sys.argv[1:] or list(BENCHES)
    failed = [
        name
        for name in chosen
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], env=os.environ, check=False).returncode
    ]
    if failed:
        print(f"failed or gate missed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
