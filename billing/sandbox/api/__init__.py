"""The API's calls, one module for each family; `ROUTES` lists them all.

A call takes the world, what the address names and the parameters, and returns the row or list to answer with.
"""

import re
from collections.abc import Callable
from typing import Any

from billing.sandbox.api import billing, buying, catalogue, people, simulation
from billing.sandbox.wire import Params
from billing.sandbox.world import Row, World

Call = Callable[[World, dict[str, str], Params], Any]

ROUTES: dict[str, Call] = {**catalogue.CALLS, **people.CALLS, **buying.CALLS, **billing.CALLS, **simulation.CALLS}


def _compiled() -> list[tuple[str, re.Pattern[str], Call]]:
    found = []
    for route, call in ROUTES.items():
        method, path = route.split(" ")
        found.append((method, re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$"), call))
    return found


PATTERNS = _compiled()


def find(method: str, path: str) -> tuple[Call, dict[str, str]] | None:
    """The call of a request and what its address names."""
    for wanted, pattern, call in PATTERNS:
        if wanted == method and (match := pattern.match(path)):
            return call, match.groupdict()
    return None


__all__ = ["PATTERNS", "ROUTES", "Call", "Row", "find"]
