"""Learn sizing from what was recorded: judged on the newest quarter by a copy that had not seen it. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from markets.values import IntArray
from models_ml.agents.base import TooLittleHistory
from models_ml.agents.sizing_rl import LEAST_DECISIONS, STEPS, Decisions, SizingPolicy, compare, kelly

SHARE = 0.75
"""Of the decisions, the oldest: what the judged copy learns from."""


@dataclass(frozen=True, slots=True)
class Record:
    """Decisions in order of time, and when the outcome of each was known, epoch seconds (N,)."""

    decisions: Decisions
    known: IntArray

    def until(self, moment: int) -> "Record":
        """Those whose outcome was known at `moment`."""
        rows = self.known <= moment
        return Record(self.decisions.part(rows), self.known[rows])


@dataclass(frozen=True, slots=True)
class LearnedSizing:
    """A policy with what its judged copy did, and the seconds between which its decisions were taken and known."""

    policy: SizingPolicy
    figures: dict[str, Any]
    first: int
    last: int


def learn(record: Record, until: int, *, seed: int = 0, steps: int = STEPS) -> LearnedSizing:
    """A policy from the decisions whose outcome was known at `until` (epoch s).

    The judged copy learns from those of the older three quarters whose outcome was known when the first of the newest
    quarter was decided. Figures are those of `verdict` on that quarter, with `learned`, the decisions with an edge.

    Raises:
        TooLittleHistory: too few decisions, or too few of them with an edge, for the copy to learn from.
    """
    record = record.until(until)
    decisions = record.decisions
    early, later = _parted(record)
    edged = int((kelly(early) > 0).sum())
    if edged < LEAST_DECISIONS:
        raise TooLittleHistory(
            f"{edged:,} of the older {len(early):,} judged decisions had an edge: sizing waits for {LEAST_DECISIONS:,}"
        )
    figures = compare(SizingPolicy.fit(early, seed=seed, steps=steps), later)
    policy = SizingPolicy.fit(decisions, seed=seed, steps=steps)
    learned = int((kelly(decisions) > 0).sum())
    return LearnedSizing(policy, figures | {"learned": learned}, int(decisions.times[0]), int(record.known.max()))


def _parted(record: Record) -> tuple[Decisions, Decisions]:
    """The older three quarters, purged of what was judged later than the newest quarter began, and that quarter."""
    cut = int(SHARE * len(record.known))
    begins = record.decisions.times[cut] if len(record.known) else 0
    older = (np.arange(len(record.known)) < cut) & (record.known <= begins)
    return record.decisions.part(older), record.decisions.part(slice(cut, None))
