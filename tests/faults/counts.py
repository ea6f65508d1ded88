"""How often a fault is injected: a few times in `make test`, the table's counts in `make faults`."""

import os

FULL = os.environ.get("CANDOR_FAULTS") == "full"


def times(few: int, many: int) -> int:
    """`many` in `make faults`, else `few`."""
    return many if FULL else few
