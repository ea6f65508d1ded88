"""Which group a socket listens to: every group name, and the tier of viewers that share one, is made here."""

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.access import Viewer
from accounts.limits import Limit, allowed, included
from accounts.plans import FREE

HELD_KINDS = frozenset({"rounds", "outcomes"})
"""Events that a plan's delay holds back; feeds, candles, progress and the market's state are nobody's advantage."""


@dataclass(frozen=True, slots=True)
class Tier:
    """What decides which rounds a viewer may see; viewers of one tier receive the same bytes. None means no limit."""

    delay_s: int
    instruments: int | None
    history_days: int | None
    chosen: tuple[int, ...] = ()
    """The instruments that were chosen, in order of choice; none: the first ones."""

    @property
    def is_live(self) -> bool:
        """Nothing is held back."""
        return self.delay_s == 0


def tier_of(viewer: Viewer) -> Tier:
    """The viewer's tier: that of the Free plan for visitors and for members who have not accepted the disclaimer."""
    plan = viewer.plan if viewer.is_live else FREE
    chosen = viewer.followed if viewer.is_live else ()
    return Tier(viewer.delay_s, allowed(plan, Limit.INSTRUMENTS), allowed(plan, Limit.HISTORY_DAYS), chosen)


def included_ids(tier: Tier, followed: Sequence[int]) -> tuple[int, ...]:
    """The instruments a tier includes out of a market's followed ones (ids, ascending).

    Those that were chosen, else the first ones; of either as many as the plan has.
    """
    known = set(followed)
    chosen = [pk for pk in tier.chosen if pk in known]
    return included(tier.instruments, chosen or followed)


def board(venue_id: int, tier: Tier) -> str:
    """The group of the live board of one venue for one tier."""
    speed = "live" if tier.is_live else f"delayed-{tier.delay_s}"
    width = "" if tier.instruments is None else f"-first-{tier.instruments}"
    choice = "".join(f"-{number}" for number in tier.chosen)
    return f"board:{venue_id}:{speed}{width}{choice and f':chosen{choice}'}"


def is_counted(kind: str, tier: Tier) -> bool:
    """Whether readers of a tier count their place in the log by events of this kind.

    A delayed tier counts held events alone: the others reach it at once, far ahead of the held ones.
    """
    return tier.is_live or kind in HELD_KINDS
