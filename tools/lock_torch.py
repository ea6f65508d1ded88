"""Drops torch's file hashes from the lock.

The same version comes from a local wheel on one machine and from torch's own CPU index on another; a hash of one build
would refuse the other.
"""

import re
import sys
from pathlib import Path


def main() -> None:
    """Rewrite requirements/*.txt in place; refuses a lock with CUDA packages."""
    for path in Path("requirements").glob("*.txt"):
        text = path.read_text()
        if found := re.findall(r"^(?:nvidia|triton)[\w-]*", text, flags=re.M):
            sys.exit(f"{path} pins {', '.join(found)}: torch was not resolved to its CPU build")
        path.write_text(re.sub(r"(torch==2\.13\.0)( \\\n    --hash=sha256:\w+)+", r"\1", text))


if __name__ == "__main__":
    main()
