"""When a candle counts as closed, and when a failing venue is left alone."""

import pytest

from markets.values import Ohlcv
from markets.venues.base import VenueError
from markets.venues.ccxt_venue.breaker import Breaker
from markets.venues.ccxt_venue.closing import ClosingRule, closed_only

T0 = 1_748_000_100


def candle(minute: int, close: float = 1.0, *, closed: bool = False, symbol: str = "A") -> Ohlcv:
    return Ohlcv(symbol, T0 + 60 * minute, 1.0, 2.0, 0.5, close, 3.0, closed)


def rule(*, flagged: bool, started: float = T0) -> ClosingRule:
    return ClosingRule(["A", "B"], flagged=flagged, started=started)


def test_a_flagged_venue_is_taken_at_its_word() -> None:
    closing = rule(flagged=True)
    assert closing.take(candle(0)) == [candle(0)]
    assert closing.take(candle(1)) == [candle(1)], "the next open does not close what the venue has not closed"
    assert closing.take(candle(0, closed=True)) == [candle(0, closed=True)]


def test_elsewhere_the_next_open_closes() -> None:
    closing = rule(flagged=False)
    assert closing.take(candle(0, 1.1)) == [candle(0, 1.1)]
    assert closing.take(candle(0, 1.2)) == [candle(0, 1.2)]
    assert closing.take(candle(1, 1.3)) == [candle(0, 1.2, closed=True), candle(1, 1.3)]
    assert closing.take(candle(0, 1.9)) == [candle(0, 1.9, closed=True)], "a correction of a closed one is closed"
    assert closing.take(candle(3, 1.4)) == [candle(1, 1.3, closed=True), candle(3, 1.4)]


def test_the_venue_may_start_with_a_snapshot_of_old_candles() -> None:
    closing = rule(flagged=False)
    told = [one for minute in range(3) for one in closing.take(candle(minute))]
    assert [(one.open_time, one.closed) for one in told if one.closed] == [(T0, True), (T0 + 60, True)]


def test_what_rest_confirmed_is_not_closed_again_with_other_values() -> None:
    closing = rule(flagged=False)
    closing.take(candle(0, 1.1))
    assert closing.confirmed(candle(0, 1.2)) == candle(0, 1.2, closed=True)
    assert closing.take(candle(1, 1.3)) == [candle(1, 1.3)]


@pytest.mark.parametrize("flagged", [True, False])
def test_an_unannounced_close_is_asked_for_after_the_grace(flagged: bool) -> None:
    closing = rule(flagged=flagged, started=T0 + 5)
    first = T0 // 60 * 60
    assert closing.overdue(first + 61.4) == []
    assert closing.overdue(first + 61.6) == [("A", first), ("B", first)]
    assert closing.overdue(first + 62.0) == [], "asked a moment ago"
    assert closing.overdue(first + 63.7) == [("A", first), ("B", first)]
    closing.confirmed(Ohlcv("A", first, 1, 1, 1, 1, 1))
    assert closing.overdue(first + 66.0) == [("B", first)]
    assert closing.overdue(first + 70.0) == [], "three times is enough, the catch-up follows"
    assert closing.overdue(first + 121.6) == [("A", first + 60), ("B", first + 60)]


def test_minutes_before_the_stream_are_not_asked_for() -> None:
    assert rule(flagged=True, started=T0 + 30).overdue(T0 // 60 * 60 + 30) == []


def test_the_last_candle_of_a_page_is_closed_only_by_time_or_a_later_one() -> None:
    page = [candle(0), candle(1)]
    assert closed_only(page, 60, T0 + 121.4) == page[:1]
    assert closed_only(page, 60, T0 + 121.5) == page
    assert closed_only([*page, candle(2)], 60, T0 + 119) == page
    assert closed_only([], 60, T0) == []


class Clock:
    """A clock set by hand."""

    at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_refusal_is_obeyed_at_once_and_one_probe_goes_first() -> None:
    clock = Clock()
    breaker = Breaker("v", clock)
    breaker.check()
    breaker.failed(30.0, at_once=True)
    with pytest.raises(VenueError, match="paused for 30") as paused:
        breaker.check()
    assert paused.value.retry_after == 30.0
    clock.at += 30
    breaker.check()
    with pytest.raises(VenueError, match="paused"):
        breaker.check()
    breaker.succeeded()
    breaker.check()
    assert not breaker.is_open
    assert breaker.refused == 2


def test_three_failures_in_a_row_open_the_circuit_ever_longer() -> None:
    clock = Clock()
    breaker = Breaker("v", clock)
    pauses = []
    for _ in range(12):
        breaker.failed()
        start = clock.at
        while breaker.is_open:
            clock.at += 1
        pauses.append(clock.at - start)
    assert pauses[:2] == [0, 0]
    assert pauses[2:5] == [8, 16, 32]
    assert max(pauses) == 60
    breaker.succeeded()
    breaker.failed()
    assert not breaker.is_open
