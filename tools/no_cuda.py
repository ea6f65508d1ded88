"""Fails when the environment holds a CUDA build: gigabytes that no CPU machine can use."""

import sys
from importlib.metadata import distributions, version


def main() -> int:
    """0 when torch is a CPU build and no nvidia or triton package is there."""
    found = [d.name for d in distributions() if d.name and d.name.lower().startswith(("nvidia-", "triton"))]
    if found:
        print(f"CUDA packages in .venv: {', '.join(found)}. Remove .venv and run make again.", file=sys.stderr)
        return 1
    if "+cu" in version("torch"):
        print(f"torch {version('torch')} is a CUDA build. Remove .venv and run make again.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
