"""What a venue may tell that is not so: faults 4, 8, 10, 11 and 48, in `make faults` only.

Scenarios and defects are as in `test_venue_faults`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from lib.clock import from_epoch
from markets.live import Feed, FeedLimits
from markets.models import Candle, Refusal
from markets.skew import SUSPECT_S
from markets.values import Ohlcv
from markets.venues import Venue, open_venue
from signals.models import Outcome, Round, Signal
from tests.faults.counts import FULL, times
from tests.faults.defects import Fragile, Trusting, losing
from tests.faults.players import Staged
from tests.faults.proxy import Mode
from tests.faults.stage import IDS, Stage, staged
from tests.faults.test_venue_faults import NO_CONFIRMATION, PATIENT, broken
from tests.faults.timing import MINUTE, START
from tests.faults.traces import untraced
from tests.venue_wire import RestFault

pytestmark = [
    pytest.mark.faults,
    pytest.mark.xdist_group("faults"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not FULL, reason="runs in `make faults`"),
]


# -- 4: garbage


def babbles(stage: Stage, minutes: int, share: float = 0.1) -> list[str]:
    """This share of the frames follows upon nonsense."""
    stage.server.script(garbage=share)
    for _ in range(minutes):
        close_time = stage.minute(wait=())
        stage.recovers()
        stage.comes(lambda: stage.decided(close_time, stage.ids()))  # noqa: B023  # asked within the turn
    stage.server.script(garbage=0.0)
    stage.minute()
    return untraced(4, stage.witness) + stage.violations()


def test_4_garbage_costs_nothing() -> None:
    with staged() as stage:
        assert babbles(stage, times(3, 60)) == []
        assert stage.witness.count("feed_crashed") == 0


def test_4_is_seen_where_a_frame_is_believed_to_be_the_end() -> None:
    with staged(make_feed=Fragile, options=NO_CONFIRMATION) as stage:
        stage.patience_s = 3.0
        assert broken(babbles(stage, 2, share=1.0), "I1")


# -- 8: the future


AHEAD_S = (3600, 60, 120, 365 * 86_400)


def foretells(stage: Stage, minutes: int) -> list[str]:
    """Closed candles of minutes that have not been, among the true ones."""
    for number in range(minutes):
        close_time = stage.minute(wait=())
        stage.comes(lambda: stage.decided(close_time, stage.ids()))  # noqa: B023  # asked within the turn
        ahead = AHEAD_S[number % len(AHEAD_S)]
        for market_id in IDS:
            row = stage.server.row(market_id, close_time - MINUTE).tolist()
            stage.server.push_candle(market_id, [close_time - MINUTE + ahead, *row[1:]])
    stage.minute(wait=())
    future = Candle.objects.filter(open_time__gte=from_epoch(stage.now))
    found = [f"I2: {future.count()} candles of the future"] if future.exists() else []
    refused = stage.comes(lambda: Refusal.objects.filter(reason__in=("future", "unfinished")).exists(), 5)
    found += [] if refused else ["I7: no refusal"]
    return found + untraced(8, stage.witness) + stage.violations()


def test_8_the_future_is_refused() -> None:
    with staged(limits=PATIENT) as stage:
        assert foretells(stage, times(2, 40)) == []


def test_8_is_seen_where_our_clock_is_ahead() -> None:
    with staged(limits=PATIENT, clock_error_s=7200.0) as stage:
        stage.patience_s = 2.0
        assert broken(foretells(stage, 1), "I2")


# -- 10: impossible candles


def impossible(row: list[float], number: int) -> list[float]:
    """A candle as no market makes it."""
    at, opened, high, low, close, volume = row
    return [
        [at, opened, low, high, close, volume],
        [at, 0.0, high, 0.0, close, volume],
        [at, opened, high, low, close, -1.0],
        [at, opened, high, low, high * 2, volume],
        [at, -opened, -high, -low, -close, volume],
    ][number % 5]


def fantasizes(stage: Stage, minutes: int) -> list[str]:
    """The closing frame is impossible; REST has the true candle."""
    stage.server.script(withhold_close=True)
    for number in range(minutes):
        close_time = stage.minute(wait=())
        for market_id in IDS:
            row = stage.server.row(market_id, close_time - MINUTE).tolist()
            stage.server.push_candle(market_id, impossible(row, number))
        stage.tick()
        stage.comes(lambda: stage.decided(close_time, stage.ids()), 8)  # noqa: B023  # asked within the turn
    return untraced(10, stage.witness) + stage.violations(reachable=())


def test_10_the_impossible_is_refused() -> None:
    with staged(limits=PATIENT) as stage:
        assert fantasizes(stage, times(5, 50)) == []


class Credulous(Feed):
    """A feed that repairs impossible candles by itself."""

    def _take_candle(self, series: object, candle: Ohlcv) -> None:
        prices = [abs(value) or 1.0 for value in (candle.open, candle.high, candle.low, candle.close)]
        mended = replace(
            candle,
            open=prices[0],
            high=max(prices),
            low=min(prices),
            close=prices[3],
            volume=abs(candle.volume),
        )
        super()._take_candle(series, mended)  # type: ignore[arg-type]  # the series as it came


def test_10_is_seen_where_candles_are_mended() -> None:
    with staged(limits=PATIENT, make_feed=Credulous) as stage:
        stage.patience_s = 2.0
        assert broken(fantasizes(stage, 4), "I2")


# -- 11: clocks


CLOCKED = replace(PATIENT, clock_every_s=1.3)  # Kraken is asked once a second at most
ALARM_S = 60.0


@contextmanager
def two_venues(**how: Any) -> Iterator[Stage]:  # the stage's own fields
    """A stage whose feed also asks a second venue for its time: Kraken, whose clock is right."""
    held: list[Stage] = []
    with Staged({}, lambda: held[0].now if held else float(START)) as other:

        def witnesses(stage: Stage) -> list[Venue]:
            held.append(stage)
            return [open_venue("kraken", base_url=other.rest_url, now=lambda: stage.now + stage.clock_error_s)]

        with staged(witnesses=witnesses, limits=CLOCKED, **how) as stage:
            yield stage


def disagrees(stage: Stage, error_s: float, *, ours: bool) -> list[str]:
    """The venue's clock, or ours, comes to stand `error_s` seconds ahead of the other, and goes right again."""
    first = stage.minute()
    if ours:
        stage.clock_error_s = error_s
    else:
        stage.server.script(skew_s=error_s)
    words = f"our clock is {error_s:+.0f}"[:15] if ours else "by ours goes kraken"
    named = stage.comes(lambda: words in stage.detail(), ALARM_S)
    found = [] if named else [f"I7: the state says {stage.detail()!r}, not {words!r}"]
    found += untraced(11, stage.witness)
    for _ in range(2):
        close_time = stage.minute(wait=())
        stage.comes(lambda: stage.decided(close_time, stage.ids()), 5)  # noqa: B023  # asked within the turn
    spoken = Round.objects.filter(state=Round.State.ISSUED, close_time__gt=from_epoch(first)).count()
    if abs(error_s) > SUSPECT_S:
        found += [f"I2: {spoken} rounds were issued while the clocks were {error_s:+g} s apart"] if spoken else []
    else:
        found += [] if spoken else [f"I8: nothing was issued for {error_s:+g} s"]
    stage.clock_error_s = 0.0
    stage.server.script(skew_s=0.0)
    found += [] if stage.comes(lambda: not stage.detail(), ALARM_S) else [f"I8: still {stage.detail()!r}"]
    stage.minute()
    return found + stage.violations(reachable=())


@pytest.mark.parametrize("error_s", [2.0, -2.0, 90.0, -90.0])
def test_11_a_venues_wrong_clock_is_named_and_not_believed(error_s: float) -> None:
    with two_venues() as stage:
        assert disagrees(stage, error_s, ours=False) == []
    assert 2 * FeedLimits().clock_every_s <= ALARM_S, "the limits in force are too slow for the alarm"


def test_11_our_own_wrong_clock_is_named_and_not_believed() -> None:
    with two_venues() as stage:
        assert disagrees(stage, -90.0, ours=True) == []


def test_11_is_seen_where_every_clock_is_trusted() -> None:
    with two_venues(make_feed=Trusting) as stage:
        stage.patience_s = 5.0
        assert broken(disagrees(stage, 90.0, ours=False), "I2")


# -- 48: no candle at expiry


def outlives(stage: Stage, minutes: int) -> list[str]:
    """The venue is away when a signal expires, and comes back."""
    close_time = stage.minute()
    stage.server.script(RestFault(503, times=10**6, path="klines"))
    stage.wire.set(Mode.RESET)
    for _ in range(minutes):
        stage.minute(wait=())
    signal = Signal.objects.get(close_time=from_epoch(close_time))
    found = [] if not signal.outcomes.exists() else ["I3: judged without a candle"]
    stage.server._faults.clear()
    stage.wire.set(Mode.OK)
    found += [] if stage.recovers() else ["I8: not live 15 s after the venue was back"]
    resolved = Outcome.objects.filter(signal=signal)
    found += [] if stage.comes(resolved.exists, 90) else ["I8: still pending after the candle came"]
    return found + untraced(48, stage.witness) + stage.violations(reachable=())


def test_48_an_outcome_waits_for_its_candle() -> None:
    with staged(limits=PATIENT) as stage:
        stage.patience_s = 90.0
        assert outlives(stage, times(2, 10)) == []


def test_48_is_seen_where_outcomes_are_lost() -> None:
    with staged(limits=PATIENT, options=NO_CONFIRMATION) as stage, losing("signals_outcome"):
        stage.patience_s = 3.0
        assert broken(outlives(stage, 1), "I")
