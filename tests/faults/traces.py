"""I7: what each fault leaves behind for operators, by its number in docs/reliability.md.

A structured event, a counter, and a changed state: something that a page, the admin or `/api/v1/health/` shows. Where
one of them is empty there is nothing to be told: a repetition changes nothing, a crash of a second is over before
anybody can look.
"""

from dataclasses import dataclass

from django.db import connection

from tests.faults.witness import Witness

LATE = "SELECT count(*) FROM signals_round WHERE state = 'late'"
RECONNECTED = "SELECT sum(reconnects) FROM markets_feedstate"
REFUSED = "SELECT count(*) FROM markets_refusal"


@dataclass(frozen=True)
class Traces:
    """The event's name, the metric's, and SQL that counts rows of the changed state."""

    event: str = ""
    metric: str = ""
    state: str = ""


LEFT: dict[int, Traces] = {
    1: Traces("feed_disconnected", "candor_feed_connects_total", RECONNECTED),
    2: Traces("feed_disconnected", "candor_feed_connects_total", RECONNECTED),
    3: Traces("candle_missing", "candor_candles_repaired_total", LATE),
    4: Traces(
        "frame_unreadable",
        "candor_venue_unreadable_frames_total",
        "SELECT count(*) FROM markets_feedstate WHERE detail LIKE 'made no sense%'",
    ),
    5: Traces(metric="candor_candles_repeated_total"),
    6: Traces("candles_corrected", "candor_candles_corrected_total", "SELECT count(*) FROM markets_candlerevision"),
    7: Traces(
        "candle_out_of_order",
        "candor_candles_out_of_order_total",
        "SELECT count(*) FROM markets_candle WHERE flags & 8 > 0",
    ),
    8: Traces("candles_refused", "candor_candles_refused_total", REFUSED),
    10: Traces("candles_refused", "candor_candles_refused_total", REFUSED),
    11: Traces(
        "clocks_disagree",
        "candor_clock_skew_seconds",
        "SELECT count(*) FROM markets_feedstate WHERE abs(skew_s) > 1 AND detail LIKE '%clock%'",
    ),
    12: Traces("repair_failed", "candor_repairs_failed_total", LATE),
    14: Traces("push stream cannot be", "candor_push_unwritten_total", LATE),
    15: Traces("push_stream_was_emptied", "candor_push_resets_total"),
    16: Traces("tasks_unsent", "candor_tasks_unsent_total", LATE),
    17: Traces("feed_waits_for_database", "candor_database_waits_total"),
    18: Traces("database_away", "candor_requests_unavailable_total"),
    19: Traces("minute_rescued", "candor_rounds_rescued_total", LATE),
    21: Traces("rounds_behind", "candor_rounds_behind_total"),
    22: Traces("beat idles", "candor_beat_idle_total"),
    23: Traces("minute_rescued", "candor_rounds_rescued_total", LATE),
    24: Traces("minute_decided", "candor_rounds_repeated_total"),
    40: Traces("sockets_deferred", "candor_sockets_deferred_total"),
    48: Traces("feed_disconnected", "candor_feed_connects_total", RECONNECTED),
}
"""9 is how a venue is, 29 an operator's act; 25 to 27, 39 and 47 are tested where their code is, and assert it."""


def untraced(number: int, witness: Witness) -> list[str]:
    """I7 of one fault by what this process logged and counted and the database holds."""
    left = LEFT[number]
    found = [f"I7: no event {left.event}"] if left.event and not witness.said(left.event) else []
    if left.metric and not witness.moved(left.metric):
        found.append(f"I7: {left.metric} did not move")
    return found + unchanged(number)


def unchanged(number: int) -> list[str]:
    """The part of I7 that lies in the database."""
    if not LEFT[number].state:
        return []
    with connection.cursor() as cursor:
        cursor.execute(LEFT[number].state)
        row = cursor.fetchone()
    return [] if row and row[0] else [f"I7: fault {number} changed no state"]
