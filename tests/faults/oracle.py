"""What must be in the database after a fault, worked out from what the venue told and from nothing of ours.

It reads plain rows over its own connection and knows only arithmetic: which minutes were due, which candles the venue
stands by, who had closed what when. `violations()` names every breach of the invariants:

* I1: every due minute of every instrument has exactly one round, and no minute has one that was not due;
* I2: what is stored is what the venue told, once, with every revision kept; no round that says anything (issued,
  silent, vetoed) rests on an unfinished, late, future, missing or not yet received candle;
* I3: each expired signal has outcomes 1..n, the last of which is the oracle's, and the first ones rest on what was
  then known.

I6 (staleness is shown), I7 (a fault leaves its traces) and I8 (recovery has a bound) are moments, not rows: the
scenarios assert them as they pass.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

MINUTE = 60
HORIZON = 60
SPEAKING = frozenset({"issued", "silent", "vetoed"})
Values = tuple[float, float, float, float, float]
Key = tuple[int, int]
"""Instrument id and epoch seconds: the open time of a candle, or the close time of a round."""


@dataclass
class Script:
    """What happened, as the scenario knows it.

    Attributes:
        told: for each candle every version the venue stood by, in the order in which it told them.
        since, until: the first and last close time that the oracle looks at; all of them are due.
        window: candles that a decision looks back on.
        clock: pairs of wall and market time (epoch seconds), ascending; empty where the two are one.
        reachable: minutes whose candle the platform could have had in time to say more than `missed`.
        late_s: market seconds after a close that still count as in time.
    """

    told: dict[Key, list[Values]]
    instruments: Sequence[int]
    since: int
    until: int
    window: int = 1500
    clock: list[tuple[float, float]] = field(default_factory=list)
    reachable: set[Key] = field(default_factory=set)
    late_s: float = 3.0

    def due(self) -> set[Key]:
        """Every (instrument, close time) that must have its round."""
        first = -(-self.since // MINUTE) * MINUTE
        return {(id_, at) for id_ in self.instruments for at in range(first, self.until + 1, MINUTE)}

    def market_at(self, wall: float) -> float:
        """The market clock when the wall clock showed `wall`."""
        if not self.clock:
            return wall
        place = bisect_right(self.clock, (wall, float("inf")))
        return self.clock[max(place - 1, 0)][1]


@dataclass(frozen=True)
class RoundRow:
    """A stored round."""

    key: Key
    state: str
    close: float | None
    observed: float | None
    decided: float


@dataclass(frozen=True)
class CandleRow:
    """A stored candle, or one that a correction replaced."""

    key: Key
    values: Values
    observed: float


class Oracle:
    """Holds a database against a script."""

    def __init__(self, connection: "psycopg.Connection[Any]", script: Script) -> None:
        self.script = script
        ids = list(script.instruments)
        self.rounds = [
            RoundRow((row[0], int(row[1])), *row[2:])
            for row in connection.execute(
                "SELECT instrument_id, extract(epoch FROM close_time)::float8, state, close,"
                " extract(epoch FROM observed_at)::float8, extract(epoch FROM decided_at)::float8"
                " FROM signals_round WHERE instrument_id = ANY(%s) AND close_time >= to_timestamp(%s)"
                " ORDER BY close_time",
                [ids, script.since],
            ).fetchall()
        ]
        self.candles = self._candles(connection, "markets_candle", ids)
        self.revisions = self._candles(connection, "markets_candlerevision", ids)
        self.signals = connection.execute(
            "SELECT s.id, s.instrument_id, extract(epoch FROM s.close_time)::float8, s.direction, o.revision, o.result,"
            " o.entry, o.exit FROM signals_signal s LEFT JOIN signals_outcome o ON o.signal_id = s.id"
            " WHERE s.instrument_id = ANY(%s) AND s.close_time >= to_timestamp(%s) ORDER BY s.id, o.revision",
            [ids, script.since],
        ).fetchall()

    def violations(self) -> list[str]:
        """Every breach, one line each; empty when all invariants hold."""
        return [*self.rounds_once(), *self.candles_true(), *self.rounds_founded(), *self.outcomes_right()]

    # -- I1

    def rounds_once(self) -> Iterator[str]:
        """I1: one round for each due minute; none missing, none double, none invented."""
        counted: dict[Key, int] = defaultdict(int)
        for row in self.rounds:
            counted[row.key] += 1
        due = self.script.due()
        for key in sorted(due - counted.keys()):
            yield f"I1: no round for {key}"
        for key, count in sorted(counted.items()):
            if count > 1:
                yield f"I1: {count} rounds for {key}"
            if key not in due:
                yield f"I1: a round for {key}, which was not due"
        lost = {row.key for row in self.rounds if row.state == "missed"} & self.script.reachable
        for key in sorted(lost):
            yield f"I1: {key} was missed, though its candle could be had"

    # -- I2

    def candles_true(self) -> Iterator[str]:
        """I2: each stored candle is the venue's last word, once; what it replaced is kept."""
        counted: dict[Key, int] = defaultdict(int)
        for row in self.candles:
            counted[row.key] += 1
            versions = self.script.told.get(row.key)
            if versions is None:
                yield f"I2: candle {row.key} was never told"
            elif row.values != versions[-1]:
                yield f"I2: candle {row.key} is {row.values}, told was {versions[-1]}"
        yield from (f"I2: {count} candles at {key}" for key, count in sorted(counted.items()) if count > 1)
        kept: dict[Key, list[Values]] = defaultdict(list)
        for row in sorted(self.revisions, key=lambda row: row.observed):
            kept[row.key].append(row.values)
        for key, versions in sorted(self.script.told.items()):
            if len(versions) > 1 and key in counted and kept[key] != versions[:-1]:
                yield f"I2: revisions of {key} are {kept[key]}, told were {versions[:-1]}"

    def rounds_founded(self) -> Iterator[str]:
        """I2: a round that says something stands on a whole window of closed candles that were there in time."""
        seen: dict[Key, list[CandleRow]] = defaultdict(list)
        for row in [*self.candles, *self.revisions]:
            seen[row.key].append(row)
        for round_ in self.rounds:
            if round_.state in SPEAKING:
                yield from self._founded(round_, seen)

    def _founded(self, round_: RoundRow, seen: Mapping[Key, list[CandleRow]]) -> Iterator[str]:
        id_, close_time = round_.key
        last = (id_, close_time - MINUTE)
        if round_.observed is None or round_.close is None:
            yield f"I2: {round_.state} round {round_.key} without its closing candle"
            return
        if round_.close not in {values[3] for values in self.script.told.get(last, [])}:
            yield f"I2: round {round_.key} rests on a close of {round_.close} that was never told"
        if not close_time <= round_.observed <= close_time + self.script.late_s:
            yield f"I2: round {round_.key} rests on a candle seen {round_.observed - close_time:+.1f} s after its close"
        known = self.script.market_at(round_.decided)
        first = close_time - self.script.window * MINUTE
        holes = [
            at
            for at in range(first, close_time, MINUTE)
            if min((row.observed for row in seen.get((id_, at), [])), default=float("inf")) > known
        ]
        if holes:
            yield f"I2: {round_.state} round {round_.key} was decided on a window that lacked {len(holes)} candles"

    # -- I3

    def outcomes_right(self) -> Iterator[str]:
        """I3: one current outcome for each expired signal, worked out again from the venue's word."""
        found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for row in self.signals:
            found[row[0]].append(row)
        for rows in found.values():
            _, id_, close_time, direction, *_ = rows[0]
            key = (id_, int(close_time))
            if close_time + HORIZON > self.script.until:
                continue
            if [row[4] for row in rows] != list(range(1, len(rows) + 1)):
                yield f"I3: signal {key} has outcomes {[row[4] for row in rows]}"
                continue
            versions = self.script.told.get(key, [])
            if not versions:
                yield from (
                    f"I3: signal {key} was judged {row[5]} without a candle" for row in rows if row[5] != "void"
                )
                continue
            if rows[-1][5:] != judged(direction, versions[-1]):
                yield f"I3: signal {key} is {rows[-1][5:]}, the oracle says {judged(direction, versions[-1])}"
            for row in rows[:-1]:
                if row[5:] not in [judged(direction, version) for version in versions]:
                    yield f"I3: signal {key} was once {row[5:]}, which no version of its candle says"

    @staticmethod
    def _candles(connection: "psycopg.Connection[Any]", table: str, ids: list[int]) -> list[CandleRow]:
        values = sql.SQL(
            "SELECT instrument_id, extract(epoch FROM open_time)::float8, open, high, low, close, volume,"
            " extract(epoch FROM observed_at)::float8 FROM {} WHERE instrument_id = ANY(%s)"
        )
        rows = connection.execute(values.format(sql.Identifier(table)), [ids]).fetchall()
        return [CandleRow((row[0], int(row[1])), tuple(row[2:7]), row[7]) for row in rows]


def judged(direction: int, candle: Values) -> tuple[str, float, float]:
    """Result, entry and exit of a signal whose horizon is this one candle: in at its open, out at its close."""
    entry, exit_ = candle[0], candle[3]
    if entry == exit_:
        return "tie", entry, exit_
    return ("won" if (exit_ > entry) == (direction > 0) else "lost"), entry, exit_
