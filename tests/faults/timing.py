"""The stage's clock and limits, for the stage itself and for the processes it starts."""

import os
import struct
from pathlib import Path

from markets.live import FeedLimits

MINUTE = 60
START = 1_772_582_400
"""2026-03-04 00:00 UTC: where the stage's clock begins."""
QUICK = FeedLimits(
    silence_s=60.0,
    heartbeat_s=0.5,
    first_message_s=60.0,
    batch_grace_s=0.05,
    look_every_s=0.02,
    report_every_s=0.05,
    missed_in_a_row=2,
    backoff_base_s=0.05,
    backoff_cap_s=0.3,
    backfill_s=3600,
)
"""The feed's limits, shortened where they are waits of the wall clock, and lengthened where a slow machine would look
like a silent venue; scenarios of silence have their own."""


def write_clock(path: Path, now: float) -> None:
    """Show other processes the market clock; a reader sees the old or the new time, never half of one."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(struct.pack("d", now))
    os.replace(fresh, path)


def read_clock(path: Path) -> float:
    """The market clock as the stage last wrote it, epoch seconds."""
    now: float = struct.unpack("d", path.read_bytes())[0]
    return now
