"""How often a fault is injected: a few times in `make test`, the table's counts in `make faults`.

`CANDOR_FAULTS=0.1` injects a tenth of the table's counts, with the patience of `make test`.
"""

import os

_WORD = os.environ.get("CANDOR_FAULTS", "")
SHARE = 1.0 if _WORD == "full" else float(_WORD or 0)
FULL = SHARE > 0


def times(few: int, many: int) -> int:
    """`many` in `make faults`, its share where one is asked for, else `few`."""
    return max(few, round(many * SHARE))


def within(seconds: float) -> float:
    """The table's bound in `make faults`, where the machine is ours; four times as long in `make test`."""
    return seconds if SHARE == 1 else 4 * seconds
