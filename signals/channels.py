"""One group of a live board in one process: its sockets, what is ready for them, what its delay holds back."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from signals.groups import Tier
from signals.push import Event
from signals.sockets import Member

REMEMBERED = 1024  # frames a channel keeps for sockets that join while they leave


@dataclass
class Channel:
    """One group: its sockets, the frames ready for them, and the events its delay still holds back."""

    tier: Tier
    position: "Position"
    members: set[Member] = field(default_factory=set)
    ready: list["Ready"] = field(default_factory=list)
    told: deque["Ready"] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    held: deque[Event] = field(default_factory=deque)
    quiet_since: float = 0.0

    def take(self) -> tuple[list[str], tuple[Member, ...]]:
        """What is ready and whom it is for; from here on a joining socket finds it in `told`."""
        ready, self.ready = self.ready, []
        self.told.extend(ready)
        counted = max((entry.id for entry in ready if entry.counted), default=self.position.counted)
        others = max((entry.id for entry in ready if not entry.counted), default=self.position.others)
        self.position = Position(counted, others)
        return [entry.text for entry in ready if entry.text is not None], tuple(self.members)


class Ready(NamedTuple):
    """One event's frame for one tier; no text where the plan includes nothing of it."""

    id: int
    counted: bool  # the frame carries its id, and readers read on from it
    text: str | None


class Position(NamedTuple):
    """The last events a group has been told of: those whose id its readers count, and the others."""

    counted: int
    others: int
