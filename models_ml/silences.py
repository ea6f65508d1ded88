"""Why agents learned nothing, as a training's detail says it and as a page reads it again. Pure."""

import re
from collections.abc import Sequence

BETWEEN = "; "
_LINE = re.compile(r"(?P<market>\S+) without (?P<agents>[a-z_]+(?:, [a-z_]+)*): (?P<reason>.+)")


def without(market_class: str, agents: Sequence[str], reason: str) -> str:
    """One line of a detail: these agents of a class stay silent for this reason."""
    return f"{market_class} without {', '.join(agents)}: {reason}"


def detail_of(lines: Sequence[str]) -> str:
    """The detail of a training that ended well."""
    return BETWEEN.join(lines)


def reasons_of(detail: str, market_class: str) -> dict[str, str]:
    """Agent → why it learned nothing in the training with this detail; whoever is absent did, or was not tried."""
    lines = [found for part in detail.split(BETWEEN) if (found := _LINE.fullmatch(part))]
    return {
        agent: line["reason"]
        for line in lines
        if line["market"] == market_class
        for agent in line["agents"].split(", ")
    }
