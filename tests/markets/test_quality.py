"""Scores of due candles, day rows, feed states."""

from datetime import timedelta

import numpy as np
import pytest

from lib import clock
from markets import quality
from markets.candles import Source, load_panel, store_closed
from markets.models import DayQuality, FeedState, Instrument, Run
from markets.quality import SeriesState, write_states
from markets.schedule import activate
from markets.skew import SkewMeter
from markets.validation import CandleRows
from markets.values import TaintFlag
from tests.markets.worlds import START, at, make_instrument, make_venue, series

pytestmark = pytest.mark.django_db
LATER = at(START + 86_400 * 2)


@pytest.fixture
def btc() -> Instrument:
    instrument = make_instrument()
    activate(instrument, at(START + 60))
    return instrument


def store(instrument: Instrument, minutes: int, *, late: tuple[int, ...] = (), skip: tuple[int, ...] = ()) -> None:
    rows = series(instrument, minutes)
    seen = rows.open_times + np.where(np.isin(np.arange(minutes), late), 64.0, 60.5)
    keep = np.array([t for t in range(minutes) if t not in skip])
    store_closed(rows.pick(keep), source=Source.STREAM, observed_at=seen[keep], now=LATER)


def test_only_candles_on_time_are_good(btc: Instrument) -> None:
    store(btc, 60, late=(3, 4), skip=(10,))
    hour, day = quality.scores([btc.pk], START + 3605)
    assert hour == day == {btc.pk: 57 / 60}
    assert quality.score(btc.pk, 1, START + 3605) == 57 / 60


def test_a_tainted_candle_is_not_good(btc: Instrument) -> None:
    rows = series(btc, 10)
    flags = np.where(np.arange(10) == 5, int(TaintFlag.OUT_OF_ORDER), 0)
    rows = CandleRows(rows.instrument_ids, rows.open_times, rows.ohlcv, rows.closed, flags)
    store_closed(rows, source=Source.STREAM, observed_at=rows.open_times + 60.2, now=LATER)
    assert quality.score(btc.pk, 1, START + 605) == 0.9


def test_hour_and_day_see_their_own_stretch(btc: Instrument) -> None:
    store(btc, 180, skip=(0, 1, 2))
    hour, day = quality.scores([btc.pk], START + 3 * 3600 + 5)
    assert (hour[btc.pk], day[btc.pk]) == (1.0, 177 / 180)


def test_the_minute_under_way_is_not_counted(btc: Instrument) -> None:
    store(btc, 10)
    assert quality.scores([btc.pk], START + 660)[0][btc.pk] == 1.0  # its last candle may still arrive
    assert quality.scores([btc.pk], START + 664)[0][btc.pk] == 10 / 11


def test_nothing_due_is_no_score() -> None:
    quiet = make_instrument("ETH/USDT")
    assert quality.scores([quiet.pk], START) == ({quiet.pk: None}, {quiet.pk: None})
    assert quality.score(quiet.pk, 1, START) is None


def test_the_day_is_written_and_rewritten(btc: Instrument) -> None:
    store(btc, 60, skip=(7,))
    for minutes, expected in ((30, (30, 29)), (60, (60, 59))):
        assert quality.measure_day(btc.venue_id, at(START).date(), at(START + minutes * 60 + 4)) == 1
        row = DayQuality.objects.get(instrument=btc)
        assert (row.due, row.good) == expected
    assert row.score == 59 / 60


def test_since_moves_only_when_the_state_changes(btc: Instrument) -> None:
    live, down = FeedState.State.LIVE, FeedState.State.DOWN
    for second, state in ((0, live), (5, live), (9, down), (11, down)):
        write_states(btc.venue_id, [SeriesState(btc.pk, state), SeriesState(None, state)], at(START + second))
    rows = FeedState.objects.filter(venue=btc.venue)
    assert {(row.instrument_id, row.state, row.since) for row in rows} == {
        (btc.pk, down, at(START + 9)),
        (None, down, at(START + 9)),
    }


def test_a_feed_without_a_sign_of_life_is_down() -> None:
    venue = make_venue()
    run = Run.objects.create(
        venue=venue, state=Run.State.RUNNING, started_at=clock.wall_now(), beat_at=clock.wall_now()
    )
    write_states(venue.pk, [SeriesState(None, FeedState.State.LIVE)], at(START))
    assert quality.shown_states(run)[None].state == FeedState.State.LIVE
    run.beat_at = clock.wall_now() - timedelta(seconds=91)
    assert quality.shown_states(run)[None].state == FeedState.State.DOWN


def test_skew_is_the_largest_difference_and_a_told_one_wins() -> None:
    meter = SkewMeter()
    assert (meter.seconds, meter.suspect, meter.warning) == (None, False, "")
    for delay in (0.3, 0.05, 2.0):
        meter.message(1000.0, 1000.0 + delay)
    assert meter.seconds == pytest.approx(-0.05)
    meter.told = 6.0
    assert meter.suspect
    assert meter.warning == "the venue's clock is +6.0 s from ours"


@pytest.mark.parametrize(
    ("venue", "others", "warning"),
    [
        (0.4, {"kraken": -0.2}, ""),
        (90.0, {"kraken": 0.2}, "the venue's clock is +90.0 s from ours; by ours goes kraken"),
        (90.0, {"kraken": 89.0, "coinbase": 91.0}, "our clock is -90.0 s off: the venue and coinbase and kraken agree"),
        (-2.0, {"kraken": -1.8}, "our clock is +2.0 s off: the venue and kraken agree"),
        (7.0, {"kraken": -7.0}, "the venue's clock is +7.0 s from ours, kraken -7.0 s"),
        (0.1, {"kraken": 6.0}, "kraken: +6.0 s from ours; the venue agrees with us"),
        (None, {"kraken": 6.0}, "our clock is -6.0 s off by kraken"),
    ],
)
def test_other_venues_say_whose_clock_is_wrong(venue: float | None, others: dict[str, float], warning: str) -> None:
    meter = SkewMeter(told=venue, others=others)
    assert meter.warning == warning
    assert meter.suspect == (abs(venue or 0.0) > 5 or venue is None)


def test_a_jump_of_our_own_clock_moves_what_is_known() -> None:
    meter = SkewMeter(told=0.2, others={"kraken": 0.1})
    meter.message(1000.0, 1000.1)
    meter.tick(1000.0, 10.0)
    meter.tick(911.0, 11.0)
    meter.tick(912.0, 12.0)
    assert meter.suspect
    assert meter.warning == "our clock is -90.2 s off: the venue and kraken agree"
    meter.told = None
    assert meter.seconds == pytest.approx(89.9)


@pytest.mark.parametrize(("jump", "suspect", "warned"), [(0.5, False, False), (-2.0, False, True), (90.0, True, True)])
def test_a_jump_of_our_own_clock_is_seen(jump: float, suspect: bool, warned: bool) -> None:
    meter = SkewMeter()
    meter.tick(1000.0, 10.0)
    meter.tick(1001.0 + jump, 11.0)
    assert (meter.suspect, bool(meter.warning)) == (suspect, warned)
    meter.tick(1002.0 + jump, 12.0)
    assert not meter.warning


def test_a_window_at_hand_gives_the_scores_of_the_store(btc: Instrument) -> None:
    store(btc, 180, late=(3, 150), skip=(7, 8, 170))
    quiet = make_instrument("ETH/USDT")
    for until in (START + 3600, START + 3 * 3600):
        panel = load_panel([quiet.pk, btc.pk], until, 1440)
        assert quality.scores_of(panel) == quality.scores([btc.pk, quiet.pk], until)
        assert quality.scores_of(panel)[0][quiet.pk] is None
