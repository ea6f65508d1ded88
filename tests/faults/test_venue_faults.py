"""What a venue may do wrong, faults 1, 2, 3, 5, 6, 7, 9 and 12.

Each scenario returns what the oracle, and its own demands on the moments it passes through, find violated. It is run as
the platform is, where nothing may be found, and again with one deliberate defect, where the invariant that the scenario
is for must be found broken: a test that cannot fail proves nothing.
"""

import random
from dataclasses import replace

import numpy as np
import pytest

from lib.clock import from_epoch
from markets.candles import load_panel
from markets.models import Candle
from markets.values import TaintFlag
from models_ml.features import build
from signals.models import Outcome, Round
from tests.faults.counts import times, within
from tests.faults.defects import ForwardOnly, HalfTold, Impatient, WithoutBackfill, losing, without
from tests.faults.proxy import Mode
from tests.faults.stage import IDS, Stage, staged
from tests.faults.timing import MINUTE, QUICK, START
from tests.faults.traces import untraced
from tests.venue_wire import RestFault

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults"), pytest.mark.django_db(transaction=True)]

NO_CONFIRMATION = {"grace_s": 1e9}
"""The adapter asks REST by itself for a close that nobody announced: a second back-fill, off as well in defects."""
CODES = (1000, 1006, 1012)


def broken(found: list[str], invariant: str) -> bool:
    """Whether this invariant is among what was found violated."""
    return any(line.startswith(invariant) for line in found)


def test_nothing_wrong() -> None:
    """The oracle is quiet, and so are the logs, where nothing happened."""
    with staged() as stage:
        for _ in range(2):
            stage.minute()
        assert stage.violations() == []
        assert (stage.state(), stage.page_state()) == ("live", "live")
        assert stage.witness.count("feed_disconnected") == stage.reconnects == 0


# -- 1: the venue closes the socket


def closes(stage: Stage, cuts: int) -> list[str]:
    """The socket ends with each code in turn; every second time the venue stays away over a whole close."""
    found = []
    for number in range(cuts):
        stage.minute()
        stage.server.close_sockets(CODES[number % 3])
        if number % 2:
            stage.wire.set(Mode.RESET)
            stage.minute(wait=())
            stage.wire.set(Mode.OK)
        stage.connected()
        found += [] if stage.recovers() else ["I8: not live 15 s after the venue was back"]
    stage.minute()
    found += untraced(1, stage.witness)
    found += [] if stage.witness.count("feed_disconnected") >= cuts else ["I7: a cut without an event"]
    found += [] if stage.witness.counted("candor_feed_connects_total") >= cuts else ["I7: a cut that was not counted"]
    found += [] if stage.comes(lambda: stage.reconnects >= cuts) else ["I7: a cut that the state does not show"]
    return found + stage.violations()


def test_1_a_closed_socket_costs_no_candle() -> None:
    with staged() as stage:
        assert closes(stage, times(6, 500)) == []


def test_1_is_seen_without_backfill() -> None:
    with staged(make_feed=WithoutBackfill, options=NO_CONFIRMATION) as stage:
        stage.patience_s = 2.0
        assert broken(closes(stage, 2), "I1")


# -- 2: the socket is open and silent


def falls_silent(stage: Stage, minutes: int) -> list[str]:
    """A black hole over some minutes: connected, nothing comes."""
    stage.minute()
    stage.wire.set(Mode.BLACK_HOLE)
    found = []
    if not stage.comes(lambda: stage.state() == stage.page_state() == "delayed", stage.limits.silence_s + within(5)):
        found.append(f"I6: 5 s after the limit the page still says {stage.page_state()}")
    for _ in range(minutes):
        stage.minute(wait=())
    spoken = list(Round.objects.filter(close_time__gt=from_epoch(stage.now - minutes * MINUTE), state="issued"))
    found += [f"I2: {row} was issued in a silence" for row in spoken]
    found += [] if stage.comes(lambda: stage.witness.count("feed_disconnected") > 0) else ["I8: not reset"]
    stage.wire.set(Mode.OK)
    found += [] if stage.recovers() else ["I8: not live 15 s after the venue was back"]
    stage.minute()
    return found + untraced(2, stage.witness) + stage.violations()


SHORT = replace(QUICK, silence_s=1.5, first_message_s=1.5)


def test_2_a_black_hole_is_shown_and_left() -> None:
    with staged(limits=SHORT) as stage:
        assert falls_silent(stage, times(2, 30)) == []


def test_2_is_seen_without_a_watchdog() -> None:
    deaf = replace(QUICK, silence_s=1.5, heartbeat_s=1e9, first_message_s=1e9, missed_in_a_row=10**9)
    with staged(limits=deaf) as stage:
        stage.patience_s = 3.0
        assert broken(falls_silent(stage, 1), "I8")


# -- 3: one of N is silent


def goes_missing(stage: Stage, minutes: int) -> list[str]:
    """ETH says nothing any more, while BTC and SOL go on."""
    stage.minute()
    stage.server.script(silent_ids=frozenset({"ETHUSDT"}))
    found = []
    for _ in range(minutes):
        close_time = stage.minute(wait=("BTCUSDT", "SOLUSDT"))
        states = stage.rounds(close_time)
        others = [states[stage.instruments[one].pk] for one in ("BTCUSDT", "SOLUSDT")]
        found += [] if others == ["silent", "issued"] else [f"I1: the others were {others} at {close_time}"]
        stage.tick()
        if not stage.comes(lambda: stage.state("ETHUSDT") == "delayed", within(5)):
            found.append("I6: ETH is not shown as delayed within one candle")
        eth = [stage.instruments["ETHUSDT"].pk]
        stage.comes(lambda: stage.decided(close_time, eth), within(10))  # noqa: B023  # asked within the turn
    stage.server.script(silent_ids=frozenset())
    stage.minute()
    found += [] if stage.comes(lambda: stage.state("ETHUSDT") == "live") else ["I8: ETH stays behind"]
    return found + untraced(3, stage.witness) + stage.violations()


PATIENT = replace(QUICK, missed_in_a_row=10**9)


def test_3_one_silent_series_is_found_and_fetched() -> None:
    with staged(limits=PATIENT) as stage:
        assert goes_missing(stage, times(2, 20)) == []


def test_3_is_seen_without_backfill() -> None:
    with staged(limits=PATIENT, make_feed=WithoutBackfill, options=NO_CONFIRMATION) as stage:
        stage.patience_s = 3.0
        assert broken(goes_missing(stage, 1), "I1")


# -- 5: the same candle again


def repeats(stage: Stage, minutes: int) -> list[str]:
    """Each closing frame comes five times, and old ones come again."""
    stage.server.script(duplicates=5)
    for number in range(minutes):
        close_time = stage.minute()
        if number:
            for market_id in IDS:
                stage.server.push_candle(market_id, stage.server.row(market_id, close_time - 2 * MINUTE).tolist())
    stage.minute()
    return untraced(5, stage.witness) + stage.violations()


def test_5_duplicates_change_nothing() -> None:
    with staged() as stage:
        assert repeats(stage, times(3, 60)) == []
        told = times(3, 60) + 1
        assert stage.witness.counted("candor_candles_stored_total", source="stream") == 3 * told


def test_5_is_seen_without_the_key() -> None:
    key = "ALTER TABLE markets_candle ADD CONSTRAINT markets_candle_pkey PRIMARY KEY (instrument_id, open_time)"
    with staged() as stage, without("markets_candle", "markets_candle_pkey", key):
        stage.patience_s = 1.0
        assert broken(repeats(stage, 2), "I2")


# -- 6: the candle changes its mind


def revises(stage: Stage, revisions: int) -> list[str]:
    """A close is told twice at once, and again long after its minute was decided and its signal judged."""
    found = []
    for number in range(revisions):
        first = stage.minute()
        stage.minute()  # the signal of the minute before is judged on this candle
        judged = Outcome.objects.filter(signal__close_time=from_epoch(first))
        found += [] if stage.comes(judged.exists) else ["I3: no outcome"]
        before = list(Round.objects.order_by("id").values())
        row = stage.server.row("SOLUSDT", first).copy()
        row[4] = round(row[1] * (1.01 if number % 2 else 0.99), 2)
        row[2], row[3] = max(row[2], row[4]), min(row[3], row[4])
        stage.note("SOLUSDT", first, row[1:])
        stage.server.push_candle("SOLUSDT", row.tolist())
        if not stage.comes(lambda: judged.filter(revision=2).exists(), within(10)):  # noqa: B023  # asked within the turn
            found.append("I3: no new outcome after a correction")
        after = list(Round.objects.filter(pk__in=[one["id"] for one in before]).order_by("id").values())
        found += [] if after == before else ["I2: a correction changed a round"]
    found += [] if stage.witness.count("candles_corrected") >= revisions else ["I7: a correction without an event"]
    counted = stage.witness.counted("candor_candles_corrected_total")
    found += [] if counted >= revisions else ["I7: a correction that was not counted"]
    return found + untraced(6, stage.witness) + stage.violations()


def test_6_a_revision_is_kept_and_judged_again() -> None:
    with staged() as stage:
        assert revises(stage, times(2, 40)) == []


def test_6_is_seen_where_revisions_are_lost() -> None:
    with staged() as stage, losing("markets_candlerevision"):
        stage.patience_s = 2.0
        assert broken(revises(stage, 1), "I2")


# -- 7: out of order


def shuffles(stage: Stage, rounds: int) -> list[str]:
    """Closing frames are held back and come three minutes at a time, the newest first; REST has nothing to offer."""
    stage.server.script(RestFault(503, times=10**6, path="klines"), withhold_close=True)
    for _ in range(rounds):
        closes = [stage.minute(wait=()) for _ in range(3)]
        for close_time in random.Random(rounds).sample(closes[:2], 2) + closes[2:]:
            stage.server.close_minute(closes[2] + closes[0] - close_time - MINUTE)
    until = int(stage.now) // MINUTE * MINUTE
    stored = Candle.objects.filter(open_time__gte=from_epoch(START))
    found = []
    if not stage.comes(lambda: stored.count() == 9 * rounds):
        found.append(f"I2: {stored.count()} of {9 * rounds} candles are there")
    ids = [stage.instruments[one].pk for one in IDS]
    panel = load_panel(ids, until, 600)
    told = np.array([[stage.told[id_, int(at)][-1] for at in panel.open_times] for id_ in ids])
    if not np.array_equal(build(panel.open_times, panel.ohlcv, rows=8), build(panel.open_times, told, rows=8), True):
        found.append("I2: features differ from those of the sorted candles")
    late = stored.exclude(flags=0).filter(flags=TaintFlag.OUT_OF_ORDER)
    found += [] if late.exists() or "I2" in "".join(found) else ["I7: no candle is marked as out of order"]
    return found + untraced(7, stage.witness) + stage.violations(reachable=())


def test_7_order_makes_no_difference() -> None:
    with staged(limits=PATIENT) as stage:
        assert shuffles(stage, times(1, 20)) == []


def test_7_is_seen_where_only_newer_ones_count() -> None:
    with staged(limits=PATIENT, make_feed=ForwardOnly) as stage:
        stage.patience_s = 2.0
        assert broken(shuffles(stage, 1), "I2")


# -- 9: the forming candle


def serves_forming(stage: Stage, minutes: int) -> list[str]:
    """The stream closes nothing, and the last candle that REST serves is still forming."""
    stage.server.script(withhold_close=True)
    for _ in range(minutes):
        stage.minute(wait=())
        stage.tick()
        done = int(stage.now) // MINUTE * MINUTE
        stage.comes(lambda: stage.decided(done, stage.ids()), within(5))  # noqa: B023
    stage.server.script(withhold_close=False)
    stage.minute()
    return stage.violations()


def test_9_a_forming_candle_is_never_closed() -> None:
    with staged() as stage:
        assert serves_forming(stage, times(2, 60)) == []


def test_9_is_seen_where_forming_ones_are_taken() -> None:
    with staged(make_feed=HalfTold, clock_error_s=60.0) as stage:
        stage.patience_s = 2.0
        assert broken(serves_forming(stage, 1), "I2")


# -- 12: REST in trouble


TROUBLE = (
    RestFault(429, {"Retry-After": "1"}, path="klines", times=1),
    RestFault(503, path="klines", times=1),
    RestFault(200, body="<html>maintenance</html>", path="klines", times=1),
)


def refuses(stage: Stage, faults: tuple[RestFault, ...]) -> list[str]:
    """A hole is to be closed while REST says 429, 503, or shows a web page."""
    stage.minute()
    stage.wire.set(Mode.RESET)
    before = len(stage.server.requests)
    stage.server.script(*faults)
    stage.minute(wait=())
    stage.wire.set(Mode.OK)
    stage.tick()
    stage.connected()
    closed = stage.comes(lambda: stage.decided(int(stage.now) // MINUTE * MINUTE, stage.ids()), 60)
    found = [] if closed else ["I8: the hole stays open"]
    asked = [(at, status) for at, path, status in stage.server.requests[before:] if "klines" in path]
    refused = [at for at, status in asked if status == 429]
    # What was on its way when the refusal came is not to blame.
    hasty = [late - at for at in refused for late, _ in asked if 0.25 < late - at < 1.0]
    found += [f"I8: asked again {pause:.2f} s after a 429 that said 1 s" for pause in hasty]
    allowed = 3 * (len(faults) + 2) * 2
    found += [f"I8: {len(asked)} requests, {allowed} are the budget"] if len(asked) > allowed else []
    stage.minute()
    return found + untraced(12, stage.witness) + stage.violations()


def test_12_a_refusing_venue_gets_its_peace() -> None:
    with staged() as stage:
        assert refuses(stage, TROUBLE[: times(1, 3)]) == []


def test_12_is_seen_without_patience() -> None:
    with staged(make_feed=Impatient) as stage:
        stage.patience_s = 15.0
        assert broken(refuses(stage, (RestFault(429, {"Retry-After": "1"}, path="klines", times=40),)), "I8")
